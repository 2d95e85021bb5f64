//! One attempt: decision in hand, redact, commit, send, and hand what came back to be recorded.

use crate::admit::CallRequest;
use crate::listen::{Hearing, Live};
use crate::record::Outcome;
use crate::reply::{AttemptSummary, CallFailure, CallReply};
use crate::run::Run;
use crate::scanning::MayScan;
use sluice_core::contract::router::EarlierAttempt;
use sluice_core::record::{
    Answer, AttemptOutcome, Chosen, PluginFaultRecord, RedactionApplied, RouteVerdictTaken, RoutingDecision,
};
use sluice_core::{Cleared, Event, EventDraft, EventKind, FaultCode, LogicalUri};
use sluice_governance::governor::fault_of;
use sluice_governance::ledger::{self, Step};
use sluice_governance::{Blocked, Scanned};
use sluice_policy::snapshot::Provider;
use sluice_provider::{CallError, ChatCall, Reply, Streamed};
use std::time::Duration;

/// One attempt of one call.
pub(crate) struct Attempt<'a> {
    pub run: &'a Run,
    pub request: &'a CallRequest,
    pub body: &'a ChatCall,
    pub call: u64,
    pub number: u32,
}

/// How it ended, where the call goes on or is answered; what ends the call otherwise is a [`CallFailure`].
pub(crate) enum Ended {
    Answered(Box<CallReply>),
    Failed {
        summary: AttemptSummary,
        /// The same attempt, as the router is told of it.
        as_earlier: EarlierAttempt,
        retry_after_ms: Option<u64>,
        step: Step,
        detail: String,
        hint: String,
    },
}

/// What was decided and committed before anything left.
pub(crate) struct Committed {
    pub decision: RoutingDecision,
    pub uri: LogicalUri,
    pub redaction: RedactionApplied,
    pub scanned: Scanned,
}

