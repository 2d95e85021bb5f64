//! A snapshot with its four plugins loaded: the one place where policy and plugins meet. Gateway and replay
//! hold one and ask it the same questions.

use crate::guard::KnownValues;
use crate::memo::Memo;
use crate::origin::TOLD;
use crate::probe::ProbeWalk;
use crate::redact::{Blocked, Direction, Scan, Scanned};
use crate::stream::TextStream;
use crate::tag::Tagger;
use crate::{arguments, capture, route};
use sluice_core::contract::about::{Description, PluginRef};
use sluice_core::contract::capture_filter::FilterItem;
use sluice_core::contract::health_probe::{PastProbe, ProbeEndpoint};
use sluice_core::contract::router::{Candidate, RouteFacts};
use sluice_core::record::{Answer, CaptureFiltered, HealthProbed, RedactionApplied, RoutingDecision};
use sluice_core::{Cleared, Dialect, Digest, Egress, FaultCode, PluginKind, ScanEvidence, ToolCall};
use sluice_plugin::{Artifact, CaptureFilter, HealthProbe, PluginEngine, PluginError, Redactor, Router};
use sluice_policy::load::Loaded;
use sluice_policy::snapshot::{PinnedPlugin, PolicySnapshot};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The policy's plugins cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum GovernorError {
    /// A snapshot without one of the four.
    #[error("the snapshot pins no {0}")]
    Missing(PluginKind),
    /// The bytes could not be had.
    #[error("the {kind}'s bytes ({digest}) cannot be read")]
    Fetch {
        /// Which plugin.
        kind: PluginKind,
        /// Its pin.
        digest: Digest,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bytes were refused.
    #[error("the {kind} was refused")]
    Refused {
        /// Which plugin.
        kind: PluginKind,
        /// Why.
        #[source]
        source: PluginError,
    },
    /// It says other things of itself than the snapshot.
    #[error("the {kind} calls itself `{found}`, the snapshot `{pinned}`")]
    OtherName {
        /// Which plugin.
        kind: PluginKind,
        /// Its own word.
        found: String,
        /// The snapshot's.
        pinned: String,
    },
    /// The configuration has no JSON form.
    #[error("the {0}'s configuration cannot be written")]
    Config(PluginKind),
}

/// Where the bytes of a pinned plugin come from.
pub type Fetch<'a> =
    &'a mut dyn FnMut(&PinnedPlugin) -> Result<Artifact, Box<dyn std::error::Error + Send + Sync>>;

/// A snapshot with its plugins loaded. Clones share them.
#[derive(Clone)]
pub struct Governor {
    policy: Arc<Loaded>,
    router: Router,
    redactor: Redactor,
    filter: CaptureFilter,
    probe: HealthProbe,
    configs: Arc<Configs>,
    rules: Arc<BTreeSet<String>>,
}

struct Configs {
    router: String,
    redactor: String,
    filter: String,
    probe: String,
}

/// What one body needs to be scanned.
#[derive(Clone, Copy)]
pub struct ScanScope<'a> {
    /// The host's known values.
    pub guard: &'a KnownValues,
    /// The run's tags.
    pub tagger: &'a Tagger,
    /// Number of the call.
    pub call: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// What was scanned before in the same run.
    pub memo: Option<&'a Memo>,
}

impl Governor {
    /// Loads the four plugins of `policy`, each checked against its pin.
    pub fn load(
        engine: &PluginEngine,
        policy: Arc<Loaded>,
        fetch: Fetch<'_>,
    ) -> Result<Governor, GovernorError> {
        let mut get = |kind| -> Result<(&PinnedPlugin, Artifact, String), GovernorError> {
            let pinned = policy.snapshot.plugin(kind).ok_or(GovernorError::Missing(kind))?;
            let artifact = fetch(pinned).map_err(|source| GovernorError::Fetch {
                kind,
                digest: pinned.sha256,
                source,
            })?;
            let config = serde_json::to_string(&pinned.config).map_err(|_| GovernorError::Config(kind))?;
            Ok((pinned, artifact, config))
        };
        let refused = |kind| move |source| GovernorError::Refused { kind, source };

        let (pinned, artifact, router_config) = get(PluginKind::Router)?;
        let router = engine
            .load_router(&artifact, pinned.sha256, pinned.limits)
            .map_err(refused(PluginKind::Router))?;
        same_name(router.description(), pinned)?;

        let (pinned, artifact, redactor_config) = get(PluginKind::Redactor)?;
        let rules = pinned.rules.iter().map(|rule| rule.id.clone()).collect();
        let redactor = engine
            .load_redactor(&artifact, pinned.sha256, pinned.limits)
            .map_err(refused(PluginKind::Redactor))?;
        same_name(redactor.description(), pinned)?;

        let (pinned, artifact, filter_config) = get(PluginKind::CaptureFilter)?;
        let filter = engine
            .load_capture_filter(&artifact, pinned.sha256, pinned.limits)
            .map_err(refused(PluginKind::CaptureFilter))?;
        same_name(filter.description(), pinned)?;

        let (pinned, artifact, probe_config) = get(PluginKind::HealthProbe)?;
        let probe = engine
            .load_health_probe(&artifact, pinned.sha256, pinned.limits)
            .map_err(refused(PluginKind::HealthProbe))?;
        same_name(probe.description(), pinned)?;

        let configs = Configs {
            router: router_config,
            redactor: redactor_config,
            filter: filter_config,
            probe: probe_config,
        };
        Ok(Governor {
            policy,
            router,
            redactor,
            filter,
            probe,
            configs: Arc::new(configs),
            rules: Arc::new(rules),
        })
    }

