//! The governed call as a whole: attempts until one answers, policy says no, or none is left.

use crate::admit::{self, CallRequest};
use crate::attempt::{Attempt, Ended};
use crate::listen::{Listener, Live};
use crate::reply::{AttemptSummary, CallFailure, CallReply};
use crate::run::Run;
use sluice_core::contract::router::EarlierAttempt;
use sluice_governance::ledger::{Step, backoff_ms};
use std::time::Duration;

impl Run {
    /// Makes one governed call. When this returns an answer, its evidence is committed; when it returns a
    /// failure, what was decided is.
    pub async fn call(&self, request: CallRequest) -> Result<CallReply, CallFailure> {
        self.attempts(request, None).await
    }

    /// The same, with `listener` told of the answer while it comes, where the request asks for a stream and the
    /// model answers with one. What it was told in the end is the text of the reply, and its tool calls.
    pub async fn call_listening(
        &self,
        request: CallRequest,
        listener: &mut dyn Listener,
    ) -> Result<CallReply, CallFailure> {
        self.attempts(request, Some(Live::new(listener))).await
    }

    async fn attempts(
        &self,
        request: CallRequest,
        mut live: Option<Live<'_>>,
    ) -> Result<CallReply, CallFailure> {
        let policy = &self.governor().policy().snapshot;
        admit::check(policy, &request)?;
        let _in_flight = self.in_flight();
        let _turn = self.turn().await?;
        let call = self.with_state(|state| state.ledger.calls) + 1;
        let (request, labels) = self.redact_labels(call, request);
        let body = admit::messages(policy, &request);
        let facts = admit::facts(policy, &request, &body);
        let attempts_max = policy.governance.escalation.attempts_max.max(1);
        let mut pending = self.scan_events(request.role, request.stage, labels);
        pending.extend(self.refresh_health(request.role, request.stage).await);
        let mut earlier: Vec<EarlierAttempt> = Vec::new();
        let mut summaries: Vec<AttemptSummary> = Vec::new();
        let mut failure: Option<(String, String)> = None;
        for number in 1..=attempts_max {
            let attempt = Attempt { run: self, request: &request, body: &body, call, number };
            let decision = self.route(call, number, &facts, &earlier);
            let made = attempt.make(decision, std::mem::take(&mut pending), &summaries, live.as_mut()).await;
            match made.map_err(|ended| with_detail(ended, failure.take()))? {
                Ended::Answered(mut reply) => {
                    summaries.append(&mut reply.attempts);
                    reply.attempts = summaries;
                    if live.is_some_and(|mut live| !live.finish(&reply.text, &reply.tool_calls)) {
                        return Err(attempt.told_otherwise().await);
                    }
                    return Ok(*reply);
                }
                Ended::Failed { summary, as_earlier, retry_after_ms, step, detail, hint } => {
                    earlier.push(as_earlier);
                    let last = summary.outcome.code();
                    summaries.push(summary);
                    if step == Step::GiveUp {
                        return Err(CallFailure::Failed { attempts: summaries, last, detail, hint });
                    }
                    failure = Some((detail, hint));
                    let wait_ms = backoff_ms(policy, number, retry_after_ms);
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
            }
        }
        // The last attempt always gives up or answers, so the loop does not run out.
        Err(CallFailure::Failed {
            attempts: summaries,
            last: "none",
            detail: "no attempt was made".into(),
            hint: "set escalation.attempts_max to at least 1".into(),
        })
    }
}

/// Where the router finds no model for another attempt, the failure of the last one is what a person can
/// mend: its words take the place of the router's, which stand in the recorded decision.
fn with_detail(ended: CallFailure, last_failure: Option<(String, String)>) -> CallFailure {
    match (ended, last_failure) {
        (CallFailure::Failed { attempts, last, .. }, Some((detail, hint))) => {
            CallFailure::Failed { attempts, last, detail, hint }
        }
        (ended, _) => ended,
    }
}