impl Attempt<'_> {
    /// `before` is what is to be recorded ahead of the decision; `made` are the attempts before this one.
    pub(crate) async fn make(
        &self,
        decision: RoutingDecision,
        before: Vec<EventDraft>,
        made: &[AttemptSummary],
        live: Option<&mut Live<'_>>,
    ) -> Result<Ended, CallFailure> {
        let chosen = match &decision.verdict {
            RouteVerdictTaken::Call(chosen) => chosen.clone(),
            RouteVerdictTaken::Refuse | RouteVerdictTaken::NeedsApproval => {
                return Err(self.refused(decision, before, made).await?);
            }
        };
        let policy = &self.run.governor().policy().snapshot;
        let Some(provider) = policy.model_config.providers.get(&chosen.provider) else {
            // Compile refuses a model without provider; a snapshot that loaded has passed the same check.
            return Err(self.refused(decision, before, made).await?);
        };
        let (committed, cleared) = self.clear(decision, &chosen, provider, before).await?;
        let underway = Underway::new(self, &chosen, provider, &committed);
        let outcome = Outcome::of(&self.send(&chosen, provider, cleared, &committed, live).await);
        let may = self.run.may_scan(outcome.unscanned_bytes()).await;
        // From here on nothing waits before the envelope is in line.
        underway.over();
        self.finish(&chosen, provider, committed, outcome, may).await
    }

    /// Steps 3 and half of 6: redact, and commit decision and findings before anything leaves.
    async fn clear(
        &self,
        decision: RoutingDecision,
        chosen: &Chosen,
        provider: &Provider,
        before: Vec<EventDraft>,
    ) -> Result<(Committed, Cleared), CallFailure> {
        let scope = self.run.scope(self.call, self.number);
        let (redaction, cleared) = self.run.redact(scope, provider.dialect, chosen, self.body).await;
        let mut drafts = before;
        let decision_at = drafts.len();
        drafts.push(self.draft(EventKind::RoutingDecision, &decision));
        drafts.extend(self.fault(&decision.plugin, fault_of(&decision.answer), "policy-order"));
        drafts.push(self.draft(EventKind::RedactionApplied, &redaction));
        drafts.extend(self.fault(&redaction.plugin, fault_of(&redaction.answer), "blocked"));
        if let Err(blocked) = &cleared {
            drafts.push(self.draft(EventKind::ErrorEvent, &self.blocked_record("request", blocked)));
        }
        let events = self.run.record(drafts).await?;
        self.counted();
        let uri = event_uri(&events, decision_at)?;
        match cleared {
            Ok((cleared, scanned)) => Ok((Committed { decision, uri, redaction, scanned }, cleared)),
            Err(source) => Err(CallFailure::Blocked { what: "request", source }),
        }
    }

    /// Step 4, call: the only place from which text leaves, and it takes nothing but `Cleared`.
    async fn send(
        &self,
        chosen: &Chosen,
        provider: &Provider,
        cleared: Cleared,
        committed: &Committed,
        live: Option<&mut Live<'_>>,
    ) -> Result<Reply, SendFailure> {
        let parts = self.run.parts();
        let endpoint = parts.endpoints.endpoint(&chosen.provider, provider).map_err(SendFailure::Key)?;
        let timeout = Duration::from_millis(chosen.timeout_ms);
        let stream = self.request.stream;
        let sent = match live {
            Some(live) => {
                live.begin();
                let mut hearing = Hearing::new(self, committed, provider.dialect, live);
                let mut on_part = |part: Streamed<'_>| match part {
                    Streamed::Text(so_far) => hearing.hear(so_far),
                    Streamed::Call(call) => hearing.hear_call(&call),
                };
                parts.client.send_listening(&endpoint, cleared, stream, timeout, &mut on_part).await
            }
            None => parts.client.send(&endpoint, cleared, stream, timeout).await,
        };
        sent.map_err(|error| SendFailure::Call(Box::new(error)))
    }

    /// Steps 5 and 6, filter and record; then 7, escalate.
    async fn finish(
        &self,
        chosen: &Chosen,
        provider: &Provider,
        committed: Committed,
        outcome: Outcome,
        may: MayScan,
    ) -> Result<Ended, CallFailure> {
        let recorded = self.record(chosen, provider, &committed, &outcome, may).await?;
        let summary = AttemptSummary {
            attempt: self.number,
            candidate: chosen.candidate.clone(),
            mode: chosen.mode,
            reason: committed.decision.reason.clone(),
            outcome: outcome.kind,
        };
        if outcome.kind != AttemptOutcome::Ok {
            return Ok(Ended::Failed {
                summary,
                as_earlier: recorded.as_earlier,
                retry_after_ms: outcome.retry_after_ms,
                step: ledger::step(&self.run.governor().policy().snapshot, self.number, outcome.kind),
                detail: outcome.detail,
                hint: outcome.hint,
            });
        }
        let answer = recorded.answer.map_err(|source| CallFailure::Blocked { what: "answer", source })?;
        Ok(Ended::Answered(Box::new(CallReply {
            run_id: self.run.id().clone(),
            call: self.call,
            decision: committed.uri,
            envelope: recorded.envelope,
            provider: chosen.provider.clone(),
            model: chosen.model.clone(),
            mode: chosen.mode,
            reason: committed.decision.reason,
            sentence: committed.decision.sentence,
            text: answer.text,
            tool_calls: answer.tool_calls,
            recorded: answer.recorded,
            loopback: outcome.loopback,
            usage: outcome.usage,
            cost: recorded.cost,
            attempts: vec![summary],
            dropped: committed.redaction.dropped.into_iter().chain(answer.dropped).collect(),
            findings: committed.redaction.findings,
            response_findings: answer.findings,
        })))
    }

    /// The router, or policy, says no: recorded, then reported.
    async fn refused(
        &self,
        decision: RoutingDecision,
        before: Vec<EventDraft>,
        made: &[AttemptSummary],
    ) -> Result<CallFailure, CallFailure> {
        let mut drafts = before;
        let decision_at = drafts.len();
        drafts.push(self.draft(EventKind::RoutingDecision, &decision));
        drafts.extend(self.fault(&decision.plugin, fault_of(&decision.answer), "refused"));
        let events = self.run.record(drafts).await?;
        self.counted();
        let uri = event_uri(&events, decision_at)?;
        let RoutingDecision { reason, sentence, verdict, .. } = decision;
        if let Some(last) = made.last() {
            // An attempt was made and failed, and now no candidate is left: the failure is what matters.
            return Ok(CallFailure::Failed {
                attempts: made.to_vec(),
                last: last.outcome.code(),
                detail: sentence,
                hint: format!("`sluice capsule resolve-uri {uri}` shows why no other model was left"),
            });
        }
        Ok(match verdict {
            RouteVerdictTaken::NeedsApproval => {
                CallFailure::NeedsApproval { reason, sentence, decision: Box::new(uri) }
            }
            _ => CallFailure::Refused { reason, sentence, decision: Box::new(uri) },
        })
    }

    fn now_ms(&self) -> u64 {
        (self.run.parts().clock)().millis_u64()
    }

    /// A call counts once its decision is committed.
    fn counted(&self) {
        self.run.with_state(|state| state.ledger.calls = state.ledger.calls.max(self.call));
    }

    pub(crate) fn draft(&self, kind: EventKind, payload: &impl serde::Serialize) -> EventDraft {
        self.run.draft(kind, self.request.role, self.request.stage, payload)
    }

    /// The listener was told something else than the answer, scanned as a whole, turned out to be: the redactor
    /// called text settled that was not. Recorded, and no answer.
    pub(crate) async fn told_otherwise(&self) -> CallFailure {
        let blocked = Blocked::Redactor(FaultCode::BrokenContract);
        let mut record = self.blocked_record("answer", &blocked);
        record.code = "stream-differs".to_owned();
        match self.run.record(vec![self.draft(EventKind::ErrorEvent, &record)]).await {
            Ok(_) => CallFailure::Blocked { what: "answer", source: blocked },
            Err(error) => error.into(),
        }
    }

    /// The event of a plugin's failure, where there was one.
    pub(crate) fn fault(
        &self,
        plugin: &sluice_core::contract::about::PluginRef,
        code: Option<sluice_core::FaultCode>,
        consequence: &str,
    ) -> Option<EventDraft> {
        let record = PluginFaultRecord::of(self.call, self.number, plugin, code, consequence)?;
        Some(self.draft(EventKind::PluginFault, &record))
    }

    pub(crate) fn blocked_record(&self, what: &str, blocked: &Blocked) -> sluice_core::record::ErrorRecord {
        let code = match blocked {
            Blocked::Redactor(_) => "blocked-redactor-failed",
            Blocked::ByPolicy(_) => "blocked-by-policy",
            Blocked::ProtectedField => "blocked-protected-field",
            Blocked::NotJson(_) => "blocked-not-json",
            Blocked::TooLarge => "blocked-too-large",
            Blocked::Survivor => "blocked-survivor",
        };
        sluice_core::record::ErrorRecord {
            call: self.call,
            code: code.to_owned(),
            message: format!("the {what} was held back: {blocked}"),
        }
    }

    /// Fuel of a plugin's answer, with its kind.
    pub(crate) fn fuel<T>(
        kind: sluice_core::PluginKind,
        answer: &Answer<T>,
    ) -> Option<(sluice_core::PluginKind, u64)> {
        answer.fuel_used().map(|fuel| (kind, fuel))
    }
}

