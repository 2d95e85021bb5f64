//! Checkpoints: signed statements about everything recorded so far.
//!
//! Each statement holds the Merkle root over the frames (events, blobs, names) recorded since the checkpoint
//! before, and the digest of that checkpoint's statement. So the checkpoints are a chain of their own, and
//! the last signature covers every frame up to it: none can be altered, removed, added or moved. The
//! manifest, kept beside, lists the leaves; with it a verifier can name what was altered and not only say
//! that something was.

use crate::flaw::{Flaw, FlawKind};
use crate::journal::{CheckpointRow, FrameRow, Head};
use crate::keys::{PublicKey, WorkspaceKey};
use crate::row::EventRow;
use serde::{Deserialize, Serialize};
use sluice_core::canonical::{self, CanonicalError};
use sluice_core::digest::{from_hex, to_hex};
use sluice_core::merkle::MerkleTree;
use sluice_core::{Digest, EventKind, PolicyBinding, RunId, Timestamp};

/// What a statement's `format` says.
pub const STATEMENT_FORMAT: &str = "sluicegate-checkpoint-1";

/// What a checkpoint signs: the canonical JSON of this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`STATEMENT_FORMAT`]: so that the key can never be made to sign something else that looks like this.
    pub format: String,
    /// The workspace.
    pub workspace: String,
    /// `cp-<number>`, as in `checkpoint/<id>`.
    pub checkpoint: String,
    /// 1-based, without gaps.
    pub number: u64,
    /// Why, in the caller's words.
    pub label: String,
    /// When.
    pub at: Timestamp,
    /// The run whose chain holds the checkpoint.
    pub run_id: RunId,
    /// That run's last event before the checkpoint.
    pub seq: u64,
    /// Its hash.
    pub head: Digest,
    /// First position covered: one after the last that the checkpoint before covers.
    pub first: u64,
    /// Last position covered.
    pub last: u64,
    /// RFC 6962 Merkle root over the lines of the frames `first..=last`.
    pub root: Digest,
    /// The policy of the run at that moment.
    pub policy: PolicyBinding,
    /// SHA-256 of the canonical statement of the checkpoint before; zeros for the first.
    pub previous: Digest,
    /// Whose signature this is.
    pub public_key: PublicKey,
}

/// A statement and its signature: the payload of a `Checkpoint` event, and what `checkpoint/<id>` resolves to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// Ed25519 over the statement's canonical JSON, 128 hex digits.
    pub signature: String,
    /// What is signed.
    pub statement: Statement,
}

impl SignedCheckpoint {
    pub(crate) fn sign(key: &WorkspaceKey, statement: Statement) -> Result<SignedCheckpoint, CanonicalError> {
        let signature = to_hex(&key.sign(&canonical::to_bytes(&statement)?));
        Ok(SignedCheckpoint { signature, statement })
    }

    /// SHA-256 of the canonical statement: what the next checkpoint calls `previous`.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of(&canonical::to_bytes(&self.statement)?))
    }

    /// Whether the signature is `key`'s.
    pub fn verifies(&self, key: &PublicKey) -> bool {
        let signature = from_hex(&self.signature).and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        match (signature, canonical::to_bytes(&self.statement)) {
            (Some(signature), Ok(message)) => key.verifies(&message, &signature),
            _ => false,
        }
    }
}

/// The name of the checkpoint with this number.
pub(crate) fn checkpoint_id(number: u64) -> String {
    format!("cp-{number}")
}

/// Whether `id` is spelled as [`checkpoint_id`] spells it; its number then.
pub(crate) fn checkpoint_number(id: &str) -> Option<u64> {
    let number = id.strip_prefix("cp-")?.parse().ok()?;
    (checkpoint_id(number) == id).then_some(number)
}

/// The list of frames of one checkpoint, while it is made.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub text: String,
    pub tree: MerkleTree,
    pub frames: u64,
}

impl Manifest {
    pub fn push(&mut self, frame: &FrameRow) {
        let line = frame.line();
        self.tree.push(line.as_bytes());
        self.text.push_str(&line);
        self.text.push('\n');
        self.frames += 1;
    }
}

/// The lines of a manifest, once they were found to be what the statement signed.
pub(crate) fn signed_lines<'m>(statement: &Statement, row: &'m CheckpointRow) -> Option<Vec<&'m str>> {
    let lines: Vec<&str> = row.manifest.split_terminator('\n').collect();
    let mut tree = MerkleTree::default();
    lines.iter().for_each(|line| tree.push(line.as_bytes()));
    let whole = row.manifest.ends_with('\n')
        && lines.len() as u64 == statement.last.saturating_sub(statement.first) + 1;
    (whole && tree.root() == statement.root).then_some(lines)
}

