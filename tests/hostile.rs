//! Guests that misbehave, each behind the gateway: what the host did instead, and that nothing left.

use crate::rig::{self, Setup, question, small_task};
use sluice_bundled::hostile::{self, Guest};
use sluice_core::record::{
    Answer, CaptureFiltered, ErrorRecord, HealthProbed, ModelCallEnvelope, Origin, PluginFaultRecord,
    RedactionApplied, RoutingDecision,
};
use sluice_core::{EventKind, FaultCode, Mode, PluginKind};
use sluice_gateway::CallFailure;
use sluice_governance::Blocked;
use sluice_plugin::Phase;

/// Planted in every prompt; hostile guests read it, none of them may get it out.
const PLANTED: &str = "the planted words é qxvtrejkl-97531";

/// What the host owes a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    /// Refused before any snapshot pins it, in this phase, with these words.
    Refused(Phase, &'static str),
    /// Each call of it fails with this code.
    Fault(FaultCode),
    /// Nothing that the host could hold against it by itself: there is a test of its own.
    Own,
}

fn owed(name: &str) -> Owed {
    use FaultCode::{
        BrokenContract, DeclinedInternal, DeclinedUnsupported, OutOfFuel, OutOfMemory, OutsidePolicy,
    };
    use FaultCode::{StackOverflow, TooMuchOutput, Trap};
    use Owed::{Fault, Own, Refused};
    match name {
        "redactor_aliases" | "router_aliases" => Fault(TooMuchOutput),
        "redactor_bad_rules" => Refused(Phase::Call, "broken-contract"),
        "redactor_big_carry" | "redactor_confidence" | "redactor_settles_too_little" => Fault(BrokenContract),
        "redactor_settles_too_much" | "redactor_spans_backwards" | "redactor_spans_in_char" => {
            Fault(BrokenContract)
        }
        "redactor_spans_outside" | "redactor_unnamed_code" | "redactor_unnamed_rule" => Fault(BrokenContract),
        "redactor_wrong_count" => Fault(BrokenContract),
        "redactor_hoards_at_start" => Refused(Phase::Check, "out-of-memory"),
        "redactor_imports" | "router_imports" | "imports_in_instance" => {
            Refused(Phase::Check, "it imports what plugins are not given")
        }
        "redactor_loops" | "router_loops" | "filter_loops" => Fault(OutOfFuel),
        "redactor_hoards" | "router_hoards" => Fault(OutOfMemory),
        "redactor_loops_in_start" | "router_loops_in_start" => Refused(Phase::Check, "out-of-fuel"),
        "redactor_recurses" => Fault(StackOverflow),
        "redactor_says_router" | "router_says_redactor" => Refused(Phase::Check, "description"),
        "redactor_tells" => Fault(DeclinedInternal),
        "redactor_traps" | "redactor_traps_after" | "router_traps" | "router_traps_after" => Fault(Trap),
        "filter_traps" | "probe_traps" => Fault(Trap),
        "redactor_blind" | "redactor_echoes" | "redactor_remembers" | "redactor_spans_overlap" => Own,
        "router_remembers" | "filter_keeps_all" => Own,
        "router_bad_reason" | "router_chooses_nothing" | "router_long_sentence" => Fault(BrokenContract),
        "router_much_evidence" | "router_names_twice" | "router_odd_effort" => Fault(BrokenContract),
        "router_declines" => Fault(DeclinedUnsupported),
        "router_outside_policy" => Fault(OutsidePolicy),
        "filter_bad_reason" | "filter_wrong_count" => Fault(BrokenContract),
        "probe_climbs" | "probe_floods" | "probe_leaves_origin" | "probe_never_ends" => Fault(BrokenContract),
        "probe_other_host" => Fault(BrokenContract),
        "empty_interface" | "no_about" => Refused(Phase::Check, "it"),
        "exports_nothing" | "unknown_interface" => {
            Refused(Phase::Check, "exports none of the plugin interfaces")
        }
        "future_contract" => Refused(Phase::Check, "contract version not supported"),
        "not_a_component" => Refused(Phase::Load, "a core module, not a component"),
        "two_kinds" => Refused(Phase::Check, "it exports more than one plugin interface"),
        other => panic!("no test says what the host owes `{other}`"),
    }
}

fn faulty(kind: PluginKind) -> impl Iterator<Item = (&'static Guest, FaultCode)> {
    hostile::ALL.iter().filter(move |guest| guest.kind == kind).filter_map(|guest| match owed(guest.name) {
        Owed::Fault(code) => Some((guest, code)),
        Owed::Refused(..) | Owed::Own => None,
    })
}

