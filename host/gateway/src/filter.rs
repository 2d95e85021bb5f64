//! Step 5, filter: what of the call the record keeps. The filter sees metadata only.

use crate::attempt::{Attempt, Committed};
use sluice_core::contract::capture_filter::{FilterItem, FilterVerdict};
use sluice_core::record::CaptureFiltered;
use sluice_governance::Scanned;

impl Attempt<'_> {
    /// Asks about the request, and about the answer where there is one.
    pub(crate) fn filter(&self, committed: &Committed, answer: Option<&Scanned>) -> CaptureFiltered {
        let item = |kind: &str, scanned: &Scanned| FilterItem {
            kind: kind.to_owned(),
            field: "/".to_owned(),
            bytes: scanned.record.len() as u64,
            paths: self.request.paths.clone(),
            tool: None,
            tags: self.request.tags.clone(),
            findings: u32::try_from(scanned.findings.len()).unwrap_or(u32::MAX),
            ext: Vec::new(),
        };
        let mut items = vec![item("prompt", &committed.scanned)];
        items.extend(answer.map(|answer| item("response", answer)));
        self.run.governor().filter(self.call, self.number, items)
    }
}

/// The verdict on the `at`-th item. One verdict an item is what governance promises; were it missing, the
/// item is dropped.
pub(crate) fn verdict(
    filtered: &CaptureFiltered,
    at: usize,
) -> sluice_core::contract::capture_filter::FilterAction {
    filtered.applied.get(at).map_or(
        sluice_core::contract::capture_filter::FilterAction::Drop,
        |FilterVerdict { action, .. }| *action,
    )
}
