//! A run: a chain of events of its own, the money and tokens it has spent, the health it has seen.

use crate::scanning::{MayScan, Scanning};
use crate::{Clock, Endpoints, Entropy, health};
use serde::Serialize;
use sluice_capsule::{CapsuleError, Pending, Writer};
use sluice_core::contract::health_probe::PastProbe;
use sluice_core::contract::router::Load;
use sluice_core::record::{HealthProbed, ModelCallEnvelope, PolicySnapshotRef, RunStarted};
use sluice_core::{
    Event, EventDraft, EventKind, LogicalUri, MicroUsd, PolicyBinding, Role, RunId, SpecId, Stage,
};
use sluice_governance::route::HealthById;
use sluice_governance::{Governor, KnownValues, Ledger, Memo, Tagger};
use sluice_policy::snapshot::Budgets;
use sluice_provider::Client;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The verb whose runs go through stages. Replay holds each of their calls to a stage, so that nothing else may put one
/// among them.
const STAGED_VERB: &str = "run";

/// Everything a gateway needs, each part made by the caller.
pub struct Parts {
    /// Policy and plugins.
    pub governor: Governor,
    /// The journal.
    pub writer: Writer,
    /// HTTP.
    pub client: Client,
    /// Where providers are.
    pub endpoints: Arc<dyn Endpoints>,
    /// Values that must pass nowhere.
    pub guard: Arc<KnownValues>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// The verb that this process was started with.
    pub verb: String,
    /// The program's version.
    pub version: String,
    /// Whether the loopback server stands in for every provider.
    pub loopback: bool,
}

/// Governs calls. Clones share everything.
#[derive(Clone)]
pub struct Gateway {
    parts: Arc<Parts>,
    scanning: Scanning,
    in_flight: Arc<AtomicU32>,
}

/// How a run begins.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// An id of the caller's; a new one where `None`. An id that the journal knows goes on with that run.
    pub id: Option<RunId>,
    /// The specification it works on.
    pub spec_id: Option<SpecId>,
    /// Why a policy is adopted now, where a known run goes on under another one: `stage-boundary`; `manual`
    /// where `None`.
    pub occasion: Option<String>,
}

/// A run that cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It has ended.
    #[error("run `{0}` has finished")]
    Finished(RunId),
    /// It goes through stages, and this is no call of one.
    #[error("run `{0}` goes through stages, and takes no other calls")]
    Staged(RunId),
    /// The journal says no.
    #[error("the record could not be written")]
    Record(#[from] CapsuleError),
    /// An event of the run does not read back.
    #[error("an event of run `{0}` does not read back")]
    Unreadable(RunId, #[source] serde_json::Error),
}

impl StartError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            StartError::Finished(_) => Some("give another --run, or none to begin a new one".into()),
            StartError::Staged(run) => Some(format!("`sluice run SPEC.md --resume {run}` goes on with it")),
            StartError::Record(error) => error.hint(),
            StartError::Unreadable(..) => Some("`sluice capsule verify` says what is damaged".into()),
        }
    }
}

/// What a run has come to. Rebuilt from its events where it goes on.
#[derive(Default)]
pub(crate) struct State {
    pub ledger: Ledger,
    pub health: HealthById,
    probes: BTreeMap<String, (u64, Vec<PastProbe>)>,
    /// An event was on its way and may not have been recorded: what stands here may go beyond the record.
    in_doubt: bool,
    /// Events in line that nobody waited for.
    unheard: Option<Pending<Vec<Event>>>,
}

impl State {
    /// Whether the endpoint has no verdict, or one that asked to be renewed by now.
    pub(crate) fn probe_due(&self, id: &str, now_ms: u64) -> bool {
        self.probes.get(id).is_none_or(|(due_ms, _)| now_ms >= *due_ms)
    }

    pub(crate) fn history(&self, id: &str) -> Vec<PastProbe> {
        self.probes.get(id).map(|(_, history)| history.clone()).unwrap_or_default()
    }

    pub(crate) fn probed(&mut self, id: &str, probed: &HealthProbed) {
        let entry = self.probes.entry(id.to_owned()).or_default();
        entry.0 = probed.endpoint.now_ms.saturating_add(probed.recheck_after_ms);
        health::remember(&mut entry.1, probed);
    }
}

/// One run of governed calls.
pub struct Run {
    gateway: Gateway,
    id: RunId,
    spec_id: Option<SpecId>,
    policy: PolicyBinding,
    tagger: Tagger,
    /// Scans of this run: no other run learns from it what was scanned here.
    memo: Memo,
    state: Mutex<State>,
    turn: tokio::sync::Mutex<()>,
}

impl Gateway {
    /// A gateway out of its parts.
    pub fn new(parts: Parts) -> Gateway {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let in_flight = Arc::new(AtomicU32::new(0));
        Gateway { parts: Arc::new(parts), scanning: Scanning::new(cores), in_flight }
    }

