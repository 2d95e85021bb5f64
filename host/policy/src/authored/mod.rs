//! The authored policy: strict TOML in, everything that a snapshot needs out, or every problem at once.
//!
//! Three passes. Each section is read by its own module, key by key; then `relations` checks what holds
//! between sections; a file with a problem anywhere gives no policy. Where a value is wrong, its section
//! reads on with a stand-in, so that the passes after it see the names that the author meant.

mod governance;
mod models;
mod plugins;
mod routing;

pub use plugins::{AuthoredPlugin, BadSource, PluginSource};
pub(crate) use plugins::{digest, section_name};

use crate::document::Source;
use crate::lockfile::PluginLock;
use crate::problem::Problem;
use crate::relations;
use crate::snapshot::{Governance, ModelConfig};
use sluice_core::PluginKind;
use std::collections::BTreeMap;

/// Largest authored file in bytes: a policy with many prompts is some 100 KiB.
pub const POLICY_BYTES_MAX: usize = 1 << 20;

/// A policy that was read whole and has no problem of its own. What it cannot know is checked by
/// [`crate::compile()`]: the plugins' bytes, and their own schemas of their configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Authored {
    /// Providers, models with prices, roles, reflex.
    pub model_config: ModelConfig,
    /// Scoring weights in permille; they sum to 1000.
    pub weights: BTreeMap<String, u32>,
    /// System prompts by role or stage code.
    pub prompts: BTreeMap<String, String>,
    /// Everything that is not models.
    pub governance: Governance,
    /// The four plugins, in the order of `PluginKind::ALL`.
    pub plugins: Vec<AuthoredPlugin>,
}

impl Authored {
    /// The plugin of a kind.
    pub fn plugin(&self, kind: PluginKind) -> Option<&AuthoredPlugin> {
        self.plugins.iter().find(|plugin| plugin.kind == kind)
    }
}

/// Reads a policy. Pins of `file:` plugins may stand in `plugins.lock`, so they are not asked for here: use
/// [`parse_with_lock`] where the lock is at hand.
pub fn parse(text: &str) -> Result<Authored, Vec<Problem>> {
    read(text, None)
}

/// Reads a policy beside its lock: a `file:` plugin must be pinned in one of the two, and where both pin it
/// they must agree.
pub fn parse_with_lock(text: &str, lock: &PluginLock) -> Result<Authored, Vec<Problem>> {
    read(text, Some(lock))
}

fn read(text: &str, lock: Option<&PluginLock>) -> Result<Authored, Vec<Problem>> {
    let source = Source::new(text);
    let document = source.parse(POLICY_BYTES_MAX)?;
    let authored = {
        let root = source.root(&document);
        let meta = governance::meta(&root.section("meta"));
        let system_of_record = governance::system_of_record(&root.section("system_of_record"));
        let routing = routing::read(&root.section("routing"));
        let gates = governance::gates(&root.section("gates"));
        let approvals = governance::approvals(&root.section("approvals"));
        let model_config = models::read(&root, routing, &gates, &approvals);
        let governance = Governance {
            meta,
            system_of_record,
            capture: governance::capture(&root.section("capture")),
            budgets: governance::budgets(&root.section("budgets")),
            gates: governance::as_authored(&gates),
            escalation: governance::escalation(&root.section("escalation")),
            usage: governance::as_authored(&governance::usage(&root.section("usage"))),
            approvals: governance::as_authored(&approvals),
            security: governance::security(&root.section("security")),
            pipeline: root.optional_section("pipeline").map(|section| governance::pipeline(&section)),
        };
        let plugins = plugins::read(&root.section("plugins"));
        let weights = governance::weights(&root.section("scoring"));
        let prompts = governance::prompts(&root.section("prompts"));
        Authored { model_config, weights, prompts, governance, plugins }
    };
    for problem in relations::check(&authored.model_config, &authored.weights, &authored.governance) {
        source.add(problem);
    }
    if let Some(lock) = lock {
        for problem in authored.plugins.iter().filter_map(|plugin| plugin.check_pin(lock)) {
            source.add(problem);
        }
    }
    let problems = source.into_problems();
    if problems.is_empty() { Ok(authored) } else { Err(problems) }
}
