//! A million strings out of two small arrays: a thousand results share one list of a thousand spans, and every span
//! names a rule of one mebibyte, the same bytes each time. Lifted as they stand they are a tebibyte.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::extra_unused_type_parameters, reason = "the export macro hands the guest's type over")]

use hostile_redactor::{Field, FieldResult, Hostile};

struct Guest;

impl Hostile for Guest {
    fn scan(_: Vec<Field>) -> Vec<FieldResult> {
        Vec::new()
    }
}

/// The generated bindings with one function replaced.
mod replaced {
    pub mod exports {
        pub mod sluicegate {
            pub mod plugin {
                pub use hostile_redactor::bindings::exports::sluicegate::plugin::about;

                pub mod redaction {
                    pub use crate::raw::scan as _export_scan_cabi;
                    pub use hostile_redactor::bindings::exports::sluicegate::plugin::redaction::{
                        __export_sluicegate_plugin_redaction_0_1_0_cabi, __post_return_rules,
                        _export_rules_cabi,
                    };

                    pub unsafe fn __post_return_scan<T>(_: *mut u8) {}
                }
            }
        }
    }
}

hostile_redactor::bindings::export!(Guest with_types_in replaced);

/// The canonical ABI's own layout.
mod raw {
    const STRING_BYTES: usize = 1 << 20;
    const RESULTS: usize = 1_000;
    const SPANS: usize = 1_000;

    #[repr(C)]
    #[derive(Clone)]
    struct Span {
        start: u32,
        end: u32,
        rule: (*const u8, usize),
        confidence_permille: u32,
    }

    #[repr(C)]
    #[derive(Clone)]
    struct FieldResult {
        spans: (*const Span, usize),
        settled: u32,
        carry: (*const u8, usize),
    }

    #[repr(C)]
    struct Answer {
        is_fault: u32,
        results: (*const FieldResult, usize),
    }

    pub unsafe fn scan<T>(_: *mut u8, _: usize, _: *mut u8, _: usize) -> *mut u8 {
        let text: &'static [u8] = vec![b'a'; STRING_BYTES].leak();
        let span = Span { start: 0, end: 1, rule: (text.as_ptr(), text.len()), confidence_permille: 1 };
        let spans: &'static [Span] = vec![span; SPANS].leak();
        let result = FieldResult { spans: (spans.as_ptr(), SPANS), settled: 0, carry: (text.as_ptr(), 0) };
        let results: &'static [FieldResult] = vec![result; RESULTS].leak();
        let answer = Answer { is_fault: 0, results: (results.as_ptr(), RESULTS) };
        core::ptr::from_mut(Box::leak(Box::new(answer))).cast()
    }
}
