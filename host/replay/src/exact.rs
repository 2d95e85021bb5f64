//! The exact proof: every event of the run derived again where it follows from others.

use crate::policies::Policies;
use crate::report::Report;
use crate::stages::Stages;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_core::contract::capture_filter::FilterAction;
use sluice_core::record::{
    Answer, BudgetThreshold, CaptureFiltered, Escalation, HealthProbed, ModelCallEnvelope, PluginFaultRecord,
    PolicySnapshotRef, RedactionApplied, RouteVerdictTaken, RoutingDecision, RunFinished,
};
use sluice_core::{Dialect, Event, EventKind, FaultCode, PluginKind};
use sluice_governance::governor::fault_of;
use sluice_governance::route::HealthById;
use sluice_governance::{Direction, Governor, Ledger, TOLD, arguments, capture, ledger, probe, route};
use std::collections::VecDeque;

pub(crate) type Checked = Result<(), String>;

/// What the events so far amount to.
#[derive(Default)]
struct Walk {
    ledger: Ledger,
    health: HealthById,
    /// Attempts of the call that is under way.
    earlier: Vec<sluice_core::contract::router::EarlierAttempt>,
    call: u64,
    decision: Option<(sluice_core::LogicalUri, RoutingDecision)>,
    request: Option<RedactionApplied>,
    response: Option<RedactionApplied>,
    filtered: Option<CaptureFiltered>,
    /// Events that must still come, because others imply them.
    due_marks: VecDeque<BudgetThreshold>,
    due_escalation: Option<Escalation>,
    due_faults: VecDeque<(PluginKind, FaultCode)>,
}

/// Walks all events in order.
pub(crate) fn prove(
    events: &[Event],
    policies: &mut Policies<'_>,
    mut stages: Stages<'_>,
    report: &mut Report,
) {
    let mut walk = Walk::default();
    for (at, event) in events.iter().enumerate() {
        // A checkpoint is the capsule's own and verified there; so is the chain.
        if event.kind == EventKind::Checkpoint {
            continue;
        }
        let governor = match policies.governor(&event.policy) {
            Ok(governor) => governor.clone(),
            Err(broken) => {
                report.mismatch(&event.uri, "policy", &broken);
                continue;
            }
        };
        if governor.policy().snapshot.engine_id != sluice_plugin::PluginEngine::engine_id() {
            report.fuel_compared = false;
        }
        walk.event(event, &governor, report);
        stages.event(event, &events[..at], &governor, report);
    }
    if let Some(last) = events.last() {
        walk.at_end(last, report);
    }
}

pub(crate) fn read<T: DeserializeOwned>(event: &Event) -> Result<T, String> {
    serde_json::from_value(event.payload.clone())
        .map_err(|error| format!("the payload does not read back: {error}"))
}

pub(crate) fn same<T: PartialEq + Serialize>(what: &str, recorded: &T, derived: &T) -> Checked {
    if recorded == derived {
        return Ok(());
    }
    let show = |value: &T| serde_json::to_string(value).unwrap_or_else(|_| "?".into());
    let (recorded, derived) = (show(recorded), show(derived));
    let differs = recorded.bytes().zip(derived.bytes()).position(|(a, b)| a != b).unwrap_or(0);
    let cut = |text: &str| {
        let from = text.floor_char_boundary(differs.saturating_sub(40));
        text[from..text.floor_char_boundary((differs + 80).min(text.len()))].to_owned()
    };
    Err(format!("{what}: recorded …{}…, derived …{}…", cut(&recorded), cut(&derived)))
}

/// Takes fuel out of the comparison where the engine is another one.
fn without_fuel<T: Clone>(answer: &Answer<T>) -> Answer<T> {
    match answer {
        Answer::Answered { value, .. } => Answer::Answered { value: value.clone(), fuel_used: 0 },
        Answer::Faulted { code } => Answer::Faulted { code: *code },
    }
}

/// Whether an answer could only be had on the machine that recorded it.
fn machine_fault<T>(answer: &Answer<T>) -> bool {
    matches!(answer, Answer::Faulted { code } if !code.deterministic())
}

