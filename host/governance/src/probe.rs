//! Health: the plugin plans and judges, whoever drives this sends. Live drives it with real exchanges,
//! replay with recorded ones.

use sluice_core::FaultCode;
use sluice_core::contract::health_probe::{
    Judgement, PROBE_ROUNDS_MAX, PastProbe, ProbeEndpoint, ProbeExchange, ProbeRequest, ProbeState,
};
use sluice_core::contract::router::Health;
use sluice_core::record::{Answer, HealthProbed, ProbeRound};
use sluice_plugin::HealthProbe;

/// Until a failed probe is asked again, in milliseconds: long enough not to hammer, short enough to notice.
const RECHECK_AFTER_FAULT_MS: u64 = 30_000;

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Send these to the endpoint's origin, then call [`ProbeWalk::judge`] with what came back.
    Send(Vec<ProbeRequest>),
    /// The verdict, ready to be recorded.
    Done(Box<HealthProbed>),
}

/// One probe on its way.
pub struct ProbeWalk<'a> {
    probe: &'a HealthProbe,
    config: &'a str,
    endpoint: ProbeEndpoint,
    history: Vec<PastProbe>,
    plan: Option<Answer<Vec<ProbeRequest>>>,
    rounds: Vec<ProbeRound>,
    exchanges: Vec<ProbeExchange>,
}

fn answer<T>(called: Result<sluice_plugin::Called<T>, sluice_plugin::PluginError>) -> Answer<T> {
    match called {
        Ok(called) => Answer::Answered { value: called.value, fuel_used: called.fuel_used },
        Err(error) => Answer::Faulted { code: error.fault_code().unwrap_or(FaultCode::HostFailure) },
    }
}

impl<'a> ProbeWalk<'a> {
    /// A probe of `endpoint`.
    pub fn new(
        probe: &'a HealthProbe,
        config: &'a str,
        endpoint: ProbeEndpoint,
        history: Vec<PastProbe>,
    ) -> Self {
        ProbeWalk { probe, config, endpoint, history, plan: None, rounds: Vec::new(), exchanges: Vec::new() }
    }

    /// The first round.
    pub fn plan(mut self) -> (Self, Next) {
        let plan = answer(self.probe.plan(self.config, &self.endpoint, &self.history));
        let next = match &plan {
            Answer::Answered { value, .. } if !value.is_empty() => Next::Send(value.clone()),
            Answer::Answered { .. } => {
                self.done(&plan, ProbeState::Unhealthy, "empty-plan", RECHECK_AFTER_FAULT_MS)
            }
            Answer::Faulted { .. } => {
                self.done(&plan, ProbeState::Unhealthy, "probe-failed", RECHECK_AFTER_FAULT_MS)
            }
        };
        self.plan = Some(plan);
        (self, next)
    }

    /// What the plugin makes of every exchange so far, `exchanges` being the newest round.
    pub fn judge(mut self, exchanges: Vec<ProbeExchange>) -> (Self, Next) {
        self.exchanges.extend(exchanges.iter().cloned());
        let judgement = answer(self.probe.judge(self.config, &self.endpoint, &self.exchanges));
        self.rounds.push(ProbeRound { exchanges, judgement: judgement.clone() });
        let plan = self.plan.clone().unwrap_or(Answer::Faulted { code: FaultCode::HostFailure });
        let next = match judgement {
            Answer::Answered { value: Judgement::Verdict(verdict), .. } => {
                self.done(&plan, verdict.state, &verdict.reason, verdict.recheck_after_ms)
            }
            Answer::Answered { value: Judgement::More(requests), .. }
                if self.rounds.len() < PROBE_ROUNDS_MAX && !requests.is_empty() =>
            {
                Next::Send(requests)
            }
            Answer::Answered { .. } => {
                self.done(&plan, ProbeState::Unhealthy, "no-verdict", RECHECK_AFTER_FAULT_MS)
            }
            Answer::Faulted { .. } => {
                self.done(&plan, ProbeState::Unhealthy, "probe-failed", RECHECK_AFTER_FAULT_MS)
            }
        };
        (self, next)
    }

    fn done(
        &self,
        plan: &Answer<Vec<ProbeRequest>>,
        state: ProbeState,
        reason: &str,
        recheck_after_ms: u64,
    ) -> Next {
        Next::Done(Box::new(HealthProbed {
            plugin: self.probe.plugin_ref().clone(),
            endpoint: self.endpoint.clone(),
            history: self.history.clone(),
            plan: plan.clone(),
            rounds: self.rounds.clone(),
            state: state.code().to_owned(),
            reason: reason.to_owned(),
            recheck_after_ms,
        }))
    }
}

/// Drives a probe over recorded rounds. Where the plugin asks for more rounds than were recorded, the probe
/// ends there without a verdict: the two then differ, and the caller sees it.
pub fn rewalk(probe: &HealthProbe, config: &str, recorded: &HealthProbed) -> Option<HealthProbed> {
    let walk = ProbeWalk::new(probe, config, recorded.endpoint.clone(), recorded.history.clone());
    let (mut walk, mut next) = walk.plan();
    let mut rounds = recorded.rounds.iter();
    loop {
        match next {
            Next::Done(done) => return Some(*done),
            Next::Send(_) => (walk, next) = walk.judge(rounds.next()?.exchanges.clone()),
        }
    }
}

/// What the router is told of a probed endpoint.
pub fn health(probed: &HealthProbed) -> Health {
    Health {
        state: probed.state.clone(),
        reason: probed.reason.clone(),
        checked_at_ms: Some(probed.endpoint.now_ms),
    }
}
