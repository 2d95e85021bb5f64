//! The context of a stage: what is asked, and the sections that go along, within a budget of tokens.
//!
//! Each section gets what it needs, at most its share. What is left over goes to those that need more, in their
//! order. A section that needs more still is cut at the end of a paragraph or a line, and says so. Then the text is
//! counted as a whole; while it is over the budget, the last section that can give way does.

use crate::answer;
use crate::stages::{PATCHES, StagePlan, Wanted, name, plan_of};
use crate::tokens::count;
use crate::trim::beginning;
use sluice_core::record::{ContextRecord, SectionCount};
use sluice_core::{Role, Stage};
use std::collections::BTreeMap;

/// The least that a context is given: a budget shapes a call and never refuses it, so what is asked always
/// stands, and with it a little of what it is about.
pub const TOKENS_MIN: u64 = 512;

/// Stands where a section was cut.
const CUT: &str = "[cut here: the rest is over the budget of this stage]\n";

/// What there is to compile from: artefacts by name, redacted; the specification is one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// By name.
    pub artifacts: BTreeMap<String, String>,
}

impl Inputs {
    /// Names of the artefacts that a stage's context is compiled from, of those that there are.
    pub fn used(&self, stage: Stage, role: Role) -> Vec<&'static str> {
        let sections = sections(plan_of(stage), role);
        let names = sections
            .iter()
            .map(|wanted| if wanted.section == PATCHES { name::CHANGE } else { wanted.section });
        names.filter(|name| self.artifacts.contains_key(*name)).collect()
    }

    fn section(&self, wanted: &Wanted) -> Option<String> {
        if wanted.section != PATCHES {
            return self.artifacts.get(wanted.section).cloned();
        }
        let change = answer::change(self.artifacts.get(name::CHANGE)?).ok()?;
        Some(change.shown())
    }
}

/// A context, and what of it goes into the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// What is said to the model.
    pub text: String,
    /// How it came out.
    pub record: ContextRecord,
}

/// One section on its way.
struct Part<'a> {
    wanted: Wanted,
    text: &'a str,
    tokens: u64,
    /// Tokens that it may take, its heading and the mark of a cut included.
    allowance: u64,
}

/// Compiles what `role` sees in `stage`. A role other than the stage's own is its critic.
pub fn compile(stage: Stage, role: Role, inputs: &Inputs, budget_tokens: u64) -> Context {
    let plan = plan_of(stage);
    let head = if role == plan.role { plan.head() } else { plan.critic_head() };
    let texts: Vec<(Wanted, String)> = sections(plan, role)
        .into_iter()
        .filter_map(|wanted| Some((wanted, inputs.section(&wanted)?)))
        .filter(|(_, text)| !text.trim().is_empty())
        .collect();
    let budget = budget_tokens.max(TOKENS_MIN);
    let mut parts: Vec<Part<'_>> = texts
        .iter()
        .map(|(wanted, text)| Part { wanted: *wanted, text, tokens: count(text), allowance: 0 })
        .collect();
    allot(&mut parts, budget.saturating_sub(count(&head)));
    loop {
        let (text, kept) = assemble(&head, &parts);
        let tokens = count(&text);
        if tokens <= budget || !give_way(&mut parts, &kept, tokens.saturating_sub(budget)) {
            let record = record(budget_tokens, &text, tokens, &parts, &kept);
            return Context { text, record };
        }
    }
}

fn sections(plan: &StagePlan, role: Role) -> Vec<Wanted> {
    if role == plan.role {
        return plan.sections.to_vec();
    }
    let own = if plan.answer == name::CHANGE { PATCHES } else { plan.answer };
    vec![
        Wanted { section: own, title: "What it came to", share_permille: 600 },
        Wanted { section: name::SPEC, title: "The specification", share_permille: 400 },
    ]
}

fn heading(wanted: &Wanted) -> String {
    format!("\n## {}\n\n", wanted.title)
}

