//! Guests that misbehave, one thing each: sources in `plugins/hostile`. For tests only.
//!
//! The constants' documentation is what the guest does; what the host owes in return is the tests' business.

use crate::component;
use sluice_core::PluginKind;

/// A guest that misbehaves.
#[derive(Debug, Clone, Copy)]
pub struct Guest {
    /// Its file's name in `plugins/hostile`.
    pub name: &'static str,
    /// The kind it stands for; for a file that is no component, the kind a test may load it as.
    pub kind: PluginKind,
    /// The component.
    pub bytes: &'static [u8],
}

macro_rules! guests {
    ($($(#[$doc:meta])+ $constant:ident = $kind:ident $name:literal;)+) => {
        $($(#[$doc])+ pub const $constant: &[u8] = component!($name);)+

        /// All of them.
        pub const ALL: &[Guest] =
            &[$(Guest { name: $name, kind: PluginKind::$kind, bytes: $constant }),+];
    };
}

guests! {
    /// A million strings out of two small arrays: a thousand results share one list of a thousand spans,
    /// and every span names a rule of one mebibyte, the same bytes each time. Lifted as they stand they are
    /// a tebibyte.
    REDACTOR_ALIASES = Redactor "redactor_aliases";
    /// Two rules of one id, and an id that is no code.
    REDACTOR_BAD_RULES = Redactor "redactor_bad_rules";
    /// Carries what it scanned, and more than 4 KiB of it.
    REDACTOR_BIG_CARRY = Redactor "redactor_big_carry";
    /// Finds nothing, in proper form: what the host knows to be secret has to be held back by the host.
    REDACTOR_BLIND = Redactor "redactor_blind";
    /// Confidence above 1000 permille.
    REDACTOR_CONFIDENCE = Redactor "redactor_confidence";
    /// Sound: of each word `echo` it says, as its rule's id, what it was told of whose word that is; `hush` it
    /// finds where a tool said it, `stale` where nobody did, `Sign in` in answers.
    REDACTOR_ECHOES = Redactor "redactor_echoes";
    /// Takes memory until there is no more.
    REDACTOR_HOARDS = Redactor "redactor_hoards";
    /// Asks for 128 MiB before its first instruction.
    REDACTOR_HOARDS_AT_START = Redactor "redactor_hoards_at_start";
    /// A proper redactor that imports a function: the host must not admit it, whatever the function is
    /// called.
    REDACTOR_IMPORTS = Redactor "redactor_imports";
    /// Never returns from `scan`.
    REDACTOR_LOOPS = Redactor "redactor_loops";
    /// Never returns from the function that runs when it is instantiated, before any call.
    REDACTOR_LOOPS_IN_START = Redactor "redactor_loops_in_start";
    /// Calls itself without end.
    REDACTOR_RECURSES = Redactor "redactor_recurses";
    /// Finds something from its second call on: an instance that is used twice shows.
    REDACTOR_REMEMBERS = Redactor "redactor_remembers";
    /// Exports a redactor and says that it is a router.
    REDACTOR_SAYS_ROUTER = Redactor "redactor_says_router";
    /// Says that nothing is settled where nothing follows.
    REDACTOR_SETTLES_TOO_LITTLE = Redactor "redactor_settles_too_little";
    /// Says that more bytes are settled than there are.
    REDACTOR_SETTLES_TOO_MUCH = Redactor "redactor_settles_too_much";
    /// Spans that end before they start.
    REDACTOR_SPANS_BACKWARDS = Redactor "redactor_spans_backwards";
    /// Spans that start inside a character; none where every character is one byte.
    REDACTOR_SPANS_IN_CHAR = Redactor "redactor_spans_in_char";
    /// Spans that end behind the text.
    REDACTOR_SPANS_OUTSIDE = Redactor "redactor_spans_outside";
    /// Overlapping spans, twice the same, in no order. The contract allows all three; the host merges.
    REDACTOR_SPANS_OVERLAP = Redactor "redactor_spans_overlap";
    /// Declines, and says what it read in the fault's `ext`: the host must record the code alone.
    REDACTOR_TELLS = Redactor "redactor_tells";
    /// Traps in `scan`.
    REDACTOR_TRAPS = Redactor "redactor_traps";
    /// Answers properly and traps in `post-return`, where the host lets it tidy up.
    REDACTOR_TRAPS_AFTER = Redactor "redactor_traps_after";
    /// A rule that is a proper code and that `rules` never named.
    REDACTOR_UNNAMED_CODE = Redactor "redactor_unnamed_code";
    /// A rule that `rules` never named. Its id is what was scanned: the host must not record it.
    REDACTOR_UNNAMED_RULE = Redactor "redactor_unnamed_rule";
    /// One result too few.
    REDACTOR_WRONG_COUNT = Redactor "redactor_wrong_count";
    /// A million strings out of two small arrays: a thousand choices share one list of five hundred pairs,
    /// and every text of a pair is one mebibyte, the same bytes each time. Lifted as they stand they are a
    /// tebibyte.
    ROUTER_ALIASES = Router "router_aliases";
    /// A reason that is no code.
    ROUTER_BAD_REASON = Router "router_bad_reason";
    /// Chooses, and names nobody.
    ROUTER_CHOOSES_NOTHING = Router "router_chooses_nothing";
    /// Declines, with words of its own in `ext`: the host must record the code alone.
    ROUTER_DECLINES = Router "router_declines";
    /// Takes memory until there is no more.
    ROUTER_HOARDS = Router "router_hoards";
    /// A proper router that imports a function: the host must not admit it, whatever the function is
    /// called.
    ROUTER_IMPORTS = Router "router_imports";
    /// A sentence of 100 KB: less than may cross the boundary, and more than a sentence may have.
    ROUTER_LONG_SENTENCE = Router "router_long_sentence";
    /// Never returns from `route`.
    ROUTER_LOOPS = Router "router_loops";
    /// Never returns from the function that runs when it is instantiated, before any call.
    ROUTER_LOOPS_IN_START = Router "router_loops_in_start";
    /// A thousand pairs of evidence.
    ROUTER_MUCH_EVIDENCE = Router "router_much_evidence";
    /// The same candidate twice.
    ROUTER_NAMES_TWICE = Router "router_names_twice";
    /// A reasoning effort that does not exist, no time at all, and more tokens than there are.
    ROUTER_ODD_EFFORT = Router "router_odd_effort";
    /// A candidate that policy does not allow, in front of those that it does.
    ROUTER_OUTSIDE_POLICY = Router "router_outside_policy";
    /// Refuses from its second call on: an instance that is used twice shows.
    ROUTER_REMEMBERS = Router "router_remembers";
    /// Exports a router and says that it is a redactor.
    ROUTER_SAYS_REDACTOR = Router "router_says_redactor";
    /// Traps in `route`.
    ROUTER_TRAPS = Router "router_traps";
    /// Answers properly and traps in `post-return`, where the host lets it tidy up.
    ROUTER_TRAPS_AFTER = Router "router_traps_after";
    /// A reason that is no code.
    FILTER_BAD_REASON = CaptureFilter "filter_bad_reason";
    /// Keeps everything, whatever the mode: the host must not keep more than the mode permits.
    FILTER_KEEPS_ALL = CaptureFilter "filter_keeps_all";
    /// Never returns from `filter`.
    FILTER_LOOPS = CaptureFilter "filter_loops";
    /// Traps in `filter`.
    FILTER_TRAPS = CaptureFilter "filter_traps";
    /// One verdict too few.
    FILTER_WRONG_COUNT = CaptureFilter "filter_wrong_count";
    /// Plans a request above the base URL.
    PROBE_CLIMBS = HealthProbe "probe_climbs";
    /// Five requests in a round of four.
    PROBE_FLOODS = HealthProbe "probe_floods";
    /// Plans a request to another origin.
    PROBE_LEAVES_ORIGIN = HealthProbe "probe_leaves_origin";
    /// Always asks for another round.
    PROBE_NEVER_ENDS = HealthProbe "probe_never_ends";
    /// Plans a request to another host without naming a scheme.
    PROBE_OTHER_HOST = HealthProbe "probe_other_host";
    /// Traps in `judge`.
    PROBE_TRAPS = HealthProbe "probe_traps";
    /// The right names with no functions behind them: a type check has to notice.
    EMPTY_INTERFACE = Router "empty_interface";
    /// A component that exports nothing.
    EXPORTS_NOTHING = Router "exports_nothing";
    /// A router of a contract that this host cannot know yet.
    FUTURE_CONTRACT = Router "future_contract";
    /// A function to import that hides in an instance under the contract's own name.
    IMPORTS_IN_INSTANCE = Redactor "imports_in_instance";
    /// A router that does not say what it is.
    NO_ABOUT = Router "no_about";
    /// A core module: valid WebAssembly, and no component.
    NOT_A_COMPONENT = Router "not_a_component";
    /// Router and redactor in one: which limits should it have?
    TWO_KINDS = Redactor "two_kinds";
    /// A component whose only export is no interface of the contract.
    UNKNOWN_INTERFACE = Router "unknown_interface";
}
