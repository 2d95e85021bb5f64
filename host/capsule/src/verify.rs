//! Everything there is, checked against everything it must agree with.

use crate::checkpoint::{self, CheckpointMark, CheckpointWalk, Manifest, Statement, Verified, checkpoint_id};
use crate::error::CapsuleError;
use crate::flaw::{Flaw, FlawKind};
use crate::journal::{CheckpointRow, EventQuery, Journal};
use crate::keys::PublicKey;
use crate::ledger::bad_row;
use crate::limits::FLAWS_LISTED_MAX;
use crate::reader::{Identity, Reader};
use crate::row::{EventRow, event_uri};
use crate::run::{ChainWalk, key_flaw, manifest_flaw};
use crate::sealed::check::Check;
use crate::sealing::seals;
use serde::Serialize;
use serde_json::Value;
use sluice_core::uri::Resource;
use sluice_core::{Digest, EventKind, LogicalUri};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The workspace.
    pub workspace: String,
    /// The key that signatures were checked with.
    pub public_key: PublicKey,
    /// Why that key is believed.
    pub identity: Identity,
    /// Runs whose chain was followed.
    pub runs: u64,
    /// Events whose content was hashed.
    pub events: u64,
    /// Blobs whose bytes were hashed.
    pub blobs: u64,
    /// Names that were looked up.
    pub names: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// Everything recorded: events, blobs and names.
    pub frames: u64,
    /// How many of these the checkpoints cover. The rest is the unsigned tail: a chain that whoever can write
    /// the file could have written.
    pub signed_frames: u64,
    /// The last checkpoint: worth keeping elsewhere, see [`Reader::expecting_checkpoint`].
    pub last_checkpoint: Option<CheckpointMark>,
    /// Sealed files that are what their records, the journal and the signatures say.
    pub sealed_files: u64,
    /// Frames up to this position are in such files, without a gap.
    pub sealed_frames: u64,
    /// What is wrong, at most [`FLAWS_LISTED_MAX`], most telling first.
    pub flaws: Vec<Flaw>,
    /// How much is wrong in all.
    pub flaws_found: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.flaws_found == 0
    }
}

pub(crate) fn report(reader: &Reader) -> Result<VerifyReport, CapsuleError> {
    let journal = reader.journal();
    let mut audit = Audit::new(reader);
    journal.consistently(&mut || audit.run(&**journal))?;
    Ok(audit.report)
}

struct Audit<'a> {
    workspace: &'a str,
    key_is_claimed: bool,
    mark: Option<CheckpointMark>,
    capsule: Option<&'a Path>,
    report: VerifyReport,
    chains: HashMap<String, ChainWalk>,
    checkpoints: BTreeMap<u64, Verified>,
    statements: BTreeMap<u64, Statement>,
    /// Policies that events name: id and digest, with the first such event.
    policies: BTreeMap<(String, Digest), String>,
    /// Plugins that `PolicySnapshotRef` events name, with the first such event.
    plugins: BTreeMap<String, String>,
    blobs: HashSet<Digest>,
    names: BTreeMap<String, Digest>,
}

impl<'a> Audit<'a> {
    fn new(reader: &'a Reader) -> Audit<'a> {
        Audit {
            workspace: reader.workspace(),
            key_is_claimed: reader.claimed_key() == reader.key,
            mark: reader.mark,
            capsule: reader.capsule.as_deref(),
            report: VerifyReport {
                workspace: reader.workspace().to_owned(),
                public_key: reader.key,
                identity: reader.identity,
                runs: 0,
                events: 0,
                blobs: 0,
                names: 0,
                checkpoints: 0,
                frames: 0,
                signed_frames: 0,
                last_checkpoint: None,
                sealed_files: 0,
                sealed_frames: 0,
                flaws: Vec::new(),
                flaws_found: 0,
            },
            chains: HashMap::new(),
            checkpoints: BTreeMap::new(),
            statements: BTreeMap::new(),
            policies: BTreeMap::new(),
            plugins: BTreeMap::new(),
            blobs: HashSet::new(),
            names: BTreeMap::new(),
        }
    }

    fn flag(&mut self, flaw: Flaw) {
        // Two passes may come upon the same thing.
        let same = |known: &Flaw| known.kind == flaw.kind && known.uri == flaw.uri;
        if self.report.flaws.iter().any(same) {
            return;
        }
        self.report.flaws_found += 1;
        if self.report.flaws.len() < FLAWS_LISTED_MAX {
            self.report.flaws.push(flaw);
        }
    }

    /// Each pass goes as far as the storage engine lets it; damage that stops one does not stop the others.
    fn run(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        type Pass<'p> = fn(&mut Audit<'p>, &dyn Journal) -> Result<(), CapsuleError>;
        let passes: [Pass<'a>; 9] = [
            Audit::engine,
            Audit::events,
            Audit::signed,
            Audit::tail,
            Audit::heads,
            Audit::all_blobs,
            Audit::all_names,
            Audit::references,
            Audit::sealed,
        ];
        if !self.key_is_claimed {
            self.flag(key_flaw(self.workspace));
        }
        for pass in passes {
            match pass(self, journal) {
                Err(CapsuleError::Flawed(flaw)) => self.flag(flaw),
                done => done?,
            }
        }
        Ok(())
    }