impl Walk {
    fn event(&mut self, event: &Event, governor: &Governor, report: &mut Report) {
        let (check, outcome) = match event.kind {
            EventKind::PolicySnapshotRef => ("policy", self.policy(event, governor)),
            EventKind::HealthProbed => ("health", self.health(event, governor, report)),
            EventKind::RoutingDecision => {
                let outcome = self.budget_facts(event, governor);
                report.check(&event.uri, "budget", outcome);
                let outcome = self.candidates(event, governor);
                report.check(&event.uri, "candidates", outcome);
                ("route", self.route(event, governor, report))
            }
            EventKind::RedactionApplied => ("redaction", self.redaction(event, governor)),
            EventKind::CaptureFiltered => ("filter", self.filter(event, governor, report)),
            EventKind::ModelCallEnvelope => {
                let outcome = self.texts(event, governor, report);
                report.check(&event.uri, "text", outcome);
                ("envelope", self.envelope(event, governor))
            }
            EventKind::BudgetThreshold => ("budget", self.mark(event)),
            EventKind::Escalation => ("escalation", self.escalation(event)),
            EventKind::PluginFault => ("fault", self.fault(event)),
            EventKind::RunFinished => ("totals", self.finished(event)),
            _ => return,
        };
        report.check(&event.uri, check, outcome);
    }

    fn policy(&mut self, event: &Event, governor: &Governor) -> Checked {
        let recorded: PolicySnapshotRef = read(event)?;
        same("plugins", &recorded.plugins, &governor.plugins())?;
        same("engine", &recorded.engine_id, &governor.policy().snapshot.engine_id)
    }

    fn health(&mut self, event: &Event, governor: &Governor, report: &mut Report) -> Checked {
        let mut recorded: HealthProbed = read(event)?;
        report.decisions += 1;
        self.health.insert(recorded.endpoint.id.clone(), probe::health(&recorded));
        let faults = recorded.rounds.iter().map(|round| fault_of(&round.judgement));
        let fault = fault_of(&recorded.plan).or_else(|| faults.flatten().next());
        self.due_faults.extend(fault.map(|code| (PluginKind::HealthProbe, code)));
        if machine_fault(&recorded.plan)
            || recorded.rounds.iter().any(|round| machine_fault(&round.judgement))
        {
            report.machine_faults += 1;
            return Ok(());
        }
        let mut derived = governor.reprobe(&recorded).ok_or("the probe asks for more than was recorded")?;
        if !report.fuel_compared {
            for probed in [&mut recorded, &mut derived] {
                probed.plan = without_fuel(&probed.plan);
                for round in &mut probed.rounds {
                    round.judgement = without_fuel(&round.judgement);
                }
            }
        }
        same("probe", &recorded, &derived)
    }

    /// What the router was told of money, tokens and earlier attempts follows from the events before.
    fn budget_facts(&mut self, event: &Event, governor: &Governor) -> Checked {
        let recorded: RoutingDecision = read(event)?;
        if recorded.call != self.call {
            self.call = recorded.call;
            self.earlier.clear();
        }
        let policy = &governor.policy().snapshot;
        same("budget", &recorded.facts.budget, &self.ledger.budget(&policy.governance.budgets))?;
        same("reflex rules", &recorded.facts.reflex, &route::reflex_rules(policy))?;
        same("run", &recorded.facts.run_id, &event.run_id.to_string())?;
        same("attempt", &recorded.attempt, &recorded.facts.attempt)?;
        same("earlier attempts", &recorded.facts.earlier, &self.earlier)
    }

    /// What policy allowed follows from the snapshot and the probes.
    fn candidates(&self, event: &Event, governor: &Governor) -> Checked {
        let recorded: RoutingDecision = read(event)?;
        same("candidates", &recorded.candidates, &governor.candidates(&recorded.facts, &self.health))
    }

    fn route(&mut self, event: &Event, governor: &Governor, report: &mut Report) -> Checked {
        let mut recorded: RoutingDecision = read(event)?;
        report.decisions += 1;
        self.ledger.calls = self.ledger.calls.max(recorded.call);
        self.decision = Some((event.uri.clone(), recorded.clone()));
        (self.request, self.response, self.filtered) = (None, None, None);
        self.due_faults.extend(fault_of(&recorded.answer).map(|code| (PluginKind::Router, code)));
        if machine_fault(&recorded.answer) {
            report.machine_faults += 1;
            return Ok(());
        }
        let mut derived = governor.route(recorded.call, recorded.facts.clone(), recorded.candidates.clone());
        if !report.fuel_compared {
            recorded.answer = without_fuel(&recorded.answer);
            derived.answer = without_fuel(&derived.answer);
        }
        same("decision", &recorded, &derived)
    }

