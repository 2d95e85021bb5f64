//! One folder per contract version: the generated types, and the conversion from and to the host's own words at
//! that folder's edge. Checks of what comes back are made on the host's words (`shape`), so that they hold for
//! every version alike.
//!
//! A new version gets a folder of its own and a variant in each enum here; the old folder is not touched.

pub(crate) mod v0_1_0;

use crate::admission::{Admission, Contract, interface};
use crate::error::Cause;
use crate::run::CallState;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};

/// A type-checked export: calling it can no longer fail for what it is.
pub(crate) type Function = ComponentExportIndex;

/// Finds `function` of an exported instance and checks its type, before any instance exists: no guest code has
/// run when a plugin with wrong types is refused.
pub(crate) fn find<Params, Results>(
    pre: &InstancePre<CallState>,
    instance: &str,
    function: &'static str,
) -> Result<Function, Cause>
where
    Params: ComponentNamedList + Lower,
    Results: ComponentNamedList + Lift,
{
    let component = pre.component();
    let missing = || Cause::Missing { missing: function };
    let instance = component.get_export_index(None, instance).ok_or_else(missing)?;
    let (item, index) = component.get_export(Some(&instance), function).ok_or_else(missing)?;
    let ComponentItem::ComponentFunc(ty) = item else { return Err(missing()) };
    ty.typecheck::<Params, Results>(&pre.instance_type()).map_err(|error| Cause::Types(error.into()))?;
    Ok(index)
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:ident,)+) => {
        $(
            $(#[$doc])*
            pub(crate) enum $name {
                V0_1(v0_1_0::$name),
            }

            impl $name {
                /// Type-checks a plugin's functions of this kind.
                pub fn bind(pre: &InstancePre<CallState>, admission: &Admission) -> Result<$name, Cause> {
                    debug_assert!(admission.inspection.world.contains(interface(sluice_core::PluginKind::$kind)));
                    let world = &admission.inspection.world;
                    match admission.contract {
                        Contract::V0_1 => v0_1_0::$name::bind(pre, world).map($name::V0_1),
                    }
                }
            }
        )+
    };
}

kinds!(
    /// A router's functions.
    Routing = Router,
    /// A redactor's functions.
    Redaction = Redactor,
    /// A capture filter's functions.
    Filtering = CaptureFilter,
    /// A health probe's functions.
    Probing = HealthProbe,
);
