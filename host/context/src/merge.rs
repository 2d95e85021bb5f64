//! What a merge takes along: derived from the run's events, live and in replay alike.

use sluice_core::record::{BranchMerged, StageStep, StageTransition};
use sluice_core::uri::Resource;
use sluice_core::{Digest, Event, EventKind, LogicalUri};
use std::fmt;
use std::str::FromStr;

/// The line that runs are merged into.
pub const MAIN: &str = "main";

/// How much of a run goes into the main line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeMode {
    /// Policies, stage transitions, checkpoints, and what the stages made.
    #[default]
    Curated,
    /// Every event.
    Full,
}

impl MergeMode {
    /// Both spellings.
    pub const CODES: &'static [&'static str] = &["curated", "full"];

    /// The one spelling.
    pub const fn code(self) -> &'static str {
        match self {
            MergeMode::Curated => "curated",
            MergeMode::Full => "full",
        }
    }

    fn takes(self, kind: EventKind) -> bool {
        let curated = matches!(
            kind,
            EventKind::RunStarted
                | EventKind::PolicySnapshotRef
                | EventKind::StageTransition
                | EventKind::Checkpoint
        );
        curated || self == MergeMode::Full
    }
}

impl fmt::Display for MergeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for MergeMode {
    type Err = sluice_core::words::UnknownWord;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "curated" => Ok(MergeMode::Curated),
            "full" => Ok(MergeMode::Full),
            _ => Err(sluice_core::words::UnknownWord {
                what: "merge",
                word: word.to_owned(),
                known: MergeMode::CODES,
            }),
        }
    }
}

/// What merging `events`, a run up to now, takes along.
pub fn merged(events: &[Event], mode: MergeMode) -> BranchMerged {
    let taken: Vec<&Event> = events.iter().filter(|event| mode.takes(event.kind)).collect();
    let hashes: Vec<&[u8]> = taken.iter().map(|event| event.hash.as_bytes().as_slice()).collect();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for event in &taken {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == event.seq => *last = event.seq,
            _ => ranges.push((event.seq, event.seq)),
        }
    }
    let mut policies: Vec<LogicalUri> = Vec::new();
    for event in events {
        if !policies.contains(&event.policy.uri) {
            policies.push(event.policy.uri.clone());
        }
    }
    BranchMerged {
        from: events.first().map(|event| event.branch.clone()).unwrap_or_default(),
        into: MAIN.to_owned(),
        mode: mode.code().to_owned(),
        events: ranges,
        count: taken.len() as u64,
        root: Digest::of_parts(&hashes),
        policies,
        artifacts: events.iter().flat_map(made).collect(),
        checkpoints: events.iter().filter_map(checkpoint).collect(),
    }
}

/// What a stage's end says that it made.
fn made(event: &Event) -> Vec<LogicalUri> {
    if event.kind != EventKind::StageTransition {
        return Vec::new();
    }
    match serde_json::from_value::<StageTransition>(event.payload.clone()).map(|transition| transition.step) {
        Ok(StageStep::End(end)) => end.artifacts.into_iter().filter_map(|artifact| artifact.uri).collect(),
        _ => Vec::new(),
    }
}

fn checkpoint(event: &Event) -> Option<LogicalUri> {
    if event.kind != EventKind::Checkpoint {
        return None;
    }
    let id = event.payload.pointer("/statement/checkpoint")?.as_str()?;
    Some(LogicalUri::new(&event.uri.workspace, Resource::Checkpoint(id.to_owned())))
}
