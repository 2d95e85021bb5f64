//! Answers properly and traps in `post-return`, where the host lets it tidy up.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::extra_unused_type_parameters, reason = "the export macro hands the guest's type over")]

use hostile_redactor::{Field, FieldResult, Hostile, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |_| Vec::new())
    }
}

/// The generated bindings with one function replaced.
mod replaced {
    pub mod exports {
        pub mod sluicegate {
            pub mod plugin {
                pub use hostile_redactor::bindings::exports::sluicegate::plugin::about;

                pub mod redaction {
                    pub use hostile_redactor::bindings::exports::sluicegate::plugin::redaction::{
                        __export_sluicegate_plugin_redaction_0_1_0_cabi, __post_return_rules,
                        _export_rules_cabi, _export_scan_cabi,
                    };

                    pub unsafe fn __post_return_scan<T>(_: *mut u8) {
                        core::arch::wasm32::unreachable()
                    }
                }
            }
        }
    }
}

hostile_redactor::bindings::export!(Guest with_types_in replaced);