    fn engine(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        for line in journal.check(FLAWS_LISTED_MAX)? {
            self.flag(Flaw::new(FlawKind::Storage, "journal.db", line));
        }
        Ok(())
    }

    /// Content and chain of every event; the checkpoints among them.
    fn events(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        let mut walk = CheckpointWalk::new(self.workspace, self.report.public_key);
        journal.events(&EventQuery::default(), &mut |row| {
            match row {
                Err(bad) => self.flag(bad_row(&bad)),
                Ok(row) => self.event(&row, &mut walk),
            }
            Ok(true)
        })
    }

    fn event(&mut self, row: &EventRow, walk: &mut CheckpointWalk<'a>) {
        self.report.events += 1;
        let chain = match self.chains.get_mut(&row.run) {
            Some(chain) => chain,
            None => {
                self.report.runs += 1;
                self.chains.entry(row.run.clone()).or_insert_with(ChainWalk::new)
            }
        };
        match chain.step(row, self.workspace) {
            Some(flaw) => self.flag(flaw),
            None => match row.to_event(self.workspace) {
                Err(flaw) => self.flag(flaw),
                Ok(event) => {
                    let policy = (row.policy_id.clone(), row.policy_bytes);
                    self.policies.entry(policy).or_insert_with(|| row.uri.clone());
                    if event.kind == EventKind::PolicySnapshotRef {
                        self.plugins_of(&event.payload, &row.uri);
                    }
                }
            },
        }
        if row.kind == EventKind::Checkpoint.name() {
            let (verified, flaw) = walk.step(row);
            if let Some(verified) = verified {
                self.report.checkpoints += 1;
                self.statements.insert(verified.statement.number, verified.statement.clone());
                self.checkpoints.insert(verified.statement.number, verified);
            }
            flaw.into_iter().for_each(|flaw| self.flag(flaw));
        }
    }

    /// The digests in `plugins[].digest`; other shapes of the payload are none of this room's business.
    fn plugins_of(&mut self, payload: &Value, uri: &str) {
        let plugins = payload.get("plugins").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for digest in plugins.iter().filter_map(|plugin| plugin.get("digest")?.as_str()) {
            let plugin = format!("mv2://{}/plugin/sha256/{digest}", self.workspace);
            self.plugins.entry(plugin).or_insert_with(|| uri.to_owned());
        }
    }

    /// What each checkpoint signed, against what is recorded.
    fn signed(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        let mut checkpoints = std::mem::take(&mut self.checkpoints);
        let lost = checkpoint::mark_flaw(self.mark, checkpoints.values(), self.workspace);
        lost.into_iter().for_each(|flaw| self.flag(flaw));
        self.report.last_checkpoint = checkpoints.values().next_back().map(Verified::mark);
        let mut known = 0;
        journal.checkpoints(&mut |row| {
            match row {
                Err(bad) => self.flag(bad_row(&bad)),
                Ok(row) => {
                    known = known.max(row.number);
                    match checkpoints.remove(&row.number) {
                        Some(verified) => self.covered(journal, &verified, &row)?,
                        None => self.lost_checkpoint(row.number),
                    }
                }
            }
            Ok(true)
        })?;
        for verified in checkpoints.values() {
            self.flag(manifest_flaw(verified, self.workspace));
            self.report.signed_frames = self.report.signed_frames.max(verified.statement.last);
        }
        Ok(())
    }

