//! A million strings out of two small arrays: a thousand choices share one list of five hundred pairs, and every text
//! of a pair is one mebibyte, the same bytes each time. Lifted as they stand they are a tebibyte.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::extra_unused_type_parameters, reason = "the export macro hands the guest's type over")]

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, _: Vec<Candidate>) -> Outcome {
        choose(Vec::new())
    }
}

/// The generated bindings with one function replaced.
mod replaced {
    pub mod exports {
        pub mod sluicegate {
            pub mod plugin {
                pub use hostile_router::bindings::exports::sluicegate::plugin::about;

                pub mod routing {
                    pub use crate::raw::route as _export_route_cabi;
                    pub use hostile_router::bindings::exports::sluicegate::plugin::routing::__export_sluicegate_plugin_routing_0_1_0_cabi;

                    pub unsafe fn __post_return_route<T>(_: *mut u8) {}
                }
            }
        }
    }
}

hostile_router::bindings::export!(Guest with_types_in replaced);

/// The canonical ABI's own layout.
mod raw {
    const STRING_BYTES: usize = 1 << 20;
    const CHOICES: usize = 1_000;
    const PAIRS: usize = 500;

    type Text = (*const u8, usize);

    #[repr(C)]
    #[derive(Clone)]
    struct Pair {
        key: Text,
        value: Text,
    }

    #[repr(C, align(8))]
    #[derive(Clone)]
    struct Choice {
        candidate: Text,
        reasoning_effort: (u32, Text),
        timeout_ms: (u32, u32),
        output_tokens_max: (u64, u64),
        ext: (*const Pair, usize),
    }

    #[repr(C)]
    struct Answer {
        is_fault: u32,
        verdict: (u32, (*const Choice, usize)),
        reason: Text,
        sentence: Text,
        evidence: (*const Pair, usize),
        ext: (*const Pair, usize),
    }

    pub unsafe fn route<T>(_: *mut u8) -> *mut u8 {
        let text: &'static [u8] = vec![b'a'; STRING_BYTES].leak();
        let all: Text = (text.as_ptr(), text.len());
        let pairs: &'static [Pair] = vec![Pair { key: all, value: all }; PAIRS].leak();
        let choice = Choice {
            candidate: (text.as_ptr(), 1),
            reasoning_effort: (0, all),
            timeout_ms: (0, 0),
            output_tokens_max: (0, 0),
            ext: (pairs.as_ptr(), PAIRS),
        };
        let choices: &'static [Choice] = vec![choice; CHOICES].leak();
        let answer = Answer {
            is_fault: 0,
            verdict: (0, (choices.as_ptr(), CHOICES)),
            reason: (text.as_ptr(), 1),
            sentence: (text.as_ptr(), 1),
            evidence: (pairs.as_ptr(), 0),
            ext: (pairs.as_ptr(), 0),
        };
        core::ptr::from_mut(Box::leak(Box::new(answer))).cast()
    }
}
