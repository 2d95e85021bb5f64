//! Answers properly and traps in `post-return`, where the host lets it tidy up.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::extra_unused_type_parameters, reason = "the export macro hands the guest's type over")]

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        choose(candidates.into_iter().map(|candidate| candidate.id).collect())
    }
}

/// The generated bindings with one function replaced.
mod replaced {
    pub mod exports {
        pub mod sluicegate {
            pub mod plugin {
                pub use hostile_router::bindings::exports::sluicegate::plugin::about;

                pub mod routing {
                    pub use hostile_router::bindings::exports::sluicegate::plugin::routing::{
                        __export_sluicegate_plugin_routing_0_1_0_cabi, _export_route_cabi,
                    };

                    pub unsafe fn __post_return_route<T>(_: *mut u8) {
                        core::arch::wasm32::unreachable()
                    }
                }
            }
        }
    }
}

hostile_router::bindings::export!(Guest with_types_in replaced);