    fn redaction(&mut self, event: &Event, governor: &Governor) -> Checked {
        let recorded: RedactionApplied = read(event)?;
        self.due_faults.extend(fault_of(&recorded.answer).map(|code| (PluginKind::Redactor, code)));
        let plugins = governor.plugins();
        let pinned = plugins.iter().find(|plugin| plugin.kind == PluginKind::Redactor);
        same("redactor", &Some(&recorded.plugin), &pinned)?;
        let told = recorded.told;
        if told > TOLD {
            return Err(format!("the redactor was told more than this version can tell: {told}, not {TOLD}"));
        }
        let redaction = &governor.policy().snapshot.governance.security.redaction;
        match recorded.what.as_str() {
            "request" => {
                same("egress", &recorded.egress, &redaction.egress)?;
                self.request = Some(recorded);
            }
            "response" => self.response = Some(recorded),
            // Labels, a probe's exchange, a failing server's words, a specification: their redacted form is what
            // other events and artefacts hold.
            _ => {}
        }
        Ok(())
    }

    fn filter(&mut self, event: &Event, governor: &Governor, report: &mut Report) -> Checked {
        let mut recorded: CaptureFiltered = read(event)?;
        report.decisions += 1;
        self.filtered = Some(recorded.clone());
        self.due_faults.extend(fault_of(&recorded.answer).map(|code| (PluginKind::CaptureFilter, code)));
        same("capture mode", &recorded.mode, &governor.policy().snapshot.governance.capture.mode)?;
        if machine_fault(&recorded.answer) {
            report.machine_faults += 1;
            let derived = capture::apply(recorded.mode, &recorded.items, &recorded.answer);
            return same("verdicts", &recorded.applied, &derived);
        }
        let mut derived = governor.refilter(&recorded);
        if !report.fuel_compared {
            recorded.answer = without_fuel(&recorded.answer);
            derived.answer = without_fuel(&derived.answer);
        }
        same("verdicts", &recorded, &derived)
    }

    /// The stored texts: equal to their commitments, and a new scan finds nothing in them.
    fn texts(&self, event: &Event, governor: &Governor, report: &mut Report) -> Checked {
        let recorded: ModelCallEnvelope = read(event)?;
        let answers = &mut report.model_answers;
        match recorded.response.as_ref().map(|response| response.action) {
            Some(FilterAction::Keep) => answers.kept += 1,
            Some(FilterAction::HashOnly) => answers.committed += 1,
            Some(FilterAction::Drop) => answers.dropped += 1,
            None => answers.none += 1,
        }
        // What is kept of an answer that was none are a failing server's words, scanned for the record alone.
        let answered = if self.response.is_some() { Direction::Response } else { Direction::Record };
        let texts = [
            ("request", Direction::Request, Some(&recorded.request), &self.request),
            ("answer", answered, recorded.response.as_ref(), &self.response),
        ];
        for (what, direction, captured, applied) in texts {
            let Some(captured) = captured else { continue };
            if capture::commitment_holds(captured) == Some(false) {
                return Err(format!("the kept {what} is not what was committed to"));
            }
            let Some(text) = &captured.text else { continue };
            report.decisions += 1;
            let told = applied.as_ref().map_or(0, |applied| applied.told);
            match governor.rescan(direction, text, told) {
                Ok(0) => {}
                Ok(found) => return Err(format!("a new scan of the kept {what} finds {found} secrets")),
                Err(blocked) => return Err(format!("the kept {what} cannot be scanned again: {blocked}")),
            }
        }
        self.restored(&recorded, governor)?;
        let findings = self.request.iter().flat_map(|request| &request.findings);
        match &recorded.request.text {
            Some(text) => {
                let missing = findings.filter(|finding| !text.contains(&finding.tag)).count();
                same("findings without placeholder in the kept request", &missing, &0)
            }
            None => Ok(()),
        }
    }