    /// The same governor with another router, for a counterfactual. The configuration stays the policy's.
    pub fn with_router(mut self, router: Router) -> Governor {
        self.router = router;
        self
    }

    /// The policy, with its stored bytes.
    pub fn policy(&self) -> &Arc<Loaded> {
        &self.policy
    }

    fn snapshot(&self) -> &PolicySnapshot {
        &self.policy.snapshot
    }

    /// The four plugins, in the order of `PluginKind::ALL`.
    pub fn plugins(&self) -> Vec<PluginRef> {
        vec![
            self.router.plugin_ref().clone(),
            self.redactor.plugin_ref().clone(),
            self.filter.plugin_ref().clone(),
            self.probe.plugin_ref().clone(),
        ]
    }

    /// What policy allows for a call with these facts.
    pub fn candidates(&self, facts: &RouteFacts, health: &route::HealthById) -> Vec<Candidate> {
        route::candidates(self.snapshot(), facts, health)
    }

    /// The routing decision for one attempt.
    pub fn route(&self, call: u64, facts: RouteFacts, candidates: Vec<Candidate>) -> RoutingDecision {
        route::decide(self.snapshot(), &self.router, &self.configs.router, call, facts, candidates)
    }

    fn scan<'a>(&'a self, scope: ScanScope<'a>, egress: Egress) -> Scan<'a> {
        Scan {
            redactor: &self.redactor,
            config: &self.configs.redactor,
            rules: &self.rules,
            guard: scope.guard,
            tagger: scope.tagger,
            egress,
            confidence_permille_min: self.snapshot().governance.security.redaction.confidence_permille_min,
            protected: self.snapshot().governance.security.redaction.protected,
            memo: scope.memo,
        }
    }

