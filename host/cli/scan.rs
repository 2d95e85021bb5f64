//! `sluice plugin scan`: what the policy's redactor, in its sandbox, and the host's guard find in a text.

use crate::Context;
use crate::failure::Failure;
use crate::printer::Answer;
use crate::snapshots;
use crate::sources::{self, Sources};
use crate::table::{clip, columns, count};
use crate::workspace::read_text_or_stdin;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_core::{Egress, PluginKind, PluginLimits, Protected};
use sluice_governance::redact::Scan;
use sluice_governance::{Blocked, Direction, KnownValues, Scanned, Tagger};
use sluice_plugin::{PluginEngine, Redactor};
use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::Arc;

/// `sluice plugin scan`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The text: a file, or `-` for standard input
    file: String,
    /// Print the text with every finding replaced, not the findings
    #[arg(long)]
    redact: bool,
    /// Read lines `{"id":…,"text":…}`; write lines `{"id":…,"findings":[{"start","end","rule"}]}`, with
    /// --redact `{"id":…,"text":…}`. Offsets are UTF-8 bytes
    #[arg(long)]
    jsonl: bool,
}

/// Longest line of `--jsonl` in bytes: JSON can take six bytes for one of a text of the largest size.
const LINE_BYTES_MAX: u64 = 96 << 20;

/// A redactor ready to look at texts.
struct Scanner {
    redactor: Redactor,
    config: String,
    rules: BTreeSet<String>,
    guard: Arc<KnownValues>,
    tagger: Tagger,
}

#[derive(Deserialize)]
struct Line {
    id: Value,
    text: String,
}

/// Carries it out.
pub fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let scanner = Scanner::new(context)?;
    if args.jsonl {
        return lines(context, args, &scanner);
    }
    let text = read_text_or_stdin(&args.file, &context.edge.folder)?;
    let scanned = scanner.scan(&text)?;
    let findings = findings(&scanned);
    if args.redact {
        context.printer.say(count(scanned.findings.len() as u64, "finding"));
        let mut document = json!({ "text": scanned.record, "findings": findings });
        document["redactor"] = scanner.digest();
        if !context.printer.is_json() {
            // Byte for byte: no line end is added.
            context.printer.bytes(scanned.record.as_bytes())?;
            return Ok(Answer::yes(document, ""));
        }
        return Ok(Answer::yes(document, ""));
    }
    let told = told(&text, &scanned);
    Ok(Answer::yes(json!({ "findings": findings, "redactor": scanner.digest() }), told))
}

fn lines(context: &Context, args: &Args, scanner: &Scanner) -> Result<Answer, Failure> {
    let mut reader: Box<dyn BufRead> = if args.file == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let path = context.edge.folder.join(&args.file);
        let file = std::fs::File::open(&path).map_err(|error| Failure::file("read", &path, &error))?;
        Box::new(std::io::BufReader::new(file))
    };
    let mut number = 0_u64;
    let mut line = String::new();
    loop {
        line.clear();
        number += 1;
        let fail = |why: &dyn std::error::Error| {
            Failure::could_not("bad-line", format!("line {number} cannot be scanned")).because(why)
        };
        let read = std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_line(&mut line);
        if read.map_err(|error| fail(&error))? == 0 {
            return Ok(Answer::silent());
        }
        if line.trim().is_empty() {
            continue;
        }
        let Line { id, text } = serde_json::from_str(&line)
            .map_err(|error| fail(&error).hint("want one `{\"id\": …, \"text\": \"…\"}` a line"))?;
        let scanned = scanner.scan(&text).map_err(|failure| Failure {
            message: format!("line {number}: {}", failure.message),
            ..failure
        })?;
        let answer = if args.redact {
            json!({ "id": id, "text": scanned.record })
        } else {
            json!({ "id": id, "findings": findings(&scanned) })
        };
        context.printer.line(&answer)?;
    }
}

