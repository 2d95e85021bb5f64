//! Health: a local endpoint is probed before it is first offered to the router, and again when its verdict
//! has grown old. Cloud endpoints are not probed: a probe costs money there, and a failed attempt says as
//! much.

use crate::run::Run;
use sluice_core::EventDraft;
use sluice_core::EventKind;
use sluice_core::contract::health_probe::{
    PROBE_BODY_BYTES_MAX, PROBE_HISTORY_MAX, PastProbe, ProbeEndpoint, ProbeExchange, ProbeRequest,
};
use sluice_core::record::{HealthProbed, PluginFaultRecord, RedactionApplied};
use sluice_core::{Cleared, Role, Stage};
use sluice_governance::Blocked;
use sluice_governance::governor::fault_of;
use sluice_governance::probe::{Next, health};
use sluice_governance::route::reflex_allowed;
use sluice_provider::Endpoint;

impl Run {
    /// Probes the policy's local endpoint where this call may use it and its verdict is missing or old.
    /// Returns what is to be recorded before the decision.
    pub(crate) async fn refresh_health(&self, role: Role, stage: Stage) -> Vec<EventDraft> {
        let governor = self.governor();
        let policy = &governor.policy().snapshot;
        let id = policy.model_config.reflex.model.clone();
        let now_ms = (self.parts().clock)().millis_u64();
        if !reflex_allowed(policy, role.code(), stage.code())
            || !self.with_state(|s| s.probe_due(&id, now_ms))
        {
            return Vec::new();
        }
        let Some(model) = policy.model_config.models.get(&id) else { return Vec::new() };
        let Some(provider) = policy.model_config.providers.get(&model.provider) else { return Vec::new() };
        let endpoint = ProbeEndpoint {
            id: id.clone(),
            provider: model.provider.clone(),
            model: model.model.clone(),
            mode: model.mode.code().to_owned(),
            dialect: provider.dialect.code().to_owned(),
            now_ms,
            ext: Vec::new(),
        };
        let target = self.parts().endpoints.endpoint(&model.provider, provider).ok();
        let history = self.with_state(|state| state.history(&id));
        let (mut walk, mut next) = governor.probe(endpoint, history).plan();
        let mut found = Vec::new();
        let probed = loop {
            match next {
                Next::Done(probed) => break *probed,
                Next::Send(requests) => {
                    let exchanges = self.exchange_all(target.as_ref(), requests, &mut found).await;
                    (walk, next) = walk.judge(exchanges);
                }
            }
        };
        self.with_state(|state| {
            state.probed(&id, &probed);
            state.health.insert(id, health(&probed));
        });
        let mut drafts = self.scan_events(role, stage, found);
        drafts.extend(self.probe_events(role, stage, probed));
        drafts
    }

    /// What was found in texts that stand in the record alone; where a scan failed, that too.
    pub(crate) fn scan_events(
        &self,
        role: Role,
        stage: Stage,
        found: impl IntoIterator<Item = RedactionApplied>,
    ) -> Vec<EventDraft> {
        let mut drafts = Vec::new();
        for applied in found {
            drafts.push(self.draft(EventKind::RedactionApplied, role, stage, &applied));
            let code = fault_of(&applied.answer);
            let fault =
                PluginFaultRecord::of(applied.call, applied.attempt, &applied.plugin, code, "dropped");
            drafts.extend(fault.map(|fault| self.draft(EventKind::PluginFault, role, stage, &fault)));
        }
        drafts
    }

    fn probe_events(&self, role: Role, stage: Stage, probed: HealthProbed) -> Vec<EventDraft> {
        let judged = probed.rounds.iter().find_map(|round| fault_of(&round.judgement));
        let code = fault_of(&probed.plan).or(judged);
        let fault = PluginFaultRecord::of(0, 0, &probed.plugin, code, "unhealthy");
        let fault = fault.map(|fault| self.draft(EventKind::PluginFault, role, stage, &fault));
        std::iter::once(self.draft(EventKind::HealthProbed, role, stage, &probed)).chain(fault).collect()
    }

    async fn exchange_all(
        &self,
        target: Option<&Endpoint>,
        requests: Vec<ProbeRequest>,
        found: &mut Vec<RedactionApplied>,
    ) -> Vec<ProbeExchange> {
        let mut exchanges = Vec::with_capacity(requests.len());
        for request in requests {
            let raw = match (target, self.clear_probe(&request)) {
                (Some(target), Ok(body)) => self.parts().client.exchange(target, &request, body).await,
                (None, _) | (_, Err(_)) => no_exchange(&request.id),
            };
            let (exchange, applied) = self.redact_exchange(raw);
            exchanges.push(exchange);
            found.extend(applied);
        }
        exchanges
    }

    /// A probe's body is text that leaves like any other.
    fn clear_probe(&self, request: &ProbeRequest) -> Result<Option<Cleared>, Blocked> {
        if request.body.is_empty() {
            return Ok(None);
        }
        let (_, cleared) = self.governor().clear_request(self.scope(0, 0), &request.body);
        cleared.map(|(cleared, _)| Some(cleared))
    }

    /// The plugin judges what is recorded, so both see the redacted form.
    fn redact_exchange(&self, mut exchange: ProbeExchange) -> (ProbeExchange, Option<RedactionApplied>) {
        let (applied, scanned) =
            self.governor().redact_for_record(self.scope(0, 0), "exchange", &exchange.body);
        match scanned {
            Ok(scanned) => {
                let end = scanned.record.floor_char_boundary(PROBE_BODY_BYTES_MAX);
                exchange.truncated |= end < scanned.record.len();
                exchange.body = scanned.record[..end].to_owned();
            }
            Err(_) => {
                exchange.body = String::new();
                exchange.truncated = true;
            }
        }
        (exchange, applied)
    }
}

/// What is judged where there is no endpoint to ask.
fn no_exchange(id: &str) -> ProbeExchange {
    ProbeExchange {
        request: id.to_owned(),
        status: None,
        error: "unreachable".into(),
        duration_ms: 0,
        body: String::new(),
        truncated: false,
        ext: Vec::new(),
    }
}

/// An earlier verdict, as the plugin is shown it.
pub(crate) fn past(probed: &HealthProbed) -> PastProbe {
    PastProbe { at_ms: probed.endpoint.now_ms, state: probed.state.clone(), reason: probed.reason.clone() }
}

/// Keeps the newest verdicts, newest first.
pub(crate) fn remember(history: &mut Vec<PastProbe>, probed: &HealthProbed) {
    history.insert(0, past(probed));
    history.truncate(PROBE_HISTORY_MAX);
}