    /// Scans a request body. With it comes what is recorded; without, the text must not leave.
    pub fn clear_request(
        &self,
        scope: ScanScope<'_>,
        raw: &str,
    ) -> (RedactionApplied, Result<(Cleared, Scanned), Blocked>) {
        let egress = self.snapshot().governance.security.redaction.egress;
        let scanned = self.scan(scope, egress).body(Direction::Request, raw);
        let applied = self.applied(scope, "request", egress, &scanned);
        let cleared = scanned.map(|scanned| {
            let evidence = ScanEvidence {
                redactor: self.redactor.plugin_ref().digest,
                findings: u32::try_from(scanned.findings.len() + scanned.dropped.len()).unwrap_or(u32::MAX),
                egress,
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "this is governance: the body was scanned just above"
            )]
            let cleared = Cleared::attest(scanned.wire.clone().into_bytes(), evidence);
            (cleared, scanned)
        });
        (applied, cleared)
    }

    /// Scans an answer's body. `wire` of the result is what the caller may be handed.
    pub fn scan_response(
        &self,
        scope: ScanScope<'_>,
        raw: &str,
    ) -> (RedactionApplied, Result<Scanned, Blocked>) {
        let redacts = self.snapshot().governance.security.redaction.responses;
        let egress = if redacts { Egress::Redact } else { Egress::Off };
        let scanned = self.scan(scope, egress).body(Direction::Response, raw);
        (self.applied(scope, "response", egress, &scanned), scanned)
    }

    /// Scans one text of an answer while it comes: what is handed on is what [`Governor::scan_response`] makes of
    /// the whole. `path` and `key` are those of its leaf in the whole body.
    pub fn stream_response<'a>(&'a self, scope: ScanScope<'a>, path: &str, key: &str) -> TextStream<'a> {
        let redacts = self.snapshot().governance.security.redaction.responses;
        let egress = if redacts { Egress::Redact } else { Egress::Off };
        TextStream::new(self.scan(scope, egress), path, key)
    }

    /// Scans one tool call of an answer that is still coming: what is handed on is what
    /// [`Governor::scan_response`] makes of it in the whole. `index` is its position among the whole body's tool
    /// calls (OpenAI) or blocks (Anthropic).
    pub fn scan_call(
        &self,
        scope: ScanScope<'_>,
        dialect: Dialect,
        index: usize,
        call: &ToolCall,
    ) -> Result<ToolCall, Blocked> {
        let redacts = self.snapshot().governance.security.redaction.responses;
        let egress = if redacts { Egress::Redact } else { Egress::Off };
        arguments::scan(&self.scan(scope, egress), dialect, index, call)
    }

    /// Redacts a text that goes into the record alone: `labels` of a call, an `exchange` of a probe, the
    /// `excerpt` of a failing server's words. The evidence is there where something was found or held back: a
    /// scan of such a text that finds nothing is not worth an event. Nobody's message is among them, so the redactor
    /// is told nothing of who wrote it.
    pub fn redact_for_record(
        &self,
        scope: ScanScope<'_>,
        what: &str,
        text: &str,
    ) -> (Option<RedactionApplied>, Result<Scanned, Blocked>) {
        let scanned = scan_any(&self.scan(scope, Egress::Redact), Direction::Record, text, 0);
        let applied = RedactionApplied { told: 0, ..self.applied(scope, what, Egress::Redact, &scanned) };
        let tells = !applied.passed || !applied.findings.is_empty() || !applied.dropped.is_empty();
        (tells.then_some(applied), scanned)
    }

    /// Scans a stored text again, without known values or tags: replay's check that nothing new is found.
    /// `told` is what the record says that the redactor was told. Returns how many findings there are.
    pub fn rescan(&self, direction: Direction, raw: &str, told: u64) -> Result<usize, Blocked> {
        let guard = KnownValues::new(&[]).map_err(|_| Blocked::TooLarge)?;
        let tagger = Tagger::new(&[0; 32]);
        let scope = ScanScope { guard: &guard, tagger: &tagger, call: 0, attempt: 0, memo: None };
        scan_any(&self.scan(scope, Egress::Redact), direction, raw, told)
            .map(|scanned| scanned.findings.len())
    }

    fn applied(
        &self,
        scope: ScanScope<'_>,
        what: &str,
        egress: Egress,
        scanned: &Result<Scanned, Blocked>,
    ) -> RedactionApplied {
        let done = scanned.as_ref().ok();
        let answer = match scanned {
            Ok(scanned) => Answer::Answered { value: (), fuel_used: scanned.fuel_used },
            Err(Blocked::Redactor(code)) => Answer::Faulted { code: *code },
            Err(_) => Answer::Answered { value: (), fuel_used: 0 },
        };
        RedactionApplied {
            call: scope.call,
            attempt: scope.attempt,
            what: what.to_owned(),
            plugin: self.redactor.plugin_ref().clone(),
            fields: done.map_or(0, |scanned| scanned.fields),
            bytes: done.map_or(0, |scanned| scanned.bytes),
            egress,
            passed: done.is_some(),
            findings: done.map(|scanned| scanned.findings.clone()).unwrap_or_default(),
            dropped: done.map(|scanned| scanned.dropped.clone()).unwrap_or_default(),
            restored: 0,
            told: TOLD,
            answer,
        }
    }

    /// What the record keeps of `items`.
    pub fn filter(&self, call: u64, attempt: u32, items: Vec<FilterItem>) -> CaptureFiltered {
        let mode = self.snapshot().governance.capture.mode;
        capture::decide(&self.filter, &self.configs.filter, mode, call, attempt, items)
    }

    /// A health probe of `endpoint`, to be driven by whoever can send.
    pub fn probe(&self, endpoint: ProbeEndpoint, history: Vec<PastProbe>) -> ProbeWalk<'_> {
        ProbeWalk::new(&self.probe, &self.configs.probe, endpoint, history)
    }

    /// A recorded probe, judged again.
    pub fn reprobe(&self, recorded: &HealthProbed) -> Option<HealthProbed> {
        crate::probe::rewalk(&self.probe, &self.configs.probe, recorded)
    }

    /// A recorded filter decision, made again.
    pub fn refilter(&self, recorded: &CaptureFiltered) -> CaptureFiltered {
        let items = recorded.items.clone();
        let (call, attempt) = (recorded.call, recorded.attempt);
        capture::decide(&self.filter, &self.configs.filter, recorded.mode, call, attempt, items)
    }
}

/// JSON leaf by leaf, anything else as one text.
fn scan_any(scan: &Scan<'_>, direction: Direction, raw: &str, told: u64) -> Result<Scanned, Blocked> {
    match scan.body_told(direction, raw, told) {
        Err(Blocked::NotJson(_)) => scan.text(direction, raw),
        scanned => scanned,
    }
}

fn same_name(description: &Description, pinned: &PinnedPlugin) -> Result<(), GovernorError> {
    let found = format!("{} {}", description.name, description.version);
    let expected = format!("{} {}", pinned.name, pinned.version);
    if found == expected {
        Ok(())
    } else {
        Err(GovernorError::OtherName { kind: pinned.kind, found, pinned: expected })
    }
}

/// What a plugin's failure led to, for the record; `None` where the answer was usable.
pub fn fault_of<T>(answer: &Answer<T>) -> Option<FaultCode> {
    match answer {
        Answer::Faulted { code } => Some(*code),
        Answer::Answered { .. } => None,
    }
}
