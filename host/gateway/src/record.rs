//! Step 6, record: the envelope of one attempt, committed before anything is acknowledged.

use crate::attempt::{Attempt, Committed, SendFailure, event_uri};
use crate::filter::verdict;
use crate::reply::CallFailure;
use crate::scanning::MayScan;
use sluice_core::contract::capture_filter::FilterAction;
use sluice_core::contract::router::EarlierAttempt;
use sluice_core::record::{
    AttemptOutcome, CaptureFiltered, Captured, Chosen, Finding, ModelCallEnvelope, RedactionApplied,
};
use sluice_core::{EventDraft, EventKind, LogicalUri, MicroUsd, PluginKind, Spoken, ToolCall, Usage};
use sluice_governance::capture::captured;
use sluice_governance::governor::fault_of;
use sluice_governance::ledger;
use sluice_governance::{Blocked, Scanned, arguments};
use sluice_policy::snapshot::Provider;
use sluice_provider::Reply;

/// What came of sending, in the words of the record.
pub(crate) struct Outcome {
    pub kind: AttemptOutcome,
    pub status: Option<u16>,
    pub duration_ms: u64,
    pub retry_after_ms: Option<u64>,
    pub loopback: bool,
    pub served_model: Option<String>,
    pub stop: Option<String>,
    pub usage: Option<Usage>,
    /// The answer's body, or what a failing server said: neither was scanned yet.
    unscanned: Option<Unscanned>,
    /// The host's own words.
    pub detail: String,
    pub hint: String,
}

enum Unscanned {
    Answer(String),
    Excerpt(String),
}

/// What is to be committed.
pub(crate) struct Prepared {
    pub drafts: Vec<EventDraft>,
    envelope_at: usize,
    envelope: ModelCallEnvelope,
    scanned: Option<Result<Scanned, Blocked>>,
}

/// What was committed.
pub(crate) struct Recorded {
    pub envelope: LogicalUri,
    pub cost: Option<MicroUsd>,
    pub as_earlier: EarlierAttempt,
    pub answer: Result<AnswerText, Blocked>,
}

/// What the caller may be handed.
#[derive(Default)]
pub(crate) struct AnswerText {
    pub text: String,
    /// The tools that it asks for.
    pub tool_calls: Vec<ToolCall>,
    /// The text with every finding replaced.
    pub recorded: String,
    pub findings: Vec<Finding>,
    /// What was found in blocks that were left out.
    pub dropped: Vec<Finding>,
}

impl Outcome {
    /// Whoever asked did not wait.
    pub(crate) fn cancelled(duration_ms: u64) -> Outcome {
        Outcome {
            kind: AttemptOutcome::Cancelled,
            status: None,
            duration_ms,
            retry_after_ms: None,
            loopback: false,
            served_model: None,
            stop: None,
            usage: None,
            unscanned: None,
            detail: String::new(),
            hint: String::new(),
        }
    }

    /// How much of it has to be scanned.
    pub(crate) fn unscanned_bytes(&self) -> usize {
        match &self.unscanned {
            Some(Unscanned::Answer(text) | Unscanned::Excerpt(text)) => text.len(),
            None => 0,
        }
    }

    pub(crate) fn of(sent: &Result<Reply, SendFailure>) -> Outcome {
        let failed = |kind,
                      status,
                      duration_ms,
                      retry_after_ms,
                      excerpt: Option<String>,
                      detail,
                      hint: Option<String>| Outcome {
            kind,
            status,
            duration_ms,
            retry_after_ms,
            loopback: false,
            served_model: None,
            stop: None,
            usage: None,
            unscanned: excerpt.map(Unscanned::Excerpt),
            detail,
            hint: hint.unwrap_or_else(|| "`sluice capsule events --run RUN` shows every attempt".into()),
        };
        match sent {
            Ok(reply) => Outcome {
                kind: AttemptOutcome::Ok,
                status: Some(reply.status),
                duration_ms: reply.duration_ms,
                retry_after_ms: None,
                loopback: reply.answer.loopback,
                served_model: reply.answer.served_model.clone(),
                stop: reply.answer.stop.clone(),
                usage: reply.answer.usage,
                unscanned: Some(Unscanned::Answer(reply.answer.body.to_string())),
                detail: String::new(),
                hint: String::new(),
            },
            Err(SendFailure::Key(problem)) => {
                failed(AttemptOutcome::MissingKey, None, 0, None, None, problem.to_string(), problem.hint())
            }
            Err(SendFailure::Call(error)) => failed(
                error.outcome,
                error.status,
                error.duration_ms,
                error.retry_after_ms,
                error.excerpt.clone(),
                error.to_string(),
                error.hint(),
            ),
        }
    }
}