    fn lost_checkpoint(&mut self, number: u64) {
        // A checkpoint that is there and does not hold was flagged where its event was read.
        let uri = format!("mv2://{}/checkpoint/{}", self.workspace, checkpoint_id(number));
        self.flag(Flaw::new(FlawKind::Missing, uri, "no checkpoint that holds has this number"));
    }

    fn covered(
        &mut self,
        journal: &dyn Journal,
        verified: &Verified,
        row: &CheckpointRow,
    ) -> Result<(), CapsuleError> {
        let statement = &verified.statement;
        self.report.signed_frames = self.report.signed_frames.max(statement.last);
        if row.position != verified.position {
            let uri = format!("mv2://{}/checkpoint/{}", self.workspace, statement.checkpoint);
            self.flag(Flaw::new(FlawKind::Index, uri, "the table of checkpoints says another position"));
        }
        match checkpoint::signed_lines(statement, row) {
            Some(lines) => self.compare(journal, verified, &lines)?,
            None => {
                self.flag(manifest_flaw(verified, self.workspace));
                self.compare_root(journal, verified)?;
            }
        }
        if let Some(flaw) = &verified.envelope {
            self.flag(flaw.clone());
        }
        Ok(())
    }

    /// Frame by frame: names what was altered, removed or put in.
    fn compare(
        &mut self,
        journal: &dyn Journal,
        verified: &Verified,
        lines: &[&str],
    ) -> Result<(), CapsuleError> {
        let statement = &verified.statement;
        let name = &statement.checkpoint;
        let mut found: Vec<Option<String>> = vec![None; lines.len()];
        journal.frames(statement.first, statement.last, &mut |row| {
            match row {
                Err(bad) => self.flag(bad_row(&bad)),
                Ok(frame) => {
                    let index = frame.position.checked_sub(statement.first);
                    let index = index.and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
                    match found.get_mut(index) {
                        Some(slot @ None) => *slot = Some(frame.line()),
                        _ => {
                            let message = format!("it stands where {name} signed something else");
                            self.flag(Flaw::new(FlawKind::Unsigned, &frame.uri, message));
                        }
                    }
                }
            }
            Ok(true)
        })?;
        for (line, found) in lines.iter().zip(&found) {
            let uri = line.split(' ').nth(1).unwrap_or_default();
            match found {
                Some(found) if found == line => {}
                Some(_) => {
                    let message = format!("it is not what {name} signed: it was altered or replaced");
                    self.flag(Flaw::new(FlawKind::Unsigned, uri, message));
                }
                None => {
                    self.flag(Flaw::new(FlawKind::Missing, uri, format!("it is missing: {name} signed it")));
                }
            }
        }
        Ok(())
    }

    /// Without a manifest: whether what is recorded is still what was signed, as a whole.
    fn compare_root(&mut self, journal: &dyn Journal, verified: &Verified) -> Result<(), CapsuleError> {
        let statement = &verified.statement;
        let mut recorded = Manifest::default();
        journal.frames(statement.first, statement.last, &mut |row| {
            if let Ok(frame) = row {
                recorded.push(&frame);
            }
            Ok(true)
        })?;
        if recorded.tree.root() != statement.root {
            let uri = format!("frames/{}-{}", statement.first, statement.last);
            let message = format!("what is recorded there is not what {} signed", statement.checkpoint);
            self.flag(Flaw::new(FlawKind::Unsigned, uri, message));
        }
        Ok(())
    }

    /// Positions after the last checkpoint: one each, without a gap.
    fn tail(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        let mut position = self.report.signed_frames;
        let end = journal.last_position()?;
        journal.frames(position + 1, end, &mut |row| {
            let found = match row {
                Err(bad) => bad.position,
                Ok(frame) => frame.position,
            };
            if found != position + 1 {
                let uri = format!("frames/{}", position + 1);
                let message = format!("position {found} follows position {position}");
                self.flag(Flaw::new(FlawKind::Missing, uri, message));
            }
            position = found;
            Ok(true)
        })?;
        self.report.frames = end;
        Ok(())
    }

