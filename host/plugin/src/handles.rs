//! Admitted plugins: one handle a kind. A handle is cheap to clone and can be called from any number of threads.

use crate::admission::{Admission, Contract, Inspection};
use crate::artifact::Artifact;
use crate::bindings::v0_1_0::About;
use crate::bindings::{Filtering, Probing, Redaction, Routing};
use crate::engine::PluginEngine;
use crate::error::{Cause, PluginError};
use crate::limits::{Budget, input};
use crate::run::{Ambient, CallState, Called, fresh};
use crate::shape;
use sluice_core::contract::about::{Description, PluginRef};
use sluice_core::contract::capture_filter::{FilterItem, FilterVerdict};
use sluice_core::contract::health_probe::{Judgement, PastProbe, ProbeEndpoint, ProbeExchange, ProbeRequest};
use sluice_core::contract::redactor::{Field, FieldResult, Rule};
use sluice_core::contract::router::{Candidate, RouteFacts, RouteOutcome};
use sluice_core::{CaptureMode, Digest, FaultCode, PluginKind, PluginLimits};
use std::fmt;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// What the four kinds have in common.
struct Admitted<F> {
    engine: PluginEngine,
    pre: InstancePre<CallState>,
    functions: F,
    limits: PluginLimits,
    inspection: Inspection,
    plugin_ref: PluginRef,
    description: Description,
}

type Bind<F> = fn(&InstancePre<CallState>, &Admission) -> Result<F, Cause>;

impl<F> Admitted<F> {
    fn load(
        engine: &PluginEngine,
        artifact: &Artifact,
        pin: Digest,
        limits: PluginLimits,
        (kind, bind): (PluginKind, Bind<F>),
    ) -> Result<Arc<Admitted<F>>, PluginError> {
        let admit = || {
            let (admission, pre) = engine.admit(artifact, pin, kind)?;
            let functions = bind(&pre, &admission)?;
            let description = describe(engine, &pre, &admission, &limits)?;
            Ok(Admitted {
                engine: engine.clone(),
                pre,
                functions,
                limits,
                plugin_ref: PluginRef {
                    kind,
                    name: description.name.clone(),
                    version: description.version.clone(),
                    digest: artifact.digest(),
                },
                description,
                inspection: admission.inspection,
            })
        };
        admit().map(Arc::new).map_err(|cause| PluginError::about(Some(kind), artifact.digest(), cause))
    }

    fn call<T>(
        &self,
        budget: Budget,
        ambient: Ambient,
        body: impl FnOnce(&F, &mut Store<CallState>, &Instance) -> wasmtime::Result<Result<T, FaultCode>>,
    ) -> Result<Called<T>, PluginError> {
        fresh(&self.engine, &self.pre, budget, ambient, |store, instance| {
            body(&self.functions, store, instance)
        })
        .map_err(|cause| PluginError::about(Some(self.plugin_ref.kind), self.plugin_ref.digest, cause))
    }

    fn budget(&self, input_bytes: u64) -> Budget {
        Budget::of_call(&self.limits, input_bytes)
    }
}

/// Asks a plugin what it is, once, under its own limits.
fn describe(
    engine: &PluginEngine,
    pre: &InstancePre<CallState>,
    admission: &Admission,
    limits: &PluginLimits,
) -> Result<Description, Cause> {
    let Contract::V0_1 = admission.contract;
    let about = About::bind(pre, &admission.about)?;
    let budget = Budget::of_admission(limits, 0);
    let said = fresh(engine, pre, budget, Ambient::default(), |store, instance| {
        about.describe(store, instance).map(Ok)
    });
    match said {
        Ok(said) => shape::description(said.value, admission.inspection.kind),
        Err(Cause::Fault(code)) => Err(Cause::Describe(code)),
        Err(other) => Err(other),
    }
}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident($functions:ident), $load:ident, $what:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone)]
            pub struct $name {
                admitted: Arc<Admitted<$functions>>,
            }

            impl $name {
                /// Which plugin this is, as events record it.
                pub fn plugin_ref(&self) -> &PluginRef {
                    &self.admitted.plugin_ref
                }

                /// What it says of itself, checked.
                pub fn description(&self) -> &Description {
                    &self.admitted.description
                }

                /// What it is by its structure.
                pub fn inspection(&self) -> &Inspection {
                    &self.admitted.inspection
                }

                /// The limits of its calls.
                pub fn limits(&self) -> &PluginLimits {
                    &self.admitted.limits
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_tuple(stringify!($name)).field(self.plugin_ref()).finish()
                }
            }
        )+

        impl PluginEngine {
            $(
                #[doc = concat!("Admits an artifact as a ", $what, ".")]
                ///
                /// `pin` is compared before anything looks at the bytes. The plugin is asked to describe itself
                /// once, under `limits`.
                ///
                /// # Errors
                /// Load phase: it is no component, or the compiler refuses it. Check phase: it is not what was
                /// pinned, not of this kind, of a contract version that this host does not speak, has imports
                /// that plugins are not given, or cannot describe itself. Call phase: the host had no room to
                /// let it describe itself.
                pub fn $load(
                    &self,
                    artifact: &Artifact,
                    pin: Digest,
                    limits: PluginLimits,
                ) -> Result<$name, PluginError> {
                    let kind = (PluginKind::$name, $functions::bind as Bind<$functions>);
                    Admitted::load(self, artifact, pin, limits, kind).map(|admitted| $name { admitted })
                }
            )+
        }
    };
}