    /// Its parts.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Begins a run, or goes on with one that the journal knows. What it binds to (policy, plugins) is
    /// committed when this returns.
    pub async fn start(&self, options: RunOptions) -> Result<Run, StartError> {
        let parts = &self.parts;
        let id = options.id.unwrap_or_else(|| {
            let mut random = [0; 4];
            (parts.entropy)(&mut random);
            RunId::new((parts.clock)(), random)
        });
        let known = match parts.writer.reader()?.run_events(&id) {
            Ok(known) => Some(known),
            Err(CapsuleError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let state = match &known {
            Some(known) => restore(&id, &parts.governor.policy().snapshot.governance.budgets, &known.events)?,
            None => State::default(),
        };
        let verb = known.as_ref().and_then(|known| known.events.first()?.payload.get("verb")?.as_str());
        if verb == Some(STAGED_VERB) && parts.verb != STAGED_VERB {
            return Err(StartError::Staged(id));
        }
        let same_policy = known.as_ref().and_then(|known| known.events.last()).map(|event| &event.policy);
        let policy = bind(parts);
        let adopts = same_policy != Some(&policy);
        let tagger = Tagger::new(&parts.writer.key().derive(&format!("sluice/tag/v1/{id}")));
        let spec_id = options.spec_id;
        let (state, turn) = (Mutex::new(state), tokio::sync::Mutex::default());
        let run =
            Run { gateway: self.clone(), id, spec_id, policy, tagger, memo: Memo::default(), state, turn };
        let occasion = options.occasion.as_deref().unwrap_or("manual");
        run.announce(known.is_none(), adopts, occasion).await?;
        Ok(run)
    }
}

/// The policy that events are bound to from now on.
fn bind(parts: &Parts) -> PolicyBinding {
    let loaded = parts.governor.policy();
    let id = loaded.snapshot.policy_id;
    PolicyBinding {
        id,
        uri: LogicalUri::new(parts.writer.workspace(), sluice_core::uri::Resource::Policy(id)),
        hash: loaded.snapshot.hash,
        bytes: loaded.bytes_digest,
    }
}

fn restore(id: &RunId, budgets: &Budgets, events: &[Event]) -> Result<State, StartError> {
    let unreadable = |error| StartError::Unreadable(id.clone(), error);
    let mut state = State::default();
    for event in events {
        match event.kind {
            EventKind::RunFinished => return Err(StartError::Finished(id.clone())),
            EventKind::RoutingDecision => {
                let call = event.payload.get("call").and_then(serde_json::Value::as_u64);
                state.ledger.calls = state.ledger.calls.max(call.unwrap_or(0));
            }
            EventKind::ModelCallEnvelope => {
                let envelope: ModelCallEnvelope =
                    serde_json::from_value(event.payload.clone()).map_err(unreadable)?;
                state.ledger.spend(budgets, &envelope);
            }
            EventKind::HealthProbed => {
                let probed: HealthProbed =
                    serde_json::from_value(event.payload.clone()).map_err(unreadable)?;
                let id = probed.endpoint.id.clone();
                state.probed(&id, &probed);
                state.health.insert(id, sluice_governance::probe::health(&probed));
            }
            _ => {}
        }
    }
    Ok(state)
}

/// A salt that the workspace's owner can derive anew and nobody else can.
pub(crate) fn salt(parts: &Parts, run: &RunId, call: u64, attempt: u32, what: &str) -> [u8; 16] {
    let derived = parts.writer.key().derive(&format!("sluice/salt/v1/{run}/{call}/{attempt}/{what}"));
    let mut salt = [0; 16];
    salt.copy_from_slice(&derived[..16]);
    salt
}

impl Run {
    /// Its id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// What it has cost so far.
    pub fn spent(&self) -> MicroUsd {
        self.with_state(|state| state.ledger.spent)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.gateway.parts
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Waits until so many bytes may be scanned.
    pub(crate) async fn may_scan(&self, bytes: usize) -> MayScan {
        self.gateway.scanning.admit(bytes).await
    }

    pub(crate) fn governor(&self) -> &Governor {
        &self.parts().governor
    }

    pub(crate) fn spec_id(&self) -> Option<&SpecId> {
        self.spec_id.as_ref()
    }

    /// Strings that this process looked up in the run's memory of scans, and how many of them it had scanned before.
    pub fn remembered(&self) -> (u64, u64) {
        self.memo.hits()
    }

    pub(crate) fn memo(&self) -> &Memo {
        &self.memo
    }

    pub(crate) fn tagger(&self) -> &Tagger {
        &self.tagger
    }

    pub(crate) fn with_state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        // A panic while the lock was held leaves counters that are sound one by one.
        let mut state: MutexGuard<'_, State> = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut state)
    }

    /// Waits for the calls before this one. Each decision rests on what the ones before it came to, and replay
    /// walks them in this order: within a run, one call is made at a time.
    pub(crate) async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, CapsuleError> {
        let turn = self.turn.lock().await;
        self.settle().await?;
        Ok(turn)
    }

    /// Records events of a call.
    pub(crate) async fn record(&self, drafts: Vec<EventDraft>) -> Result<Vec<Event>, CapsuleError> {
        self.with_state(|state| state.in_doubt = true);
        let events = self.parts().writer.append(drafts).await?;
        self.with_state(|state| state.in_doubt = false);
        Ok(events)
    }

    /// Puts events in line for which nobody can wait any more; the next call of the run does.
    pub(crate) fn record_unheard(&self, drafts: Vec<EventDraft>) {
        let pending = self.parts().writer.append(drafts);
        self.with_state(|state| {
            state.in_doubt = true;
            state.unheard = Some(pending);
        });
    }

    /// Where events could not be recorded, or whoever waited for them went away, the record says what the run
    /// has come to.
    async fn settle(&self) -> Result<(), CapsuleError> {
        if !self.with_state(|state| state.in_doubt) {
            return Ok(());
        }
        if let Some(pending) = self.with_state(|state| state.unheard.take()) {
            // Recorded or not: the record is asked next.
            let _ = pending.await;
        }
        let events = self.parts().writer.reader()?.run_events(&self.id)?.events;
        let budgets = &self.governor().policy().snapshot.governance.budgets;
        // Events of this very run read back: they were made from the types they are read as.
        if let Ok(restored) = restore(&self.id, budgets, &events) {
            self.with_state(|state| *state = restored);
        }
        Ok(())
    }

    pub(crate) fn load(&self) -> Load {
        Load { in_flight: self.gateway.in_flight.load(Ordering::Relaxed), queued: 0 }
    }

    /// Counts a call as in flight until the returned mark is dropped.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.gateway.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.gateway.in_flight.clone())
    }

    pub(crate) fn salt(&self, call: u64, attempt: u32, what: &str) -> [u8; 16] {
        salt(self.parts(), &self.id, call, attempt, what)
    }

    /// An event of this run, now. A payload that does not serialise is impossible for our own records: they
    /// are structs of strings, numbers and lists.
    pub(crate) fn draft(
        &self,
        kind: EventKind,
        role: Role,
        stage: Stage,
        payload: &impl Serialize,
    ) -> EventDraft {
        self.draft_of(kind, Some(role), Some(stage), payload)
    }

    pub(crate) fn draft_of(
        &self,
        kind: EventKind,
        role: Option<Role>,
        stage: Option<Stage>,
        payload: &impl Serialize,
    ) -> EventDraft {
        EventDraft {
            kind,
            run_id: self.id.clone(),
            spec_id: self.spec_id.clone(),
            stage,
            role,
            at: (self.parts().clock)(),
            policy: self.policy.clone(),
            // A null payload is refused by the journal, so a failure here cannot pass unseen.
            payload: serde_json::to_value(payload).unwrap_or(serde_json::Value::Null),
        }
    }

    async fn announce(&self, begins: bool, adopts: bool, occasion: &str) -> Result<(), CapsuleError> {
        let parts = self.parts();
        let mut drafts = Vec::new();
        if begins {
            let started = RunStarted {
                verb: parts.verb.clone(),
                version: parts.version.clone(),
                capture_mode: self.governor().policy().snapshot.governance.capture.mode,
                loopback: parts.loopback,
            };
            drafts.push(self.draft_of(EventKind::RunStarted, None, None, &started));
        }
        if adopts {
            let adopted = PolicySnapshotRef {
                occasion: if begins { "run-start" } else { occasion }.to_owned(),
                plugins: self.governor().plugins(),
                engine_id: self.governor().policy().snapshot.engine_id.clone(),
            };
            drafts.push(self.draft_of(EventKind::PolicySnapshotRef, None, None, &adopted));
        }
        if !drafts.is_empty() {
            parts.writer.append(drafts).await?;
        }
        Ok(())
    }

    /// A signed mark over everything so far. Returns its event.
    pub async fn checkpoint(&self, label: &str) -> Result<Event, CapsuleError> {
        let at = (self.parts().clock)();
        self.parts().writer.checkpoint(&self.id, label, at, &self.policy).await
    }

    /// Ends the run with a last event and a signed checkpoint.
    pub async fn finish(self, outcome: &str) -> Result<Event, CapsuleError> {
        self.settle().await?;
        let finished = self.with_state(|state| state.ledger.finished(outcome));
        let draft = self.draft_of(EventKind::RunFinished, None, None, &finished);
        self.parts().writer.append(vec![draft]).await?;
        self.checkpoint("run-finished").await
    }
}

/// A call in flight.
pub(crate) struct InFlight(Arc<AtomicU32>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