#[test]
fn guests_that_are_not_what_they_must_be_are_refused_before_any_snapshot_names_them() {
    let mut wrong = Vec::new();
    for guest in hostile::ALL {
        let told = rig::facts(guest.kind, guest.bytes).map(|facts| facts.name);
        match (owed(guest.name), told) {
            (Owed::Refused(phase, words), Err(error)) => {
                if error.phase() != phase || !error.to_string().contains(words) {
                    wrong.push(format!("{}: {:?}: {error}", guest.name, error.phase()));
                }
            }
            (Owed::Refused(..), Ok(_)) => wrong.push(format!("{} was let in", guest.name)),
            (Owed::Fault(_) | Owed::Own, Ok(_)) => {}
            (Owed::Fault(_) | Owed::Own, Err(error)) => wrong.push(format!("{}: {error}", guest.name)),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_redactor_that_fails_holds_the_text_back() {
    let mut wrong = Vec::new();
    for (guest, code) in faulty(PluginKind::Redactor) {
        let rig = Setup::new().plugin(guest.kind, guest.bytes).start().await;
        let run = rig.run().await;
        let id = run.id().clone();
        let mut request = question(PLANTED);
        request.paths = vec!["docs/plan.md".to_owned()];
        let failure = run.call(request).await.unwrap_err();
        let CallFailure::Blocked { what: "request", source: Blocked::Redactor(found) } = &failure else {
            panic!("{}: {failure}", guest.name);
        };
        if *found != code {
            wrong.push(format!("{}: {found}", guest.name));
        }
        assert!(failure.is_refusal() && failure.hint().is_some(), "{}", guest.name);
        assert_eq!((rig.cloud.requests(), rig.local.requests()), (0, 0), "{}: something left", guest.name);

        let faults: Vec<PluginFaultRecord> = rig.recorded(&id, EventKind::PluginFault);
        // The text could not be scanned, and did not leave; labels that could not be were not recorded. (A guest
        // that lies about the text's longer letters has nothing to lie about in a plain path.)
        let told: Vec<_> = faults.iter().map(|fault| (fault.code, fault.consequence.as_str())).collect();
        let both = [(*found, "dropped"), (*found, "blocked")];
        assert!(told == both || told == both[1..], "{}: {told:?}", guest.name);
        assert!(faults.iter().all(|fault| fault.plugin.digest == rig.digest(guest.kind)));
        let applied: Vec<RedactionApplied> = rig.recorded(&id, EventKind::RedactionApplied);
        assert_eq!(applied.len(), told.len(), "{}", guest.name);
        assert_eq!(applied[applied.len() - 1].what, "request", "{}", guest.name);
        for scan in &applied {
            let faulted = scan.answer == Answer::Faulted { code: *found };
            assert!(!scan.passed && faulted, "{}: {}", guest.name, scan.what);
        }
        let errors: Vec<ErrorRecord> = rig.recorded(&id, EventKind::ErrorEvent);
        assert_eq!(errors[0].code, "blocked-redactor-failed");
        assert!(rig.recorded::<ModelCallEnvelope>(&id, EventKind::ModelCallEnvelope).is_empty());
        run.finish("blocked").await.unwrap();
        assert!(!rig.stored(PLANTED), "{}: the journal holds what was planted", guest.name);
        rig.prove(&id);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// With all the fuel in the world, memory has its own limit.
#[tokio::test]
async fn memory_ends_where_fuel_does_not() {
    for (kind, bytes) in
        [(PluginKind::Redactor, hostile::REDACTOR_HOARDS), (PluginKind::Router, hostile::ROUTER_HOARDS)]
    {
        let next = if kind == PluginKind::Redactor { "capture_filter" } else { "redactor" };
        let limits = format!("[plugins.{kind}.limits]\nfuel_base = 10_000_000_000\ndeadline_ms = 60_000\n\n");
        let section = format!("[plugins.{next}]");
        let rig =
            Setup::new().plugin(kind, bytes).edit(&section, &format!("{limits}{section}")).start().await;
        let run = rig.run().await;
        let _ = run.call(question(PLANTED)).await;
        let faults: Vec<PluginFaultRecord> = rig.recorded(run.id(), EventKind::PluginFault);
        assert_eq!((faults.len(), faults[0].code), (1, FaultCode::OutOfMemory), "{kind}");
        rig.prove(run.id());
    }
}

/// The positive control of every search in this file: without a hostile guest the planted words do leave, and
/// the journal does hold them.
#[tokio::test]
async fn the_search_for_planted_words_finds_them_where_they_are() {
    let rig = Setup::new().start().await;
    rig.run().await.call(question(PLANTED)).await.unwrap();
    assert!(rig.left(PLANTED) && rig.stored(PLANTED));
}

#[tokio::test]
async fn a_router_that_fails_is_replaced_by_policy_order() {
    let mut wrong = Vec::new();
    for (guest, code) in faulty(PluginKind::Router) {
        let rig = Setup::new().plugin(guest.kind, guest.bytes).start().await;
        let run = rig.run().await;
        let id = run.id().clone();
        let reply = run.call(question("Plan this.")).await.unwrap();
        assert_eq!(
            (reply.model.as_str(), reply.reason.as_str()),
            (rig::CLAUDE, "router-failed-policy-order")
        );
        let decisions: Vec<RoutingDecision> = rig.recorded(&id, EventKind::RoutingDecision);
        assert_eq!(decisions.len(), 1, "{}", guest.name);
        let decision = &decisions[0];
        assert_eq!(decision.origin, Origin::PolicyOrder, "{}", guest.name);
        let faults: Vec<PluginFaultRecord> = rig.recorded(&id, EventKind::PluginFault);
        assert_eq!(faults.len(), 1, "{}", guest.name);
        let found = faults[0].code;
        if found != code {
            wrong.push(format!("{}: {found}", guest.name));
        }
        assert_eq!(decision.evidence, [("router-fault".to_owned(), found.code().to_owned())]);
        assert_eq!(decision.answer, Answer::Faulted { code: found });
        assert_eq!(
            (faults[0].plugin.digest, faults[0].consequence.as_str()),
            (rig.digest(guest.kind), "policy-order")
        );
        run.finish("ok").await.unwrap();
        rig.prove(&id);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Policy order goes on where the model before failed: a broken router does not send every attempt to one model.
#[tokio::test]
async fn policy_order_takes_the_next_model_after_a_failure() {
    use sluice_loopback::{Behaviour, Rule};
    let rig = Setup::new()
        .plugin(PluginKind::Router, hostile::ROUTER_TRAPS)
        .cloud(Rule::new(Behaviour::Fail(500)).for_model(rig::CLAUDE))
        .start()
        .await;
    let run = rig.run().await;
    let reply = run.call(question("Plan this.")).await.unwrap();
    let asked: Vec<&str> = reply.attempts.iter().map(|attempt| attempt.candidate.as_str()).collect();
    assert_eq!(asked, ["cloud/claude-sonnet-4-20250514", "cloud/gpt-4o"]);
    rig.prove(&reply.run_id);
}

#[tokio::test]
async fn a_filter_that_fails_drops_what_would_be_kept() {
    let mut wrong = Vec::new();
    for (guest, code) in faulty(PluginKind::CaptureFilter) {
        let rig = Setup::new().plugin(guest.kind, guest.bytes).start().await;
        let run = rig.run().await;
        let id = run.id().clone();
        let reply = run.call(question(PLANTED)).await.unwrap();
        assert!(reply.text.starts_with("[loopback]"), "the answer does not depend on what is kept");
        let filtered: Vec<CaptureFiltered> = rig.recorded(&id, EventKind::CaptureFiltered);
        assert!(
            filtered[0].applied.iter().all(|verdict| verdict.reason == "filter-failed"),
            "{}",
            guest.name
        );
        let envelopes: Vec<ModelCallEnvelope> = rig.recorded(&id, EventKind::ModelCallEnvelope);
        let response = envelopes[0].response.as_ref().unwrap();
        for captured in [&envelopes[0].request, response] {
            assert_eq!(captured.action, sluice_core::contract::capture_filter::FilterAction::Drop);
            assert!(captured.text.is_none() && captured.salt.is_none());
        }
        let faults: Vec<PluginFaultRecord> = rig.recorded(&id, EventKind::PluginFault);
        assert_eq!((faults.len(), faults[0].consequence.as_str()), (1, "dropped"), "{}", guest.name);
        assert_eq!(faults[0].plugin.digest, rig.digest(guest.kind));
        if faults[0].code != code {
            wrong.push(format!("{}: {}", guest.name, faults[0].code));
        }
        run.finish("ok").await.unwrap();
        assert!(!rig.stored(PLANTED), "{}", guest.name);
        rig.prove(&id);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_filter_cannot_keep_more_than_the_mode() {
    for (mode, request_kept, answer_kept) in [("none", false, false), ("prompts-only", true, false)] {
        let rig = Setup::new()
            .plugin(PluginKind::CaptureFilter, hostile::FILTER_KEEPS_ALL)
            .edit("mode = \"full-io\"", &format!("mode = \"{mode}\""))
            .start()
            .await;
        let run = rig.run().await;
        let id = run.id().clone();
        run.call(question(PLANTED)).await.unwrap();
        let envelopes: Vec<ModelCallEnvelope> = rig.recorded(&id, EventKind::ModelCallEnvelope);
        assert_eq!(envelopes[0].request.text.is_some(), request_kept, "{mode}");
        assert_eq!(envelopes[0].response.as_ref().unwrap().text.is_some(), answer_kept, "{mode}");
        assert_eq!(rig.stored(PLANTED), request_kept, "{mode}");
        rig.prove(&id);
    }
}

#[tokio::test]
async fn a_probe_that_fails_makes_its_endpoint_unhealthy() {
    let mut wrong = Vec::new();
    for (guest, code) in faulty(PluginKind::HealthProbe) {
        let rig = Setup::new().plugin(guest.kind, guest.bytes).start().await;
        let run = rig.run().await;
        let id = run.id().clone();
        let reply = run.call(small_task("Write this function.")).await.unwrap();
        assert_eq!(reply.mode, Mode::Cloud, "{}: an endpoint without a verdict was used", guest.name);
        let probed: Vec<HealthProbed> = rig.recorded(&id, EventKind::HealthProbed);
        assert_eq!((probed[0].state.as_str(), probed[0].reason.as_str()), ("unhealthy", "probe-failed"));
        let lines: Vec<String> = rig.local.received().into_iter().map(|request| request.line).collect();
        assert!(lines.iter().all(|line| line == "GET /v1/models"), "{}: {lines:?}", guest.name);
        let faults: Vec<PluginFaultRecord> = rig.recorded(&id, EventKind::PluginFault);
        assert_eq!((faults.len(), faults[0].consequence.as_str()), (1, "unhealthy"), "{}", guest.name);
        assert_eq!(faults[0].plugin.digest, rig.digest(guest.kind));
        if faults[0].code != code {
            wrong.push(format!("{}: {}", guest.name, faults[0].code));
        }
        run.finish("ok").await.unwrap();
        rig.prove(&id);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_blind_redactor_cannot_let_known_values_out() {
    const KNOWN: &str = "opensesame-0123456789";
    let rig = Setup::new().plugin(PluginKind::Redactor, hostile::REDACTOR_BLIND).known(KNOWN).start().await;
    let run = rig.run().await;
    let reply = run.call(question(&format!("The password is {KNOWN}, twice: {KNOWN}."))).await.unwrap();
    assert_eq!(reply.findings.len(), 2);
    assert!(reply.findings.iter().all(|found| found.rule == sluice_governance::KNOWN_VALUE_RULE));
    assert!(!rig.left(KNOWN) && !rig.stored(KNOWN));
    rig.prove(&reply.run_id);
}

/// Spans that overlap are allowed, and merged; here they cover the model's name too, which must not be edited.
#[tokio::test]
async fn overlapping_spans_are_no_fault_of_the_plugin() {
    let rig = Setup::new().plugin(PluginKind::Redactor, hostile::REDACTOR_SPANS_OVERLAP).start().await;
    let run = rig.run().await;
    let id = run.id().clone();
    let failure = run.call(question(PLANTED)).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Blocked { source: Blocked::ProtectedField, .. }), "{failure}");
    assert_eq!(rig.cloud.requests(), 0);
    assert!(rig.recorded::<PluginFaultRecord>(&id, EventKind::PluginFault).is_empty());
    assert!(!rig.stored(PLANTED));
    rig.prove(&id);
}

/// What a guest remembers of one call is gone in the next: each call has a fresh instance.
#[tokio::test]
async fn no_guest_remembers_an_earlier_call() {
    let rig = Setup::new()
        .plugin(PluginKind::Redactor, hostile::REDACTOR_REMEMBERS)
        .plugin(PluginKind::Router, hostile::ROUTER_REMEMBERS)
        .start()
        .await;
    let run = rig.run().await;
    for number in 1..=3 {
        let reply = run.call(question("Plan this.")).await.unwrap();
        assert_eq!((reply.call, reply.reason.as_str(), reply.findings.len()), (number, "hostile", 0));
    }
    let report = rig.prove(run.id());
    assert!(report.decisions > 0);
}
