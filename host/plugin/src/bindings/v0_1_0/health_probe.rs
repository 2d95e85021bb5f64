//! Health probe.

use super::generated::exports::sluicegate::plugin::probing as wit;
use super::{Fault, borrowed, declined};
use crate::bindings::{Function, find};
use crate::error::Cause;
use crate::run::CallState;
use sluice_core::FaultCode;
use sluice_core::contract::health_probe::{
    Judgement, PastProbe, ProbeEndpoint, ProbeExchange, ProbeRequest, ProbeState, ProbeVerdict,
};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

type PlanParams<'a> = (&'a str, wit::Endpoint<'a>, &'a [wit::Past<'a>]);
type PlanResults = (Result<Vec<wit::Request>, Fault>,);
type JudgeParams<'a> = (&'a str, wit::Endpoint<'a>, &'a [wit::Exchange<'a>]);
type JudgeResults = (Result<wit::Judgement, Fault>,);

pub(crate) struct Probing {
    plan: Function,
    judge: Function,
}

impl Probing {
    pub fn bind(pre: &InstancePre<CallState>, instance: &str) -> Result<Probing, Cause> {
        Ok(Probing {
            plan: find::<PlanParams<'_>, PlanResults>(pre, instance, "plan")?,
            judge: find::<JudgeParams<'_>, JudgeResults>(pre, instance, "judge")?,
        })
    }

    pub fn plan(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        (config, endpoint, history): (&str, &ProbeEndpoint, &[PastProbe]),
    ) -> wasmtime::Result<Result<Vec<ProbeRequest>, FaultCode>> {
        let ext = borrowed(&endpoint.ext);
        let past: Vec<wit::Past<'_>> = history
            .iter()
            .map(|past| wit::Past { at_ms: past.at_ms, state: &past.state, reason: &past.reason })
            .collect();

        let function = instance.get_typed_func::<PlanParams<'_>, PlanResults>(&mut *store, &self.plan)?;
        let (answer,) = function.call(store, (config, lower_endpoint(endpoint, &ext), &past))?;
        Ok(answer.map(lift_requests).map_err(|fault| declined(&fault)))
    }

    pub fn judge(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        (config, endpoint, exchanges): (&str, &ProbeEndpoint, &[ProbeExchange]),
    ) -> wasmtime::Result<Result<Judgement, FaultCode>> {
        let ext = borrowed(&endpoint.ext);
        let exts: Vec<Vec<(&str, &str)>> = exchanges.iter().map(|exchange| borrowed(&exchange.ext)).collect();
        let lowered: Vec<wit::Exchange<'_>> =
            exchanges.iter().zip(&exts).map(|(exchange, ext)| lower_exchange(exchange, ext)).collect();

        let function = instance.get_typed_func::<JudgeParams<'_>, JudgeResults>(&mut *store, &self.judge)?;
        let (answer,) = function.call(store, (config, lower_endpoint(endpoint, &ext), &lowered))?;
        Ok(answer.map(lift_judgement).map_err(|fault| declined(&fault)))
    }
}

fn lower_endpoint<'a>(endpoint: &'a ProbeEndpoint, ext: &'a [(&'a str, &'a str)]) -> wit::Endpoint<'a> {
    wit::Endpoint {
        id: &endpoint.id,
        provider: &endpoint.provider,
        model: &endpoint.model,
        mode: &endpoint.mode,
        dialect: &endpoint.dialect,
        now_ms: endpoint.now_ms,
        ext,
    }
}

fn lower_exchange<'a>(exchange: &'a ProbeExchange, ext: &'a [(&'a str, &'a str)]) -> wit::Exchange<'a> {
    wit::Exchange {
        request: &exchange.request,
        status: exchange.status,
        error: &exchange.error,
        duration_ms: exchange.duration_ms,
        body: &exchange.body,
        truncated: exchange.truncated,
        ext,
    }
}

fn lift_requests(requests: Vec<wit::Request>) -> Vec<ProbeRequest> {
    let request = |request: wit::Request| ProbeRequest {
        id: request.id,
        method: request.method,
        path: request.path,
        body: request.body,
        timeout_ms: request.timeout_ms,
        ext: request.ext,
    };
    requests.into_iter().map(request).collect()
}

fn lift_judgement(judgement: wit::Judgement) -> Judgement {
    match judgement {
        wit::Judgement::More(requests) => Judgement::More(lift_requests(requests)),
        wit::Judgement::Verdict(verdict) => Judgement::Verdict(ProbeVerdict {
            state: match verdict.state {
                wit::State::Healthy => ProbeState::Healthy,
                wit::State::Degraded => ProbeState::Degraded,
                wit::State::Unhealthy => ProbeState::Unhealthy,
            },
            reason: verdict.reason,
            evidence: verdict.evidence,
            recheck_after_ms: verdict.recheck_after_ms,
            ext: verdict.ext,
        }),
    }
}
