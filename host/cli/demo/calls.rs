//! The six calls, one a stage, over real HTTP to two stand-ins.

use super::spec::Planted;
use crate::Context;
use crate::failure::Failure;
use crate::session::{self, Places, Session};
use crate::workspace::Workspace;
use serde_json::{Value, json};
use sluice_core::{MicroUsd, ModeAsked, Role, RunId, Stage};
use sluice_gateway::{CallReply, CallRequest, Run, RunOptions};
use sluice_loopback::{Behaviour, Loopback, Options, Route, Rule};
use std::collections::BTreeMap;

/// The providers of the demo's policy.
const CLOUD: &str = "cloud";
const REFLEX: &str = "reflex";

/// How often the local server says 503 before it would recover: as often as policy lets it try.
const FAILURES: u32 = 2;

/// One call of the story.
pub struct Told {
    /// Who spoke.
    pub role: Role,
    /// In which stage.
    pub stage: Stage,
    /// What came of it.
    pub reply: CallReply,
    /// Whether the caller got its own token back in the answer.
    pub restored: bool,
}

/// What the calls came to.
pub struct Played {
    /// The run.
    pub run: RunId,
    /// The calls, in order.
    pub calls: Vec<Told>,
    /// Sum of the known costs.
    pub spent: MicroUsd,
    /// Requests that the two servers received.
    pub requests: u64,
    /// Whether one of them held a trace of the token.
    pub leaked: bool,
}

/// Both servers.
struct StandIns {
    cloud: Loopback,
    reflex: Loopback,
}

impl StandIns {
    /// The local one answers the health probe's chat, then fails, then would recover.
    async fn start() -> Result<StandIns, Failure> {
        let policy = sluice_policy::parse(super::spec::POLICY)
            .map_err(|problems| Failure::problems("the demo's policy", &problems))?;
        let models = |provider: &str| {
            let all = policy.model_config.models.values();
            all.filter(|model| model.provider == provider).map(|model| model.model.clone()).collect()
        };
        let rules = vec![
            Rule::new(Behaviour::Ok).on(Route::Chat).times(1),
            Rule::new(Behaviour::Fail(503)).on(Route::Chat).times(FAILURES),
        ];
        let cloud = Options { models: models(CLOUD), ..Options::default() };
        let reflex = Options { models: models(REFLEX), rules, ..Options::default() };
        Ok(StandIns { cloud: session::stand_in(cloud).await?, reflex: session::stand_in(reflex).await? })
    }

    fn places(&self) -> Places {
        let at = [(CLOUD, &self.cloud), (REFLEX, &self.reflex)];
        Places::Loopback(at.map(|(name, server)| (name.to_owned(), server.base_url())).into_iter().collect())
    }

    fn requests(&self) -> u64 {
        self.cloud.requests() + self.reflex.requests()
    }

    fn received(&self, planted: &Planted) -> bool {
        let all = [&self.cloud, &self.reflex].map(Loopback::received);
        all.iter().flatten().any(|received| planted.is_in(&received.body))
    }

    async fn stop(self) {
        // They have answered all they will: how they end does not matter any more.
        let _ = tokio::time::timeout(session::STOP_AFTER, async {
            self.cloud.stop().await;
            self.reflex.stop().await;
        })
        .await;
    }
}

/// Plays the story in `workspace`.
pub fn play(context: &Context, workspace: &Workspace, planted: &Planted) -> Result<Played, Failure> {
    let runtime = session::runtime()?;
    let servers = runtime.block_on(StandIns::start())?;
    let session = Session::open(context, workspace, "demo", |_| Ok(servers.places()))?;
    let played = runtime.block_on(async {
        let options =
            RunOptions { spec_id: Some(SPEC_ID.parse().map_err(unsound)?), ..RunOptions::default() };
        let run = session.gateway.start(options).await?;
        let outcome = six_calls(context, &run, planted).await;
        let (id, spent) = (run.id().clone(), run.spent());
        let word = if outcome.is_ok() { "ok" } else { "failed" };
        let finished = run.finish(word).await;
        let calls = outcome?;
        finished?;
        let (requests, leaked) = (servers.requests(), servers.received(planted));
        Ok::<_, Failure>(Played { run: id, calls, spent, requests, leaked })
    });
    let closed = session.close();
    runtime.block_on(servers.stop());
    let played = played?;
    closed?;
    Ok(played)
}

/// The specification's id.
const SPEC_ID: &str = "link-shortener";

fn unsound(error: sluice_core::ids::BadId) -> Failure {
    Failure::could_not("demo", "the demo's own id is unsound").because(&error)
}

/// What each call says, and what it builds on.
async fn six_calls(context: &Context, run: &Run, planted: &Planted) -> Result<Vec<Told>, Failure> {
    let mut said: BTreeMap<Stage, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for (role, stage) in STORY {
        let prompt = prompt(stage, planted, &said);
        let mut request = CallRequest::new(role, stage, prompt);
        request.tags = vec![("demo".to_owned(), "link-shortener".to_owned())];
        request.output_tokens_max = Some(2_000);
        if stage == Stage::Implement {
            request.mode_asked = ModeAsked::Reflex;
            request.bounded = true;
            request.schema = Some(patch_schema());
        }
        context.printer.progress(format!("{} of {}: {role}, {stage} …", calls.len() + 1, STORY.len()));
        let reply = run.call(request).await?;
        said.insert(stage, reply.text.clone());
        let restored = planted.is_whole_in(&reply.text);
        calls.push(Told { role, stage, reply, restored });
    }
    Ok(calls)
}

/// Who speaks in which stage.
const STORY: [(Role, Stage); 6] = [
    (Role::Architect, Stage::Plan),
    (Role::Architect, Stage::Tasks),
    (Role::Implementer, Stage::Implement),
    (Role::Implementer, Stage::Validate),
    (Role::Judge, Stage::Audit),
    (Role::Judge, Stage::Unlock),
];

fn prompt(stage: Stage, planted: &Planted, said: &BTreeMap<Stage, String>) -> String {
    let spec = planted.specification();
    let earlier = |stage: Stage| said.get(&stage).map(String::as_str).unwrap_or_default();
    match stage {
        Stage::Plan => format!("Plan this change.\n\n{spec}"),
        Stage::Tasks => format!("Cut this plan into tasks.\n\n{}", earlier(Stage::Plan)),
        Stage::Implement => {
            format!(
                "Write the first task's change.\n\n{}\n\nThe specification:\n\n{spec}",
                earlier(Stage::Tasks)
            )
        }
        // The stand-in's answer quotes its first line, as a model might: what it quotes is a placeholder.
        Stage::Validate => format!(
            "Does this change do its task, logging in with {}?\n\n{}",
            planted.assignment(),
            earlier(Stage::Implement)
        ),
        Stage::Audit => {
            format!("Audit this change.\n\n{}\n\nThe specification:\n\n{spec}", earlier(Stage::Implement))
        }
        Stage::Unlock => format!("May the change go in? The audit:\n\n{}", earlier(Stage::Audit)),
    }
}

/// A change in a form that a program can apply: what makes the task fit for a local model.
fn patch_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "file": { "type": "string" },
            "change": { "type": "string" },
            "test": { "type": "string" },
        },
        "required": ["file", "change", "test"],
        "additionalProperties": false,
    })
}