/// What an answer says after redaction. The body went through the dialect's reading once already, so it
/// reads again; were it not to, nothing is handed out and never anything unscanned.
fn spoken(dialect: sluice_core::Dialect, outcome: &Outcome, wire: &str) -> Spoken {
    let status = outcome.status.unwrap_or(200);
    sluice_provider::decode(dialect, status, "application/json", wire.as_bytes())
        .map(|answer| Spoken { text: answer.text, tool_calls: answer.tool_calls })
        .unwrap_or_default()
}

impl Attempt<'_> {
    /// Redacts and filters what came back, then commits the envelope with everything that belongs to it.
    pub(crate) async fn record(
        &self,
        chosen: &Chosen,
        provider: &Provider,
        committed: &Committed,
        outcome: &Outcome,
        may: MayScan,
    ) -> Result<Recorded, CallFailure> {
        let Prepared { drafts, envelope_at, envelope, scanned } =
            may.scan(|| self.prepare(chosen, provider, committed, outcome));
        let events = self.run.record(drafts).await?;
        let answer = match scanned {
            Some(Ok(scanned)) => {
                let told = self.restore(committed, spoken(provider.dialect, outcome, &scanned.wire));
                Ok(AnswerText {
                    text: told.text,
                    tool_calls: told.tool_calls,
                    recorded: spoken(provider.dialect, outcome, &scanned.record).text,
                    findings: scanned.findings,
                    dropped: scanned.dropped,
                })
            }
            Some(Err(blocked)) => Err(blocked),
            None => Ok(AnswerText::default()),
        };
        let as_earlier = ledger::earlier(&envelope);
        let (cost, envelope) = (envelope.cost, event_uri(&events, envelope_at)?);
        Ok(Recorded { envelope, cost, as_earlier, answer })
    }

    /// What is committed of an attempt when it is over.
    pub(crate) fn prepare(
        &self,
        chosen: &Chosen,
        provider: &Provider,
        committed: &Committed,
        outcome: &Outcome,
    ) -> Prepared {
        let (mut response, scanned) = self.scan_response(outcome);
        let asked = (outcome.kind == AttemptOutcome::Ok).then_some(&committed.redaction.findings);
        if let (Some(applied), Some(Ok(scanned)), Some(asked)) = (&mut response, &scanned, asked) {
            applied.restored = arguments::count(self.redaction(), provider.dialect, asked, &scanned.record);
        }
        let filtered = self.filter(committed, scanned.as_ref().and_then(|scanned| scanned.as_ref().ok()));
        let envelope =
            self.envelope(chosen, provider, committed, outcome, response.as_ref(), &scanned, &filtered);
        let mut drafts = self.evidence(response, &scanned, &filtered);
        let envelope_at = drafts.len();
        drafts.push(self.draft(EventKind::ModelCallEnvelope, &envelope));
        let policy = &self.run.governor().policy().snapshot;
        let marks = self.run.with_state(|state| state.ledger.spend(&policy.governance.budgets, &envelope));
        drafts.extend(marks.iter().map(|mark| self.draft(EventKind::BudgetThreshold, mark)));
        let escalation = ledger::escalation(policy, &envelope);
        drafts.extend(escalation.map(|escalation| self.draft(EventKind::Escalation, &escalation)));
        Prepared { drafts, envelope_at, envelope, scanned }
    }

    /// The answer's scan, or a failing server's words for the record.
    fn scan_response(
        &self,
        outcome: &Outcome,
    ) -> (Option<RedactionApplied>, Option<Result<Scanned, Blocked>>) {
        let scope = self.run.scope(self.call, self.number);
        match &outcome.unscanned {
            Some(Unscanned::Answer(body)) => {
                let (applied, scanned) = self.run.governor().scan_response(scope, body);
                (Some(applied), Some(scanned))
            }
            Some(Unscanned::Excerpt(excerpt)) => {
                let (applied, scanned) = self.run.governor().redact_for_record(scope, "excerpt", excerpt);
                (applied, Some(scanned))
            }
            None => (None, None),
        }
    }

    /// Everything that stands before the envelope in its group.
    fn evidence(
        &self,
        response: Option<RedactionApplied>,
        scanned: &Option<Result<Scanned, Blocked>>,
        filtered: &CaptureFiltered,
    ) -> Vec<EventDraft> {
        let mut drafts = Vec::new();
        if let Some(response) = response {
            drafts.push(self.draft(EventKind::RedactionApplied, &response));
            drafts.extend(self.fault(&response.plugin, fault_of(&response.answer), "blocked"));
        }
        if let Some(Err(blocked)) = scanned {
            drafts.push(self.draft(EventKind::ErrorEvent, &self.blocked_record("answer", blocked)));
        }
        drafts.push(self.draft(EventKind::CaptureFiltered, filtered));
        drafts.extend(self.fault(&filtered.plugin, fault_of(&filtered.answer), "dropped"));
        drafts
    }

    #[expect(clippy::too_many_arguments, reason = "an envelope is where everything about an attempt meets")]
    fn envelope(
        &self,
        chosen: &Chosen,
        provider: &Provider,
        committed: &Committed,
        outcome: &Outcome,
        response: Option<&RedactionApplied>,
        scanned: &Option<Result<Scanned, Blocked>>,
        filtered: &CaptureFiltered,
    ) -> ModelCallEnvelope {
        let capture = |what: &str, action: FilterAction, text: &str| -> Captured {
            captured(action, text, &self.run.salt(self.call, self.number, what))
        };
        let answer = scanned.as_ref().and_then(|scanned| scanned.as_ref().ok());
        let redactor_fuel = committed.redaction.answer.fuel_used().unwrap_or(0)
            + response
                .filter(|response| response.what == "response")
                .and_then(|response| response.answer.fuel_used())
                .unwrap_or(0);
        let fuel = Self::fuel(PluginKind::Router, &committed.decision.answer)
            .into_iter()
            .chain([(PluginKind::Redactor, redactor_fuel)])
            .chain(Self::fuel(PluginKind::CaptureFilter, &filtered.answer))
            .collect();
        let policy = &self.run.governor().policy().snapshot;
        // A server's own words stand in the record only where they came through the scan unchanged.
        let scanned_word = |word: &Option<String>| {
            let quoted = serde_json::Value::from(word.as_deref()?).to_string();
            word.clone().filter(|_| answer.is_some_and(|answer| answer.record.contains(&quoted)))
        };
        ModelCallEnvelope {
            call: self.call,
            attempt: self.number,
            decision: committed.uri.clone(),
            candidate: chosen.candidate.clone(),
            provider: chosen.provider.clone(),
            model: chosen.model.clone(),
            mode: chosen.mode,
            dialect: provider.dialect.code().to_owned(),
            outcome: outcome.kind,
            status: outcome.status,
            served_model: scanned_word(&outcome.served_model),
            loopback: outcome.loopback,
            stop: scanned_word(&outcome.stop),
            usage: outcome.usage,
            cost: ledger::cost(policy, &chosen.candidate, outcome.usage.as_ref()),
            request: capture("request", verdict(filtered, 0), &committed.scanned.record),
            response: answer.map(|answer| capture("response", verdict(filtered, 1), &answer.record)),
            plugins: self.run.governor().plugins(),
            fuel,
            duration_ms: outcome.duration_ms,
        }
    }
}
