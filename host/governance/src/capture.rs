//! What of a text the record keeps: the filter's verdict, lowered by the capture mode.

use crate::tag::commitment;
use sluice_core::CaptureMode;
use sluice_core::contract::capture_filter::{FilterAction, FilterItem, FilterVerdict};
use sluice_core::record::{Answer, CaptureFiltered, Captured};
use sluice_plugin::CaptureFilter;

/// Largest text that is kept. Prompt and answer stand in one event of at most 8 MiB, and text in JSON can take
/// twice its size; a larger one is committed to.
pub const KEPT_BYTES_MAX: u64 = 3 << 19;

/// The most that `mode` permits for an item of `kind`.
fn permitted(mode: CaptureMode, kind: &str) -> FilterAction {
    match mode {
        CaptureMode::FullIo => FilterAction::Keep,
        // Tool results and attachments are part of what was asked.
        CaptureMode::PromptsOnly if matches!(kind, "prompt" | "tool-result" | "attachment") => {
            FilterAction::Keep
        }
        CaptureMode::PromptsOnly | CaptureMode::None => FilterAction::HashOnly,
    }
}

/// Asks the filter about `items` and lowers its verdicts to what `mode` permits. A filter that fails drops
/// every item.
pub fn decide(
    filter: &CaptureFilter,
    config: &str,
    mode: CaptureMode,
    call: u64,
    attempt: u32,
    items: Vec<FilterItem>,
) -> CaptureFiltered {
    let answer = match filter.filter(config, mode, &items) {
        Ok(called) => Answer::Answered { value: called.value, fuel_used: called.fuel_used },
        Err(error) => {
            Answer::Faulted { code: error.fault_code().unwrap_or(sluice_core::FaultCode::HostFailure) }
        }
    };
    let applied = apply(mode, &items, &answer);
    CaptureFiltered { call, attempt, plugin: filter.plugin_ref().clone(), mode, items, answer, applied }
}

/// What follows from the filter's answer: pure, so that replay derives the same.
pub fn apply(
    mode: CaptureMode,
    items: &[FilterItem],
    answer: &Answer<Vec<FilterVerdict>>,
) -> Vec<FilterVerdict> {
    let verdict = |action, reason: &str| FilterVerdict { action, reason: reason.to_owned(), ext: Vec::new() };
    match answer {
        Answer::Answered { value, .. } if value.len() == items.len() => items
            .iter()
            .zip(value)
            .map(|(item, asked)| {
                let most = permitted(mode, &item.kind);
                let lowered = asked.action.min(most);
                if lowered == FilterAction::Keep && item.bytes > KEPT_BYTES_MAX {
                    verdict(FilterAction::HashOnly, "too-large")
                } else if asked.action > most {
                    verdict(most, "capture-mode")
                } else {
                    verdict(asked.action, &asked.reason)
                }
            })
            .collect(),
        _ => items.iter().map(|_| verdict(FilterAction::Drop, "filter-failed")).collect(),
    }
}

/// The record's form of `redacted`. A salt is derived by the caller from the workspace key, so that its
/// owner can check a commitment without content; with the content it is kept beside it.
pub fn captured(action: FilterAction, redacted: &str, salt: &[u8; 16]) -> Captured {
    let keeps = action == FilterAction::Keep;
    let drops = action == FilterAction::Drop;
    Captured {
        action,
        bytes: redacted.len() as u64,
        commitment: if drops { sluice_core::Digest::ZERO } else { commitment(salt, redacted.as_bytes()) },
        salt: keeps.then(|| sluice_core::digest::to_hex(salt)),
        text: keeps.then(|| redacted.to_owned()),
    }
}

/// Whether a kept text still matches its commitment. `None` where no text was kept.
pub fn commitment_holds(captured: &Captured) -> Option<bool> {
    let text = captured.text.as_ref()?;
    let salt = captured.salt.as_deref().and_then(sluice_core::digest::from_hex);
    Some(salt.is_some_and(|salt| commitment(&salt, text.as_bytes()) == captured.commitment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str) -> FilterItem {
        FilterItem {
            kind: kind.into(),
            field: "/".into(),
            bytes: 1,
            paths: vec![],
            tool: None,
            tags: vec![],
            findings: 0,
            ext: vec![],
        }
    }

    fn keep(n: usize) -> Answer<Vec<FilterVerdict>> {
        let verdict = FilterVerdict { action: FilterAction::Keep, reason: "ordinary".into(), ext: vec![] };
        Answer::Answered { value: vec![verdict; n], fuel_used: 1 }
    }

    #[test]
    fn a_filter_can_only_lower() {
        let items = [item("prompt"), item("response")];
        let actions = |mode, answer: &Answer<_>| -> Vec<FilterAction> {
            apply(mode, &items, answer).into_iter().map(|v| v.action).collect()
        };
        use FilterAction::{Drop, HashOnly, Keep};
        assert_eq!(actions(CaptureMode::None, &keep(2)), [HashOnly, HashOnly]);
        assert_eq!(actions(CaptureMode::PromptsOnly, &keep(2)), [Keep, HashOnly]);
        assert_eq!(actions(CaptureMode::FullIo, &keep(2)), [Keep, Keep]);
        assert_eq!(actions(CaptureMode::FullIo, &keep(1)), [Drop, Drop], "a wrong count is no answer");
        let failed = Answer::Faulted { code: sluice_core::FaultCode::Trap };
        assert_eq!(actions(CaptureMode::FullIo, &failed), [Drop, Drop]);
    }

    #[test]
    fn only_kept_text_shows_its_salt() {
        let kept = captured(FilterAction::Keep, "text", &[7; 16]);
        assert_eq!(commitment_holds(&kept), Some(true));
        let mut altered = kept.clone();
        altered.text = Some("texT".into());
        assert_eq!(commitment_holds(&altered), Some(false));
        let hashed = captured(FilterAction::HashOnly, "text", &[7; 16]);
        assert_eq!((hashed.salt, hashed.text), (None, None));
        assert_eq!(hashed.commitment, kept.commitment);
        assert_eq!(captured(FilterAction::Drop, "text", &[7; 16]).commitment, sluice_core::Digest::ZERO);
    }
}