    /// What was put back for the caller is what stands in the kept answer's text and in the arguments of the tools
    /// that policy lists, and nothing where policy gives nothing back.
    fn restored(&self, recorded: &ModelCallEnvelope, governor: &Governor) -> Checked {
        let Some(response) = &self.response else { return Ok(()) };
        let redaction = &governor.policy().snapshot.governance.security.redaction;
        if !redaction.restore {
            return same("restored placeholders", &response.restored, &0);
        }
        let text = recorded.response.as_ref().and_then(|response| response.text.as_ref());
        let (Some(request), Some(text)) = (&self.request, text) else { return Ok(()) };
        let dialect: Dialect =
            recorded.dialect.parse().map_err(|_| "a dialect that nobody knows".to_owned())?;
        if arguments::count_before(dialect, &request.findings, text) == Some(response.restored) {
            return Ok(());
        }
        let derived = arguments::count(redaction, dialect, &request.findings, text);
        same("restored placeholders", &response.restored, &derived)
    }

    fn envelope(&mut self, event: &Event, governor: &Governor) -> Checked {
        let recorded: ModelCallEnvelope = read(event)?;
        let policy = &governor.policy().snapshot;
        let marks = self.ledger.spend(&policy.governance.budgets, &recorded);
        self.due_marks.extend(marks);
        self.earlier.push(ledger::earlier(&recorded));
        let skipped = std::mem::replace(&mut self.due_escalation, ledger::escalation(policy, &recorded));
        same("escalation of the attempt before", &None, &skipped)?;
        let (uri, decision) = self.decision.as_ref().ok_or("an attempt without a decision")?;
        same("decision", &recorded.decision, uri)?;
        let RouteVerdictTaken::Call(chosen) = &decision.verdict else {
            return Err("an attempt that the decision does not allow".into());
        };
        let asked = (&recorded.candidate, &recorded.provider, &recorded.model, recorded.mode);
        same("model", &asked, &(&chosen.candidate, &chosen.provider, &chosen.model, chosen.mode))?;
        same("number", &(recorded.call, recorded.attempt), &(decision.call, decision.attempt))?;
        let cost = ledger::cost(policy, &recorded.candidate, recorded.usage.as_ref());
        same("cost", &recorded.cost, &cost)?;
        same("plugins", &recorded.plugins, &governor.plugins())?;
        self.captured(&recorded)?;
        same("fuel", &recorded.fuel, &self.fuel(decision))
    }

    /// What was kept is what the filter's verdicts allow.
    fn captured(&self, recorded: &ModelCallEnvelope) -> Checked {
        let filtered = self.filtered.as_ref().ok_or("an attempt without a capture decision")?;
        let verdict = |at: usize| filtered.applied.get(at).map(|verdict| verdict.action);
        same("capture of the request", &Some(recorded.request.action), &verdict(0))?;
        match &recorded.response {
            Some(response) => same("capture of the answer", &Some(response.action), &verdict(1)),
            None => Ok(()),
        }
    }

    fn fuel(&self, decision: &RoutingDecision) -> Vec<(PluginKind, u64)> {
        let scans = [&self.request, &self.response];
        let redactor = scans.into_iter().flatten().filter_map(|scan| scan.answer.fuel_used()).sum();
        let filter = self.filtered.as_ref().and_then(|filtered| filtered.answer.fuel_used());
        decision
            .answer
            .fuel_used()
            .map(|fuel| (PluginKind::Router, fuel))
            .into_iter()
            .chain([(PluginKind::Redactor, redactor)])
            .chain(filter.map(|fuel| (PluginKind::CaptureFilter, fuel)))
            .collect()
    }

    fn mark(&mut self, event: &Event) -> Checked {
        let recorded: BudgetThreshold = read(event)?;
        same("mark", &Some(recorded), &self.due_marks.pop_front())
    }

    fn escalation(&mut self, event: &Event) -> Checked {
        let recorded: Escalation = read(event)?;
        same("escalation", &Some(recorded), &self.due_escalation.take())
    }

    fn fault(&mut self, event: &Event) -> Checked {
        let recorded: PluginFaultRecord = read(event)?;
        same("fault", &Some((recorded.plugin.kind, recorded.code)), &self.due_faults.pop_front())
    }

    fn finished(&mut self, event: &Event) -> Checked {
        let recorded: RunFinished = read(event)?;
        let derived = self.ledger.finished(&recorded.outcome);
        same("totals", &recorded, &derived)
    }

    /// What other events imply and the record does not have.
    fn at_end(&self, last: &Event, report: &mut Report) {
        if !self.due_marks.is_empty() || self.due_escalation.is_some() || !self.due_faults.is_empty() {
            report.mismatch(&last.uri, "record", "an event that others imply is missing after this one");
        }
    }
}