    fn heads(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        let mut chains = std::mem::take(&mut self.chains);
        journal.heads(&mut |row| {
            match row {
                Err(bad) => self.flag(bad_row(&bad)),
                Ok((run, head)) => {
                    let walked = chains.remove(&run).map(|chain| chain.head());
                    if walked != Some(head) {
                        let uri = event_uri(self.workspace, &run, head.seq);
                        let seen = walked.map_or(0, |walked| walked.seq);
                        let message =
                            format!("the run's recorded head is this event, its chain ends at {seen}");
                        let kind = if seen < head.seq { FlawKind::Missing } else { FlawKind::Index };
                        self.flag(Flaw::new(kind, uri, message));
                    }
                }
            }
            Ok(true)
        })?;
        for (run, chain) in &chains {
            let uri = event_uri(self.workspace, run, chain.head().seq);
            self.flag(Flaw::new(FlawKind::Index, uri, "the run has no recorded head"));
        }
        Ok(())
    }

    fn all_blobs(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        journal.blobs(&mut |row| {
            match row {
                Err(bad) => self.flag(bad_row(&bad)),
                Ok(blob) => {
                    self.report.blobs += 1;
                    self.blobs.insert(blob.digest);
                    if Digest::of(&blob.bytes) != blob.digest {
                        let uri = format!("mv2://{}/blob/sha256/{}", self.workspace, blob.digest);
                        let message = "the bytes do not match their digest";
                        self.flag(Flaw::new(FlawKind::Content, uri, message));
                    }
                }
            }
            Ok(true)
        })
    }

    fn all_names(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        journal.names(&mut |row| {
            match row {
                Err(bad) => self.flag(bad_row(&bad)),
                Ok(name) => {
                    self.report.names += 1;
                    if let Some(message) = name_problem(&name.uri, self.workspace, &name.digest) {
                        self.flag(Flaw::new(FlawKind::Content, &name.uri, message));
                    }
                    if !self.blobs.contains(&name.digest) {
                        let message = "the bytes that this name stands for are missing";
                        self.flag(Flaw::new(FlawKind::Missing, &name.uri, message));
                    }
                    self.names.insert(name.uri, name.digest);
                }
            }
            Ok(true)
        })
    }

    /// What events rest on: their policies, and the plugins of those.
    fn references(&mut self, _: &dyn Journal) -> Result<(), CapsuleError> {
        for ((id, digest), event) in std::mem::take(&mut self.policies) {
            let uri = format!("mv2://{}/policy/{id}", self.workspace);
            if self.names.get(&uri) != Some(&digest) {
                let message = format!("`{event}` was made under other policy bytes than are stored");
                self.flag(Flaw::new(FlawKind::Missing, uri, message));
            }
        }
        let plugins: BTreeSet<(String, String)> = std::mem::take(&mut self.plugins).into_iter().collect();
        for (uri, event) in plugins {
            if !self.names.contains_key(&uri) {
                let message = format!("`{event}` names this plugin, and its bytes are not stored");
                self.flag(Flaw::new(FlawKind::Missing, uri, message));
            }
        }
        Ok(())
    }
}

impl Audit<'_> {
    /// Sealed files, where the capsule has a folder. A capsule read from sealed files has none: there each was
    /// verified when it was read.
    fn sealed(&mut self, journal: &dyn Journal) -> Result<(), CapsuleError> {
        let statements = std::mem::take(&mut self.statements);
        let Some(capsule) = self.capsule else {
            let rows = seals(journal)?;
            self.report.sealed_files = rows.len() as u64;
            self.report.sealed_frames = rows.last().map_or(0, |row| row.last);
            return Ok(());
        };
        let mut found = Vec::new();
        let mut check = Check {
            capsule,
            journal,
            workspace: self.workspace,
            key: self.report.public_key,
            statements: &statements,
            flag: &mut |flaw| found.push(flaw),
        };
        let sound = check.run();
        found.into_iter().for_each(|flaw| self.flag(flaw));
        let sound = sound?;
        (self.report.sealed_files, self.report.sealed_frames) = (sound.files, sound.through);
        Ok(())
    }
}

/// What is wrong with a name of its own: not one that a writer gives, or a plugin's that is not its digest.
fn name_problem(uri: &str, workspace: &str, digest: &Digest) -> Option<&'static str> {
    match uri.parse::<LogicalUri>() {
        Ok(parsed) if parsed.workspace == workspace => match parsed.resource {
            Resource::Plugin(named) if named != *digest => {
                Some("its name stands for other bytes than it says")
            }
            Resource::Policy(_) | Resource::Plugin(_) | Resource::Artifact(..) | Resource::Report(..) => None,
            _ => Some("no writer gives such a name"),
        },
        _ => Some("no writer gives such a name"),
    }
}