impl Scanner {
    /// The workspace's redactor; outside a workspace the bundled one under the default limits.
    fn new(context: &Context) -> Result<Scanner, Failure> {
        let (artifact, config, limits, engine, patterns) = match context.workspace() {
            Ok(workspace) => {
                let sources = Sources::read(&workspace)?;
                let refused = |problems: Vec<_>| {
                    Failure::problems(
                        &format!("`{}` is not valid", workspace.policy_file().display()),
                        &problems,
                    )
                };
                let authored = sources.parse().map_err(refused)?;
                let fetched = sources::fetch_pinned(&workspace, &authored, &sources.lock).map_err(refused)?;
                let (Some(wanted), Some(one)) = (
                    authored.plugin(PluginKind::Redactor),
                    fetched.into_iter().find(|one| one.kind == PluginKind::Redactor),
                ) else {
                    return Err(Failure::no("invalid", "the policy names no redactor"));
                };
                let patterns = authored.governance.security.redaction.env_patterns.clone();
                let engine = snapshots::engine(&workspace)?;
                (one.artifact, wanted.config.to_string(), wanted.limits, engine, patterns)
            }
            Err(failure) if context.workspace.is_some() => return Err(failure),
            Err(failure) => {
                context.printer.say(format!("{}: the bundled redactor is used", failure.message));
                let artifact = sources::fetch_named("bundled:redactor", &context.edge.folder)?;
                let limits = PluginLimits::default_for(PluginKind::Redactor);
                let patterns =
                    crate::edge::ENV_PATTERNS.iter().map(|pattern| (*pattern).to_owned()).collect();
                (artifact, "{}".to_owned(), limits, PluginEngine::new(None)?, patterns)
            }
        };
        let redactor = engine.load_redactor(&artifact, artifact.digest(), limits)?;
        let rules = redactor.rules(&config)?.value.into_iter().map(|rule| rule.id).collect();
        // A key of this process alone: tags tell secrets of one output apart and are no oracle for any other.
        let mut key = [0; 32];
        (context.edge.entropy)(&mut key);
        let guard = context.edge.guard(&patterns)?;
        Ok(Scanner { redactor, config, rules, guard, tagger: Tagger::new(&key) })
    }

    fn scan(&self, text: &str) -> Result<Scanned, Failure> {
        let scan = Scan {
            redactor: &self.redactor,
            config: &self.config,
            rules: &self.rules,
            guard: &self.guard,
            tagger: &self.tagger,
            egress: Egress::Redact,
            confidence_permille_min: 1,
            protected: Protected::Block,
            memo: None,
        };
        scan.text(Direction::Record, text).map_err(|blocked| {
            let failure = Failure::of(crate::failure::Exit::CouldNot, "scan-failed", &blocked);
            match blocked {
                Blocked::Redactor(_) => failure.hint("`sluice plugin inspect` shows what the plugin is"),
                _ => failure,
            }
        })
    }

    fn digest(&self) -> Value {
        json!(self.redactor.plugin_ref().digest)
    }
}

fn findings(scanned: &Scanned) -> Vec<Value> {
    let finding = |found: &sluice_core::record::Finding| json!({ "start": found.start, "end": found.end, "rule": found.rule });
    scanned.findings.iter().map(finding).collect()
}

/// Where each finding is, never what.
fn told(text: &str, scanned: &Scanned) -> String {
    let mut rows = Vec::new();
    let (mut line, mut from, mut start_of_line) = (1, 0, 0);
    for found in &scanned.findings {
        let at = usize::try_from(found.start).unwrap_or(usize::MAX).min(text.len());
        let before = &text.as_bytes()[from..at];
        line += before.iter().filter(|byte| **byte == b'\n').count();
        if let Some(last) = before.iter().rposition(|byte| *byte == b'\n') {
            start_of_line = from + last + 1;
        }
        from = at;
        rows.push(vec![
            format!("line {line}, byte {}", at - start_of_line + 1),
            clip(&found.rule, 48),
            format!("{} bytes", found.end - found.start),
        ]);
    }
    format!("{}{}", columns(&rows), count(scanned.findings.len() as u64, "finding"))
}
