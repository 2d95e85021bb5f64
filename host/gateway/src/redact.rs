//! Step 3, redact: the body in the endpoint's dialect, scanned as it would leave. What comes out is the only
//! thing that the provider takes.

use crate::admit::CallRequest;
use crate::run::Run;
use sluice_core::record::{Chosen, RedactionApplied};
use sluice_core::{Cleared, Dialect};
use sluice_governance::{Blocked, ScanScope, Scanned};
use sluice_provider::ChatCall;

impl Run {
    /// The request body for `chosen`, cleared or blocked.
    pub(crate) async fn redact(
        &self,
        scope: ScanScope<'_>,
        dialect: Dialect,
        chosen: &Chosen,
        call: &ChatCall,
    ) -> (RedactionApplied, Result<(Cleared, Scanned), Blocked>) {
        let call = ChatCall {
            output_tokens_max: chosen.output_tokens_max,
            reasoning_effort: chosen.reasoning_effort.clone(),
            ..call.clone()
        };
        let body = sluice_provider::encode(dialect, &chosen.model, &call).to_string();
        let may = self.may_scan(body.len()).await;
        may.scan(|| self.governor().clear_request(scope, &body))
    }

    /// Labels and paths stand in the record beside the decision, so what is found in one is replaced, and told
    /// as evidence. Where they cannot be scanned, none of them is recorded.
    pub(crate) fn redact_labels(
        &self,
        call: u64,
        request: CallRequest,
    ) -> (CallRequest, Option<RedactionApplied>) {
        if request.tags.is_empty() && request.paths.is_empty() {
            return (request, None);
        }
        let raw = serde_json::json!([request.tags, request.paths]).to_string();
        let (applied, scanned) = self.governor().redact_for_record(self.scope(call, 0), "labels", &raw);
        let read = scanned.ok().and_then(|scanned| serde_json::from_str(&scanned.record).ok());
        let (tags, paths) = read.unwrap_or_else(|| {
            let unscanned = || "[REDACTED:unscanned]".to_owned();
            let tags = request.tags.iter().map(|_| (unscanned(), unscanned())).collect();
            (tags, request.paths.iter().map(|_| unscanned()).collect())
        });
        (CallRequest { tags, paths, ..request }, applied)
    }

    /// What a scan in this run, call and attempt needs.
    pub(crate) fn scope(&self, call: u64, attempt: u32) -> ScanScope<'_> {
        let memo = Some(self.memo());
        ScanScope { guard: &self.parts().guard, tagger: self.tagger(), call, attempt, memo }
    }
}