/// Shares first, then what is left over.
fn allot(parts: &mut [Part<'_>], tokens: u64) {
    let need = |part: &Part<'_>| part.tokens + count(&heading(&part.wanted)) + 1;
    for part in parts.iter_mut() {
        let share = u128::from(tokens) * u128::from(part.wanted.share_permille) / 1000;
        part.allowance = need(part).min(u64::try_from(share).unwrap_or(u64::MAX));
    }
    let mut left = tokens.saturating_sub(parts.iter().map(|part| part.allowance).sum());
    for part in parts.iter_mut() {
        let more = need(part).saturating_sub(part.allowance).min(left);
        part.allowance += more;
        left -= more;
    }
}

/// The text, and how many bytes of each section are in it.
fn assemble(head: &str, parts: &[Part<'_>]) -> (String, Vec<usize>) {
    let mut text = head.to_owned();
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        let heading = heading(&part.wanted);
        let room = part.allowance.saturating_sub(count(&heading));
        let whole = part.tokens < room || (part.tokens == room && part.text.ends_with('\n'));
        let shown = if whole {
            Some(part.text)
        } else {
            beginning(part.text, room.saturating_sub(count(CUT) + 1)).filter(|shown| !shown.trim().is_empty())
        };
        kept.push(shown.map_or(0, str::len));
        let Some(shown) = shown else { continue };
        text.push_str(&heading);
        text.push_str(shown);
        if !shown.ends_with('\n') {
            text.push('\n');
        }
        if shown.len() < part.text.len() {
            text.push_str(CUT);
        }
    }
    (text, kept)
}

/// Takes `over` tokens and one more from the last section that has any left. False where none has.
fn give_way(parts: &mut [Part<'_>], kept: &[usize], over: u64) -> bool {
    let last = parts.iter_mut().zip(kept).rev().find(|(_, kept)| **kept > 0);
    let Some((part, _)) = last else { return false };
    part.allowance = part.allowance.saturating_sub(over + 1);
    true
}

fn record(budget_tokens: u64, text: &str, tokens: u64, parts: &[Part<'_>], kept: &[usize]) -> ContextRecord {
    let counted = |section: &str, text: &str| SectionCount {
        section: section.to_owned(),
        tokens: count(text),
        bytes: text.len() as u64,
    };
    let (mut included, mut left_out) = (Vec::new(), Vec::new());
    for (part, kept) in parts.iter().zip(kept) {
        let (shown, rest) = part.text.split_at(*kept);
        if !shown.is_empty() {
            included.push(counted(part.wanted.section, shown));
        }
        if !rest.is_empty() {
            left_out.push(counted(part.wanted.section, rest));
        }
    }
    ContextRecord { budget_tokens, tokens, bytes: text.len() as u64, included, left_out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inputs(artifacts: &[(&str, &str)]) -> Inputs {
        let artifacts = artifacts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Inputs { artifacts: artifacts.collect() }
    }

    #[test]
    fn what_fits_goes_in_whole() {
        let inputs = inputs(&[(name::PLAN, "1. a plan\n"), (name::SPEC, "A spec.\n\nOf two paragraphs.")]);
        let context = compile(Stage::Tasks, Role::Architect, &inputs, 4_000);
        assert!(context.text.ends_with(
            "\n## The plan\n\n1. a plan\n\n## The specification\n\nA spec.\n\nOf two paragraphs.\n"
        ));
        assert!(context.record.left_out.is_empty());
        let names: Vec<&str> = context.record.included.iter().map(|one| one.section.as_str()).collect();
        assert_eq!(names, [name::PLAN, name::SPEC]);
        assert_eq!(context.record.tokens, count(&context.text));
        assert_eq!(compile(Stage::Tasks, Role::Architect, &inputs, 4_000), context, "the same bytes");
        assert_eq!(inputs.used(Stage::Tasks, Role::Architect), [name::PLAN, name::SPEC]);
    }

    #[test]
    fn a_long_section_does_not_starve_the_others() {
        let long = "A line of the plan that says something.\n".repeat(2_000);
        let inputs = inputs(&[(name::PLAN, &long), (name::SPEC, "The spec is short.\n")]);
        let context = compile(Stage::Tasks, Role::Architect, &inputs, 1_000);
        assert!(context.record.tokens <= 1_000 && context.record.tokens > 900, "{}", context.record.tokens);
        assert!(context.text.contains(CUT) && context.text.contains("The spec is short."));
        let left = &context.record.left_out;
        assert_eq!(left.len(), 1);
        let shown = context.record.included.iter().find(|one| one.section == name::PLAN).unwrap();
        assert_eq!(shown.bytes + left[0].bytes, long.len() as u64);
    }

    #[test]
    fn a_budget_of_one_token_still_asks() {
        let inputs = inputs(&[(name::SPEC, &"word ".repeat(10_000))]);
        let context = compile(Stage::Plan, Role::Architect, &inputs, 1);
        assert!(context.text.starts_with("Plan the change"));
        assert!(context.record.tokens <= TOKENS_MIN);
        assert_eq!(
            context.record.left_out[0].bytes, 50_000,
            "one line of 10,000 words has no border to cut at"
        );
    }

    #[test]
    fn the_critic_sees_the_answer_and_the_specification() {
        let inputs = inputs(&[(name::PLAN, "the plan\n"), (name::SPEC, "the spec\n")]);
        let context = compile(Stage::Plan, Role::SidecarCritic, &inputs, 4_000);
        assert!(context.text.contains("stage plan came to") && context.text.contains("the plan"));
    }

    fn text() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            "[a-z]{1,8}( [a-z]{1,8}){0,12}",
            "[ -~]{0,60}",
            Just(String::new()),
            "\\PC{0,40}",
            Just("## heading".to_owned()),
        ];
        proptest::collection::vec(line, 0..120).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn never_over_budget_never_invented_always_the_same(
            spec in text(), plan in text(), tasks in text(), stage in 0_usize..3, budget in 1_u64..3_000,
        ) {
            let stage = Stage::ALL[stage];
            let role = plan_of(stage).role;
            let inputs = inputs(&[(name::SPEC, &spec), (name::PLAN, &plan), (name::TASKS, &tasks)]);
            let context = compile(stage, role, &inputs, budget);
            prop_assert_eq!(count(&context.text), context.record.tokens);
            prop_assert!(context.record.tokens <= budget.max(TOKENS_MIN));
            prop_assert_eq!(&compile(stage, role, &inputs, budget), &context);
            // Each section is a beginning of its artefact, and the counts add up to the whole.
            for section in &context.record.included {
                let whole = &inputs.artifacts[&section.section];
                let bytes = usize::try_from(section.bytes).unwrap();
                prop_assert!(context.text.contains(&whole[..bytes]));
                let left = context.record.left_out.iter().find(|left| left.section == section.section);
                prop_assert_eq!(section.bytes + left.map_or(0, |left| left.bytes), whole.len() as u64);
            }
            // Nothing stands there that is not asked, a heading, a mark or part of an artefact.
            let mut rest = context.text.strip_prefix(&plan_of(stage).head()).unwrap().to_owned();
            for section in &context.record.included {
                let shown = &inputs.artifacts[&section.section][..usize::try_from(section.bytes).unwrap()];
                rest = rest.replacen(shown, "", 1);
            }
            for line in rest.lines().filter(|line| !line.is_empty()) {
                prop_assert!(line.starts_with("## The ") || CUT.starts_with(line), "{line}");
            }
        }
    }
}
