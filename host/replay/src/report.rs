//! What replay found, for programs and for people.

use crate::counterfactual::Counterfactual;
use serde::Serialize;
use sluice_core::{LogicalUri, RunId, Stage};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most mismatches that are listed; all are counted.
const LISTED_MAX: usize = 200;

/// Longest text of a value in a mismatch.
const SHOWN_BYTES_MAX: usize = 400;

/// Counts of one check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Derived again, and the same.
    pub matched: u64,
    /// Derived again, and another.
    pub mismatched: u64,
}

/// Something recorded that is not what follows from the facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The event's URI, or the place in the journal where there is none.
    pub event: String,
    /// Which check: `record`, `policy`, `route`, `budget` …
    pub check: String,
    /// What differs.
    pub what: String,
}

/// What can be said of the models' answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ModelAnswers {
    /// Kept, and equal to their commitment.
    pub kept: u64,
    /// Not kept: there is a commitment alone.
    pub committed: u64,
    /// Dropped by the capture filter.
    pub dropped: u64,
    /// There was no answer.
    pub none: u64,
}

/// What can be said of one stage of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageReport {
    /// Which.
    pub stage: Stage,
    /// Why its context could not be derived; `None` where it was.
    pub context_missing: Option<String>,
    /// Kept requests that say exactly the derived context.
    pub prompts: u64,
    /// Kept answers that the stage's artefact follows from.
    pub answers: u64,
}

/// The result of one replay.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The run.
    pub run_id: RunId,
    /// Things derived again that were the same.
    pub matched: u64,
    /// Things derived again that were not, or could not be derived.
    pub mismatched: u64,
    /// Events of the run.
    pub events: u64,
    /// Last sequence number under a checkpoint's signature; 0 where none was signed.
    pub signed_up_to: u64,
    /// Why the key that signed is believed; `None` where the record does not hold.
    pub key_believed: Option<sluice_capsule::Identity>,
    /// Whether fuel was compared: it is where the engine is the one that recorded it.
    pub fuel_compared: bool,
    /// Plugin decisions that were made again.
    pub decisions: u64,
    /// By check.
    pub checks: BTreeMap<String, Tally>,
    /// At most 200 of them.
    pub mismatches: Vec<Mismatch>,
    /// The models' answers: never asked for again.
    pub model_answers: ModelAnswers,
    /// Stage by stage, where the run has stages.
    pub stages: Vec<StageReport>,
    /// Fault codes that depend on the machine (deadline, host failure): reported, not expected again.
    pub machine_faults: u64,
    /// "What if", where asked.
    pub counterfactual: Option<Counterfactual>,
}

impl Report {
    pub(crate) fn new(run_id: RunId) -> Report {
        Report {
            run_id,
            matched: 0,
            mismatched: 0,
            events: 0,
            signed_up_to: 0,
            key_believed: None,
            fuel_compared: true,
            decisions: 0,
            checks: BTreeMap::new(),
            mismatches: Vec::new(),
            model_answers: ModelAnswers::default(),
            stages: Vec::new(),
            machine_faults: 0,
            counterfactual: None,
        }
    }

    /// Whether everything that could be derived again was the same.
    pub fn is_proof(&self) -> bool {
        self.mismatched == 0 && self.matched > 0
    }

    pub(crate) fn matched(&mut self, check: &str, count: u64) {
        self.matched += count;
        self.checks.entry(check.to_owned()).or_default().matched += count;
    }

    pub(crate) fn mismatch(&mut self, event: &impl ToString, check: &str, what: &str) {
        self.mismatched += 1;
        self.checks.entry(check.to_owned()).or_default().mismatched += 1;
        if self.mismatches.len() < LISTED_MAX {
            let end = what.floor_char_boundary(SHOWN_BYTES_MAX);
            let what = what[..end].to_owned();
            self.mismatches.push(Mismatch { event: event.to_string(), check: check.to_owned(), what });
        }
    }

    /// A stage begins, perhaps again; its context was derived, or could not be.
    pub(crate) fn stage(&mut self, stage: Stage, context_missing: Option<String>) {
        match self.stages.iter_mut().find(|known| known.stage == stage) {
            Some(known) => known.context_missing = context_missing,
            None => self.stages.push(StageReport { stage, context_missing, prompts: 0, answers: 0 }),
        }
    }

    /// The same, where it has begun.
    pub(crate) fn stage_mut(&mut self, stage: Stage) -> Option<&mut StageReport> {
        self.stages.iter_mut().find(|known| known.stage == stage)
    }

    /// Counts one comparison.
    pub(crate) fn check(&mut self, event: &LogicalUri, check: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.matched(check, 1),
            Err(what) => self.mismatch(event, check, &what),
        }
    }

    /// The report as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail; the results are dropped for that reason.
        let _ = writeln!(out, "# Replay of run {}\n", self.run_id);
        let verdict = if self.is_proof() { "every derived thing matched" } else { "NOT proven" };
        let _ = writeln!(out, "**{verdict}**: {} matched, {} mismatched.\n", self.matched, self.mismatched);
        let _ = writeln!(
            out,
            "{} events, {} plugin decisions made again; signed up to event {}; fuel {}.\n",
            self.events,
            self.decisions,
            self.signed_up_to,
            if self.fuel_compared { "compared" } else { "not compared (another engine)" }
        );
        let _ = writeln!(out, "| check | matched | mismatched |\n|---|---:|---:|");
        for (check, tally) in &self.checks {
            let _ = writeln!(out, "| {check} | {} | {} |", tally.matched, tally.mismatched);
        }
        let answers = self.model_answers;
        let _ = writeln!(
            out,
            "\nModel answers: {} kept and equal to their commitment, {} known by commitment alone, {} dropped, \
             {} attempts without an answer. No model was asked again.",
            answers.kept, answers.committed, answers.dropped, answers.none
        );
        self.write_stages(&mut out);
        if self.machine_faults > 0 {
            let _ = writeln!(
                out,
                "\n{} plugin faults depended on the machine and were not made again.",
                self.machine_faults
            );
        }
        if !self.mismatches.is_empty() {
            let _ = writeln!(out, "\n## Mismatches\n\n| event | check | what |\n|---|---|---|");
            for found in &self.mismatches {
                let what = found.what.replace('|', "\\|").replace('\n', " ");
                let _ = writeln!(out, "| `{}` | {} | {what} |", found.event, found.check);
            }
        }
        if let Some(found) = &self.counterfactual {
            found.write_markdown(&mut out);
        }
        out
    }

    fn write_stages(&self, out: &mut String) {
        if self.stages.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n| stage | context | kept prompts | kept answers |\n|---|---|---:|---:|");
        for stage in &self.stages {
            let context = stage
                .context_missing
                .as_deref()
                .map_or_else(|| "derived again, the same".to_owned(), |why| format!("not derived: {why}"));
            let _ = writeln!(out, "| {} | {context} | {} | {} |", stage.stage, stage.prompts, stage.answers);
        }
    }
}