/// A checkpoint in few words, for a person to keep elsewhere: `<number>:<digest of its statement>`. A capsule
/// that no longer holds it was cut or replaced by an older copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckpointMark {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its canonical statement.
    pub statement: Digest,
}

/// A text that is not a checkpoint's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint's mark: want `<number>:<64 lower-case hex digits>`")]
pub struct BadMark;

impl std::fmt::Display for CheckpointMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, self.statement)
    }
}

impl std::str::FromStr for CheckpointMark {
    type Err = BadMark;

    fn from_str(text: &str) -> Result<CheckpointMark, BadMark> {
        let (number, statement) = text.split_once(':').ok_or(BadMark)?;
        Ok(CheckpointMark {
            number: number.parse().map_err(|_| BadMark)?,
            statement: statement.parse().map_err(|_| BadMark)?,
        })
    }
}

impl TryFrom<String> for CheckpointMark {
    type Error = BadMark;

    fn try_from(text: String) -> Result<CheckpointMark, BadMark> {
        text.parse()
    }
}

impl From<CheckpointMark> for String {
    fn from(mark: CheckpointMark) -> String {
        mark.to_string()
    }
}

/// The flaw of a capsule that does not hold the checkpoint that somebody kept the mark of.
pub(crate) fn mark_flaw<'v>(
    mark: Option<CheckpointMark>,
    mut checkpoints: impl Iterator<Item = &'v Verified>,
    workspace: &str,
) -> Option<Flaw> {
    let mark = mark?;
    if checkpoints.any(|one| one.mark() == mark) {
        return None;
    }
    let uri = format!("mv2://{workspace}/checkpoint/{}", checkpoint_id(mark.number));
    let message = "the expected checkpoint is not here: the capsule was cut, or is an older or another one";
    Some(Flaw::new(FlawKind::Missing, uri, message))
}

/// A checkpoint that was verified in its place in the chain of checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub statement: Statement,
    /// Digest of the statement.
    pub digest: Digest,
    /// Position of its event.
    pub position: u64,
    /// What is wrong with its event apart from the statement. Looked at last: an event that was altered
    /// before the checkpoint, and its chain recomputed, shows here too, and is better named itself.
    pub envelope: Option<Flaw>,
}

impl Verified {
    pub fn mark(&self) -> CheckpointMark {
        CheckpointMark { number: self.statement.number, statement: self.digest }
    }
}

/// Walks the checkpoints of a journal in the order of recording.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointWalk<'a> {
    workspace: &'a str,
    key: PublicKey,
    number: u64,
    last: u64,
    previous: Digest,
}

