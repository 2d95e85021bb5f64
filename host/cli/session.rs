//! A gateway put together out of a workspace: snapshot, plugins, journal, client, and where providers are.

use crate::Context;
use crate::evidence;
use crate::failure::{Exit, Failure};
use crate::snapshots::{self, Standing, Store};
use crate::sources::Sources;
use crate::workspace::Workspace;
use sluice_capsule::Writer;
use sluice_core::Secret;
use sluice_gateway::{AttemptSummary, Endpoints, Gateway, Parts};
use sluice_governance::Governor;
use sluice_governance::governor::GovernorError;
use sluice_loopback::{Loopback, Options};
use sluice_plugin::PluginEngine;
use sluice_policy::snapshot::Provider;
use sluice_policy::{PolicySnapshot, Problem};
use sluice_provider::keys::resolve;
use sluice_provider::{Client, Endpoint, KeyProblem, OperatorFile};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Where providers are.
pub enum Places {
    /// Where policy says, each origin with its own key.
    Live {
        /// Keys of other origins.
        operator: OperatorFile,
        /// The environment.
        variables: Arc<BTreeMap<String, Secret>>,
    },
    /// Stand-ins: base URL by provider. Others are not reached at all.
    Loopback(BTreeMap<String, String>),
    /// Stand-ins for some; the others where policy says.
    Beside(BTreeMap<String, String>, Box<Places>),
}

impl Endpoints for Places {
    fn endpoint(&self, name: &str, provider: &Provider) -> Result<Endpoint, KeyProblem> {
        let (base_url, key) = match self {
            Places::Live { operator, variables } => {
                let env = |name: &str| variables.get(name).map(|value| value.expose().to_owned());
                // The operator's file takes no unencrypted origin; this is the same rule from policy's side.
                let key = match provider.may_carry_key() {
                    true => resolve(name, &provider.base_url, operator, &env)?,
                    false => None,
                };
                (provider.base_url.clone(), key)
            }
            Places::Beside(places, others) => match places.get(name) {
                Some(place) => (place.clone(), None),
                None => return others.endpoint(name, provider),
            },
            // A provider without a stand-in is nowhere: it must not be reached for real in its place.
            Places::Loopback(places) => {
                (places.get(name).cloned().unwrap_or_else(|| NOWHERE.to_owned()), None)
            }
        };
        Ok(Endpoint { provider: name.to_owned(), dialect: provider.dialect, base_url, key })
    }
}

/// The discard port of this machine: nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9/v1";

/// A gateway with everything that it lives on.
pub struct Session {
    /// Governs calls.
    pub gateway: Gateway,
    places: Arc<Places>,
    writer: Writer,
}

impl Session {
    /// Opens the workspace for calls: compiles where that is needed, takes the writer's lock, loads the
    /// plugins.
    pub fn open(
        context: &Context,
        workspace: &Workspace,
        verb: &str,
        places: impl FnOnce(&PolicySnapshot) -> Result<Places, Failure>,
    ) -> Result<Session, Failure> {
        let (edge, printer) = (&context.edge, &context.printer);
        // A policy with mistakes, or a plugin that is not the pinned one, leaves no trace: both are looked at
        // before anything is made.
        let sources = Sources::read(workspace)?;
        let refused = |problems: Vec<Problem>| {
            let what = workspace.policy_file();
            Failure::problems(&format!("`{}` does not compile", what.display()), &problems)
        };
        let authored = sources.parse().map_err(refused)?;
        snapshots::ensure_capsule(edge, workspace, printer, || {
            crate::sources::fetch_pinned(workspace, &authored, &sources.lock).map(drop).map_err(refused)
        })?;
        let engine = snapshots::engine(workspace)?;
        let standing = snapshots::current_or_draft(edge, workspace, &engine, printer)?;
        let patterns = &standing.snapshot().governance.security.redaction.env_patterns;
        let guard = edge.guard(patterns)?;
        printer.use_guard(edge.printer_guard(patterns)?);
        let places = Arc::new(places(standing.snapshot())?);
        let loopback = matches!(*places, Places::Loopback(_) | Places::Beside(..));
        let writer =
            evidence::open_writer(context, &workspace.state(), guard.clone(), &format!("sluice {verb}"))?;
        if standing.is_new {
            Store::new(workspace).save(&standing, &writer)?;
            printer.say(format!("policy compiled: snapshot {}", standing.snapshot().policy_id));
        }
        let governor = govern(&engine, &standing)?;
        let gateway = Gateway::new(Parts {
            governor,
            writer: writer.clone(),
            client: Client::new()?,
            endpoints: places.clone(),
            guard,
            clock: edge.clock.clone(),
            entropy: edge.entropy.clone(),
            verb: verb.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            loopback,
        });
        Ok(Session { gateway, places, writer })
    }