handles!(
    /// Orders candidates.
    Router(Routing), load_router, "router";
    /// Finds secrets.
    Redactor(Redaction), load_redactor, "redactor";
    /// Lowers what is captured.
    CaptureFilter(Filtering), load_capture_filter, "capture filter";
    /// Plans and judges health requests.
    HealthProbe(Probing), load_health_probe, "health probe";
);

impl Router {
    /// Orders the candidates for one attempt. A pure function: the same arguments under the same engine id give
    /// the same answer and the same fuel.
    ///
    /// # Errors
    /// Call phase: no usable answer; [`PluginError::fault_code`] says why.
    pub fn route(
        &self,
        config: &str,
        facts: &RouteFacts,
        candidates: &[Candidate],
    ) -> Result<Called<RouteOutcome>, PluginError> {
        let budget = self.admitted.budget(input::of_route(config, facts, candidates));
        let ambient = Ambient { now_ms: facts.now_ms, seed: facts.seed };
        self.admitted.call(budget, ambient, |Routing::V0_1(functions), store, instance| {
            let answer = functions.route(store, instance, (config, facts, candidates))?;
            Ok(answer.and_then(shape::outcome))
        })
    }
}

impl Redactor {
    /// What it can find, under this configuration. Asked when a policy is compiled.
    ///
    /// # Errors
    /// As [`Router::route`].
    pub fn rules(&self, config: &str) -> Result<Called<Vec<Rule>>, PluginError> {
        let budget = Budget::of_admission(&self.admitted.limits, config.len() as u64);
        self.admitted.call(budget, Ambient::default(), |Redaction::V0_1(functions), store, instance| {
            let answer = functions.rules(store, instance, config)?;
            Ok(answer.and_then(shape::rules))
        })
    }

    /// Finds secrets: one result a field. Content is borrowed, and copied once, into the guest's memory.
    ///
    /// # Errors
    /// As [`Router::route`]. The text must not leave then.
    pub fn scan(&self, config: &str, fields: &[Field<'_>]) -> Result<Called<Vec<FieldResult>>, PluginError> {
        let budget = self.admitted.budget(input::of_scan(config, fields));
        self.admitted.call(budget, Ambient::default(), |Redaction::V0_1(functions), store, instance| {
            let answer = functions.scan(store, instance, (config, fields))?;
            Ok(answer.and_then(|found| shape::results(found, fields)))
        })
    }
}

impl CaptureFilter {
    /// One verdict an item, in the order of the items.
    ///
    /// # Errors
    /// As [`Router::route`].
    pub fn filter(
        &self,
        config: &str,
        mode: CaptureMode,
        items: &[FilterItem],
    ) -> Result<Called<Vec<FilterVerdict>>, PluginError> {
        let budget = self.admitted.budget(input::of_filter(config, mode.code(), items));
        self.admitted.call(budget, Ambient::default(), |Filtering::V0_1(functions), store, instance| {
            let answer = functions.filter(store, instance, (config, mode, items))?;
            Ok(answer.and_then(|verdicts| shape::verdicts(verdicts, items.len())))
        })
    }
}

impl HealthProbe {
    /// The first round of requests.
    ///
    /// # Errors
    /// As [`Router::route`].
    pub fn plan(
        &self,
        config: &str,
        endpoint: &ProbeEndpoint,
        history: &[PastProbe],
    ) -> Result<Called<Vec<ProbeRequest>>, PluginError> {
        let budget = self.admitted.budget(input::of_plan(config, endpoint, history));
        self.admitted.call(budget, now_of(endpoint), |Probing::V0_1(functions), store, instance| {
            let answer = functions.plan(store, instance, (config, endpoint, history))?;
            Ok(answer.and_then(shape::plan))
        })
    }

    /// A verdict on every exchange so far, or another round.
    ///
    /// # Errors
    /// As [`Router::route`].
    pub fn judge(
        &self,
        config: &str,
        endpoint: &ProbeEndpoint,
        exchanges: &[ProbeExchange],
    ) -> Result<Called<Judgement>, PluginError> {
        let budget = self.admitted.budget(input::of_judge(config, endpoint, exchanges));
        self.admitted.call(budget, now_of(endpoint), |Probing::V0_1(functions), store, instance| {
            let answer = functions.judge(store, instance, (config, endpoint, exchanges))?;
            Ok(answer.and_then(|judged| shape::judgement(judged, exchanges)))
        })
    }
}

/// A probe is told the time and no seed: nothing in it is drawn.
fn now_of(endpoint: &ProbeEndpoint) -> Ambient {
    Ambient { now_ms: endpoint.now_ms, seed: 0 }
}
