//! What a run needs of the program around it: policy anew, files outside, and something to look at.

use crate::Context;
use crate::failure::Failure;
use crate::session::{Places, Session};
use crate::workspace::{Workspace, replace_file};
use indicatif::{ProgressBar, ProgressStyle};
use sluice_core::{RunId, Stage};
use sluice_gateway::Gateway;
use sluice_pipeline::{Happening, Surroundings};
use sluice_policy::PolicySnapshot;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

/// How often the watch on a terminal turns.
const TICK: Duration = Duration::from_millis(120);

/// Largest artefact that is read back from `--out`: an answer, and room.
const FETCHED_BYTES_MAX: u64 = 1 << 20;

type PlacesFor<'c> = dyn Fn(&PolicySnapshot) -> Result<Places, Failure> + 'c;

/// The program around a run.
pub struct Around<'c> {
    context: &'c Context,
    workspace: &'c Workspace,
    session: &'c Session,
    out: Option<PathBuf>,
    places: &'c PlacesFor<'c>,
    bar: Option<ProgressBar>,
    /// Known once the run has begun.
    pub run_id: Option<RunId>,
}

impl<'c> Around<'c> {
    /// Without a run yet.
    pub fn new(
        context: &'c Context,
        workspace: &'c Workspace,
        session: &'c Session,
        out: Option<PathBuf>,
        places: &'c PlacesFor<'c>,
    ) -> Around<'c> {
        let watched = io::stderr().is_terminal() && !context.printer.is_json();
        let bar = watched.then(|| {
            let bar = ProgressBar::new(Stage::ALL.len() as u64);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {msg}  {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            bar
        });
        Around { context, workspace, session, out, places, bar, run_id: None }
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }

    fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    fn say(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.context.printer.say(text)),
            None => self.context.printer.say(text),
        }
    }
}

impl Surroundings for Around<'_> {
    type Failure = Failure;

    fn recapture(&mut self, gateway: &Gateway) -> Result<Option<Gateway>, Failure> {
        self.session.regoverned(self.context, self.workspace, gateway, self.places)
    }

    fn publish(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        match &self.out {
            Some(out) => replace_file(&out.join(name), text.as_bytes(), 0o644),
            None => Ok(()),
        }
    }

    fn fetch(&mut self, name: &str) -> Option<String> {
        let path = self.out.as_ref()?.join(name);
        let size = std::fs::metadata(&path).ok()?.len();
        if size > FETCHED_BYTES_MAX { None } else { std::fs::read_to_string(path).ok() }
    }

    fn end_group(&mut self, process: u32) {
        let group = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            // A group that is gone needs no ending.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }

    fn tell(&mut self, happening: Happening) {
        match happening {
            Happening::Began(run) => {
                self.say(format!("run: {run}"));
                self.run_id = Some(run);
            }
            Happening::Known(_) | Happening::Ended(_) => self.step(),
            Happening::Begins(stage, tokens) => {
                self.show(format!("{stage}: asking, {tokens} tokens of context"));
            }
            Happening::Answered(stage, model, spent) => {
                self.show(format!("{stage}: {model} answered; {spent} so far"));
            }
            Happening::Runs(stage) => self.show(format!("{stage}: the validation command runs")),
        }
    }
}