impl<'a> CheckpointWalk<'a> {
    pub fn new(workspace: &'a str, key: PublicKey) -> CheckpointWalk<'a> {
        CheckpointWalk { workspace, key, number: 0, last: 0, previous: Digest::ZERO }
    }

    /// Checks one `Checkpoint` event against those before it. A statement whose signature holds is worth
    /// comparing with the record even where one before it is missing: then there is both a flaw and the
    /// statement. After a flaw the walk goes on from what the checkpoint says, so that one bad checkpoint is
    /// one flaw.
    pub fn step(&mut self, row: &EventRow) -> (Option<Verified>, Option<Flaw>) {
        let uri = row.own_uri(self.workspace);
        let signed = match parse(row, self.workspace) {
            Ok(signed) => signed,
            Err(flaw) => return (None, Some(flaw)),
        };
        let flaw = self.own_flaw(&signed, row, &uri);
        let sound = flaw.is_none();
        let flaw = flaw.or_else(|| self.chain_flaw(&signed.statement, &uri));
        (self.number, self.last) = (signed.statement.number, signed.statement.last);
        self.previous = signed.digest().unwrap_or(Digest::ZERO);
        let verified = sound.then(|| Verified {
            digest: self.previous,
            position: row.position,
            envelope: envelope_flaw(row, &signed, self.workspace),
            statement: signed.statement,
        });
        (verified, flaw)
    }

    fn own_flaw(&self, signed: &SignedCheckpoint, row: &EventRow, uri: &str) -> Option<Flaw> {
        let statement = &signed.statement;
        if !signed.verifies(&self.key) {
            let message = "its signature does not hold under the public key";
            return Some(Flaw::new(FlawKind::Signature, uri, message));
        }
        if statement.public_key != self.key {
            let message = "it names another public key than the one it is signed with";
            return Some(Flaw::new(FlawKind::Key, uri, message));
        }
        let covers =
            statement.first >= 1 && statement.first <= statement.last && statement.last < row.position;
        (!covers).then(|| Flaw::new(FlawKind::CheckpointChain, uri, "it covers nothing, or itself"))
    }

    fn chain_flaw(&self, statement: &Statement, uri: &str) -> Option<Flaw> {
        if statement.number != self.number + 1 {
            let uri = format!("mv2://{}/checkpoint/{}", self.workspace, checkpoint_id(self.number + 1));
            let message = format!("it is missing: {} follows {}", statement.number, self.number);
            return Some(Flaw::new(FlawKind::Missing, uri, message));
        }
        if statement.previous != self.previous || statement.first != self.last + 1 {
            let message = "it does not follow the checkpoint before it";
            return Some(Flaw::new(FlawKind::CheckpointChain, uri, message));
        }
        None
    }
}

const NOT_WRITTEN: &str = "it is not a checkpoint that a writer writes";

/// Reads the payload of a `Checkpoint` event.
pub(crate) fn parse(row: &EventRow, workspace: &str) -> Result<SignedCheckpoint, Flaw> {
    let bad = || Flaw::new(FlawKind::Unreadable, row.own_uri(workspace), NOT_WRITTEN);
    let signed: SignedCheckpoint = serde_json::from_str(&row.payload).map_err(|_| bad())?;
    if canonical::to_bytes(&signed).ok().as_deref() != Some(row.payload.as_bytes()) {
        return Err(bad());
    }
    let statement = &signed.statement;
    let honest = statement.format == STATEMENT_FORMAT
        && statement.checkpoint == checkpoint_id(statement.number)
        && statement.workspace == workspace;
    if honest { Ok(signed) } else { Err(bad()) }
}

/// The event's fields outside its payload follow from the signed statement: where they do, the signature
/// covers the whole event.
pub(crate) fn envelope_flaw(row: &EventRow, signed: &SignedCheckpoint, workspace: &str) -> Option<Flaw> {
    let message = "the event says something else than its signed statement";
    (*row != event_row(signed, row.position, row.hash, row.payload.clone()))
        .then(|| Flaw::new(FlawKind::Unsigned, row.own_uri(workspace), message))
}

/// Both of the above.
pub(crate) fn read(row: &EventRow, workspace: &str) -> Result<SignedCheckpoint, Flaw> {
    let signed = parse(row, workspace)?;
    match envelope_flaw(row, &signed, workspace) {
        None => Ok(signed),
        Some(flaw) => Err(flaw),
    }
}

/// The one event that carries this checkpoint.
pub(crate) fn event_row(signed: &SignedCheckpoint, position: u64, hash: Digest, payload: String) -> EventRow {
    let statement = &signed.statement;
    let (run, seq) = (statement.run_id.to_string(), statement.seq.saturating_add(1));
    EventRow {
        position,
        uri: crate::row::event_uri(&statement.workspace, &run, seq),
        branch: format!("run/{run}"),
        run,
        seq,
        kind: EventKind::Checkpoint.name().to_owned(),
        at: statement.at.to_string(),
        spec: None,
        stage: None,
        role: None,
        policy_id: statement.policy.id.to_string(),
        policy_hash: statement.policy.hash,
        policy_bytes: statement.policy.bytes,
        prev: statement.head,
        hash,
        payload,
    }
}

/// What the writer needs to know of the checkpoints so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastCheckpoint {
    pub number: u64,
    /// Last position covered.
    pub last: u64,
    pub digest: Digest,
}

impl LastCheckpoint {
    pub const NONE: LastCheckpoint = LastCheckpoint { number: 0, last: 0, digest: Digest::ZERO };
}

/// Everything that a statement says beyond what the caller of `checkpoint` says.
pub(crate) struct Covering<'a> {
    pub workspace: &'a str,
    pub head: Head,
    pub before: LastCheckpoint,
    pub manifest: &'a Manifest,
    pub public_key: PublicKey,
}

/// The statement of the next checkpoint.
pub(crate) fn statement(
    covering: &Covering<'_>,
    run: &RunId,
    label: &str,
    at: Timestamp,
    policy: &PolicyBinding,
) -> Statement {
    let before = covering.before;
    Statement {
        format: STATEMENT_FORMAT.to_owned(),
        workspace: covering.workspace.to_owned(),
        checkpoint: checkpoint_id(before.number + 1),
        number: before.number + 1,
        label: label.to_owned(),
        at,
        run_id: run.clone(),
        seq: covering.head.seq,
        head: covering.head.hash,
        first: before.last + 1,
        last: before.last + covering.manifest.frames,
        root: covering.manifest.tree.root(),
        policy: policy.clone(),
        previous: before.digest,
        public_key: covering.public_key,
    }
}