    /// A gateway under the policy as it is now, where its hash is another than that of `gateway`.
    pub fn regoverned(
        &self,
        context: &Context,
        workspace: &Workspace,
        gateway: &Gateway,
        places: impl FnOnce(&PolicySnapshot) -> Result<Places, Failure>,
    ) -> Result<Option<Gateway>, Failure> {
        let (edge, printer) = (&context.edge, &context.printer);
        let engine = snapshots::engine(workspace)?;
        let standing = snapshots::current_or_draft(edge, workspace, &engine, printer)?;
        let parts = gateway.parts();
        if standing.snapshot().hash == parts.governor.policy().snapshot.hash {
            return Ok(None);
        }
        let patterns = &standing.snapshot().governance.security.redaction.env_patterns;
        let guard = edge.guard(patterns)?;
        printer.use_guard(edge.printer_guard(patterns)?);
        let endpoints = Arc::new(places(standing.snapshot())?);
        if standing.is_new {
            Store::new(workspace).save(&standing, &self.writer)?;
            printer.say(format!("policy compiled: snapshot {}", standing.snapshot().policy_id));
        }
        Ok(Some(Gateway::new(Parts {
            governor: govern(&engine, &standing)?,
            writer: self.writer.clone(),
            client: Client::new()?,
            endpoints,
            guard,
            clock: edge.clock.clone(),
            entropy: edge.entropy.clone(),
            verb: parts.verb.clone(),
            version: parts.version.clone(),
            loopback: parts.loopback,
        })))
    }

    /// What is wrong with the keys of the providers that were tried, each once.
    pub fn key_problems(&self, attempts: &[AttemptSummary]) -> Vec<KeyProblem> {
        let config = &self.gateway.parts().governor.policy().snapshot.model_config;
        let mut problems = BTreeMap::new();
        for attempt in attempts {
            let Some(model) = config.models.get(&attempt.candidate) else { continue };
            let Some(provider) = config.providers.get(&model.provider) else { continue };
            if let Err(problem) = self.places.endpoint(&model.provider, provider) {
                problems.insert(&model.provider, problem);
            }
        }
        problems.into_values().collect()
    }

    /// Ends it: everything acknowledged is on disk, and the lock is free.
    pub fn close(self) -> Result<(), Failure> {
        drop(self.gateway);
        Ok(self.writer.close()?)
    }
}

/// The plugins of a snapshot, loaded.
fn govern(engine: &PluginEngine, standing: &Standing) -> Result<Governor, Failure> {
    let mut fetch = |pinned: &sluice_policy::snapshot::PinnedPlugin| {
        let missing = || -> Box<dyn std::error::Error + Send + Sync> { "its bytes were not read".into() };
        standing.artifact(pinned.sha256).ok_or_else(missing)
    };
    match Governor::load(engine, standing.loaded.clone(), &mut fetch) {
        Ok(governor) => Ok(governor),
        Err(error @ GovernorError::Missing(_)) => Err(Failure::of(Exit::No, "snapshot-refused", &error)),
        Err(error) => Err(error.into()),
    }
}

/// Keys and origins as policy and operator have them.
pub fn live(context: &Context) -> Result<Places, Failure> {
    Ok(Places::Live { operator: context.edge.operator()?, variables: context.edge.variables() })
}

/// One runtime a process: calls wait for the network, and one thread waits well.
pub fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::could_not("runtime", "cannot start the runtime").because(&error))
}

/// Starts a stand-in.
pub async fn stand_in(options: Options) -> Result<Loopback, Failure> {
    Loopback::start(options)
        .await
        .map_err(|error| Failure::of(Exit::CouldNot, "loopback", &error).maybe_hint(error.hint()))
}

/// One stand-in in the place of every provider.
pub fn everywhere(snapshot: &PolicySnapshot, loopback: &Loopback) -> Places {
    let providers = snapshot.model_config.providers.keys();
    Places::Loopback(providers.map(|name| (name.clone(), loopback.base_url())).collect())
}

/// The same, but for the provider of the local model, which is where policy says.
pub fn everywhere_but_local(
    context: &Context,
    snapshot: &PolicySnapshot,
    loopback: &Loopback,
) -> Result<Places, Failure> {
    let config = &snapshot.model_config;
    let local = config.models.get(&config.reflex.model).map(|model| &model.provider);
    let clouds = config.providers.keys().filter(|name| Some(*name) != local);
    let places = clouds.map(|name| (name.clone(), loopback.base_url())).collect();
    Ok(Places::Beside(places, Box::new(live(context)?)))
}

/// How long a stand-in may take to end: it has nothing left to do.
pub const STOP_AFTER: Duration = Duration::from_secs(2);