/// A request that is with the model. Where whoever asked goes away meanwhile, that is how the attempt ended,
/// and the record says so: something was sent, and it may have been paid for.
struct Underway<'a> {
    attempt: &'a Attempt<'a>,
    chosen: &'a Chosen,
    provider: &'a Provider,
    committed: &'a Committed,
    since_ms: u64,
    waiting: bool,
}

impl<'a> Underway<'a> {
    fn new(
        attempt: &'a Attempt<'a>,
        chosen: &'a Chosen,
        provider: &'a Provider,
        committed: &'a Committed,
    ) -> Underway<'a> {
        let since_ms = attempt.now_ms();
        Underway { attempt, chosen, provider, committed, since_ms, waiting: true }
    }

    fn over(mut self) {
        self.waiting = false;
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if self.waiting {
            let outcome = Outcome::cancelled(self.attempt.now_ms().saturating_sub(self.since_ms));
            let prepared = self.attempt.prepare(self.chosen, self.provider, self.committed, &outcome);
            self.attempt.run.record_unheard(prepared.drafts);
        }
    }
}

/// Nothing came back, or nothing was sent.
pub(crate) enum SendFailure {
    Key(sluice_provider::keys::KeyProblem),
    Call(Box<CallError>),
}

/// The URI of the `at`-th event of a group. The journal gives one event back for each that it took; were one
/// missing, nothing is acknowledged.
pub(crate) fn event_uri(events: &[Event], at: usize) -> Result<LogicalUri, sluice_capsule::CapsuleError> {
    let missing = || sluice_capsule::CapsuleError::NotFound("an event of the group just committed".into());
    events.get(at).map(|event| event.uri.clone()).ok_or_else(missing)
}
