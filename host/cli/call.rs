//! `sluice call`: one governed call.

use crate::Context;
use crate::conversation;
use crate::failure::Failure;
use crate::printer::{Answer, Printer};
use crate::session::{self, Places, Session};
use crate::table::count;
use crate::workspace::{read_text, read_text_or_stdin};
use serde_json::{Value, json};
use sluice_core::record::{AttemptOutcome, Finding};
use sluice_core::{ModeAsked, Risk, Role, RunId, SpecId, Stage, ToolCall};
use sluice_gateway::{AttemptSummary, CallFailure, CallReply, CallRequest, Listener, RunOptions};
use sluice_loopback::{Loopback, Options};
use sluice_provider::KeyProblem;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `sluice call`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The prompt, or `-` to read it from standard input
    #[arg(required_unless_present = "messages", conflicts_with = "messages")]
    text: Option<String>,
    /// A conversation instead of a prompt, or `-` to read it from standard input: JSON with `messages`, `tools` and
    /// `tool_choice` as in an OpenAI chat request
    #[arg(long, value_name = "FILE")]
    messages: Option<String>,
    /// Who speaks: architect, implementer, judge, sidecar-critic, librarian
    #[arg(long)]
    role: Role,
    /// In which stage: plan, tasks, implement, validate, audit, unlock
    #[arg(long)]
    stage: Stage,
    /// Where you would like it to run: auto, cloud, reflex
    #[arg(long, default_value = "auto")]
    mode: ModeAsked,
    /// How much harm a wrong answer would do: low, normal, high
    #[arg(long, default_value = "normal")]
    risk: Risk,
    /// Go on with this run, or begin one of this name, and leave it open
    #[arg(long)]
    run: Option<RunId>,
    /// The specification that it is about
    #[arg(long, value_name = "ID")]
    spec_id: Option<SpecId>,
    /// A file that the prompt holds, for the capture filter; may be given several times
    #[arg(long, value_name = "FILE")]
    path: Vec<String>,
    /// A label, KEY=VALUE; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
    tag: Vec<(String, String)>,
    /// A JSON Schema that the answer must satisfy
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The task is small and local enough for a local model
    #[arg(long)]
    bounded: bool,
    /// Most tokens of the answer
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// Ask for the answer as a stream, and print it while it comes
    #[arg(long)]
    stream: bool,
    /// Put the built-in loopback server in every provider's place: no key, no model, labelled answers
    #[arg(long)]
    loopback: bool,
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("want KEY=VALUE".to_owned()),
    }
}

/// Carries it out.
pub fn run(context: &Context, args: Args) -> Result<Answer, Failure> {
    let workspace = context.workspace()?;
    let request = request(context, &args)?;
    let runtime = session::runtime()?;
    let stand_in = if args.loopback {
        Some(runtime.block_on(start(context, &workspace, "every provider"))?)
    } else {
        None
    };
    let places = |snapshot: &sluice_policy::PolicySnapshot| -> Result<Places, Failure> {
        match &stand_in {
            Some(loopback) => Ok(session::everywhere(snapshot, loopback)),
            None => session::live(context),
        }
    };
    let session = Session::open(context, &workspace, "call", places)?;
    let outcome = runtime.block_on(carry_out(context, &session, &args, request));
    let closed = session.close();
    if let Some(loopback) = stand_in {
        // It has answered all it will: how it ends does not matter any more.
        let _ = runtime.block_on(async { tokio::time::timeout(session::STOP_AFTER, loopback.stop()).await });
    }
    let reply = outcome?;
    closed?;
    talk(context, &reply);
    let text = if is_live(context, &args) { String::new() } else { said(&reply) };
    Ok(Answer::yes(document(&reply), text))
}

/// Whether the answer is printed while it comes: a document is printed whole.
fn is_live(context: &Context, args: &Args) -> bool {
    args.stream && !context.printer.is_json()
}

/// The text, then each tool call on a line of its own.
fn said(reply: &CallReply) -> String {
    let mut said = reply.text.clone();
    for call in &reply.tool_calls {
        if !said.is_empty() && !said.ends_with('\n') {
            said.push('\n');
        }
        said.push_str(&line_of(call));
    }
    said
}

/// `tool call: read_file {"path":"a.rs"} (call_1)`, on one line: line ends between the parts of JSON say nothing.
fn line_of(call: &ToolCall) -> String {
    let line = format!("tool call: {} {} ({})", call.name, call.arguments, call.id);
    line.replace(['\n', '\r'], " ") + "\n"
}

/// Prints an answer while it comes. A tool call waits for the end of the line that the text is in.
struct Screen<'a> {
    printer: &'a Printer,
    open: bool,
    waiting: String,
}

impl<'a> Screen<'a> {
    fn new(printer: &'a Printer) -> Screen<'a> {
        Screen { printer, open: false, waiting: String::new() }
    }

    fn flush(&mut self) {
        self.printer.piece(&std::mem::take(&mut self.waiting));
    }

    fn end(mut self) {
        if self.open {
            self.printer.piece("\n");
        }
        self.flush();
    }
}

impl Listener for Screen<'_> {
    fn text(&mut self, piece: &str) {
        let (lines, rest) = piece.split_at(piece.rfind('\n').map_or(0, |end| end + 1));
        if !lines.is_empty() {
            self.printer.piece(lines);
            self.open = false;
            self.flush();
        }
        if !rest.is_empty() {
            self.printer.piece(rest);
            self.open = true;
        }
    }

    fn tool_call(&mut self, _: usize, call: &ToolCall) {
        self.waiting.push_str(&line_of(call));
        if !self.open {
            self.flush();
        }
    }

    fn again(&mut self) {
        self.printer.piece("\n");
        self.open = false;
        self.waiting.clear();
        self.printer.say("the answer broke off: what stands above is void, and another model is asked");
    }
}

fn request(context: &Context, args: &Args) -> Result<CallRequest, Failure> {
    let here = &context.edge.folder;
    let conversation = match &args.messages {
        Some(name) => Some(conversation::read(name, &read_text_or_stdin(name, here)?)?),
        None => None,
    };
    let prompt = match args.text.as_deref() {
        Some("-") => read_text_or_stdin("-", here)?,
        text => text.unwrap_or_default().to_owned(),
    };
    let schema = match &args.schema {
        Some(path) => {
            let text = read_text(&context.edge.folder.join(path))?;
            let parsed = serde_json::from_str::<Value>(&text);
            Some(parsed.ok().filter(Value::is_object).ok_or_else(|| {
                Failure::could_not("bad-schema", format!("`{}` is not a JSON object", path.display()))
                    .hint("want a JSON Schema such as `{\"type\": \"object\", …}`")
            })?)
        }
        None => None,
    };
    Ok(CallRequest {
        conversation,
        mode_asked: args.mode,
        risk: args.risk,
        schema,
        bounded: args.bounded,
        paths: args.path.clone(),
        tags: args.tag.clone(),
        output_tokens_max: args.max_tokens,
        stream: args.stream,
        ..CallRequest::new(args.role, args.stage, prompt)
    })
}

/// The stand-in lists every model that the policy names, so that a health probe finds its own there. A policy
/// that does not parse is told of later, by whoever compiles it.
pub async fn start(
    context: &Context,
    workspace: &crate::workspace::Workspace,
    whom: &str,
) -> Result<Loopback, Failure> {
    let sources = crate::sources::Sources::read(workspace)?;
    let models = sources
        .parse()
        .map(|authored| authored.model_config.models.values().map(|model| model.model.clone()).collect());
    let loopback =
        session::stand_in(Options { models: models.unwrap_or_default(), ..Options::default() }).await?;
    context.printer.say(format!("loopback: {whom} is {}; no model is asked there", loopback.base_url()));
    Ok(loopback)
}

/// The call in its run. A run that this call began ends with it; one that was named stays open, with a signed
/// mark over what it has so far.
async fn carry_out(
    context: &Context,
    session: &Session,
    args: &Args,
    request: CallRequest,
) -> Result<CallReply, Failure> {
    let options = RunOptions { id: args.run.clone(), spec_id: args.spec_id.clone(), occasion: None };
    let run = session.gateway.start(options).await?;
    let id = run.id().clone();
    let outcome = if is_live(context, args) {
        let mut screen = Screen::new(&context.printer);
        let outcome = run.call_listening(request, &mut screen).await;
        screen.end();
        outcome
    } else {
        run.call(request).await
    };
    let sealed = if args.run.is_some() {
        run.checkpoint("call").await
    } else {
        run.finish(match &outcome {
            Ok(_) => "ok",
            Err(CallFailure::Refused { .. } | CallFailure::NeedsApproval { .. }) => "refused",
            Err(CallFailure::Blocked { .. }) => "blocked",
            Err(_) => "failed",
        })
        .await
    };
    let with_run = |failure: Failure| failure.with("run_id", json!(id));
    let reply = outcome.map_err(|failure| with_run(told(session, failure)))?;
    sealed.map_err(|error| with_run(error.into()))?;
    Ok(reply)
}

/// Where no provider has a key, each is named: an unset variable is what a newcomer meets first.
pub fn told(session: &Session, failure: CallFailure) -> Failure {
    let keyless: Vec<KeyProblem> = match &failure {
        CallFailure::Failed { attempts, .. }
            if attempts.iter().all(|attempt| attempt.outcome == AttemptOutcome::MissingKey) =>
        {
            session.key_problems(attempts)
        }
        _ => Vec::new(),
    };
    let failure = Failure::from(failure);
    let Some(first) = keyless.first() else { return failure };
    let mut keyed =
        Failure { code: "missing-key", message: "no provider could be asked".to_owned(), ..failure };
    keyed.causes = keyless.iter().map(ToString::to_string).collect();
    keyed.maybe_hint(first.hint())
}

/// One attempt, for documents.
pub fn attempt_json(attempt: &AttemptSummary) -> Value {
    json!({
        "attempt": attempt.attempt,
        "model": attempt.candidate,
        "mode": attempt.mode,
        "reason": attempt.reason,
        "outcome": attempt.outcome.code(),
    })
}

fn call_json(call: &ToolCall) -> Value {
    json!({ "id": call.id, "name": call.name, "arguments": call.arguments })
}

fn document(reply: &CallReply) -> Value {
    json!({
        "run_id": reply.run_id,
        "call": reply.call,
        "decision": reply.decision,
        "envelope": reply.envelope,
        "provider": reply.provider,
        "model": reply.model,
        "mode": reply.mode,
        "reason": reply.reason,
        "sentence": reply.sentence,
        "text": reply.text,
        "tool_calls": reply.tool_calls.iter().map(call_json).collect::<Vec<_>>(),
        "attempts": reply.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
        "redactions": reply.findings.len() + reply.response_findings.len(),
        "findings": { "request": reply.findings, "response": reply.response_findings },
        "dropped": reply.dropped,
        "usage": reply.usage,
        "cost_micro_usd": reply.cost,
        "loopback": reply.loopback,
    })
}

/// What a person wants to know beside the answer.
fn talk(context: &Context, reply: &CallReply) {
    let say = |text: String| context.printer.say(text);
    for failed in reply.attempts.iter().filter(|attempt| attempt.attempt < reply.attempts.len() as u32) {
        say(format!("attempt {}: {} {}", failed.attempt, failed.candidate, failed.outcome.code()));
    }
    let stand_in = if reply.loopback { " (loopback stand-in)" } else { "" };
    say(format!("model: {}/{}, {}{stand_in}", reply.provider, reply.model, reply.mode));
    say(format!("why: {}: {}", reply.reason, reply.sentence));
    say(format!(
        "redacted: {} in the request, {} in the answer",
        by_rule(&reply.findings),
        by_rule(&reply.response_findings)
    ));
    if !reply.dropped.is_empty() {
        say(format!("left out: blocks with {} in what must not be edited", by_rule(&reply.dropped)));
    }
    let tokens = reply.usage.map_or_else(
        || "the server did not count tokens".to_owned(),
        |usage| {
            format!(
                "{} tokens in, {} out",
                usage.input_tokens + usage.cached_input_tokens,
                usage.output_tokens
            )
        },
    );
    let cost = reply.cost.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string());
    say(format!("cost: {cost} ({tokens})"));
    say(format!(
        "run: {}, {}; `sluice why {}` tells more",
        reply.run_id,
        count(reply.call, "call"),
        reply.decision
    ));
}

/// `2 (github-token, known-value)`.
pub fn by_rule(findings: &[Finding]) -> String {
    let mut rules: BTreeMap<&str, u64> = BTreeMap::new();
    for finding in findings {
        *rules.entry(&finding.rule).or_default() += 1;
    }
    let named: Vec<String> = rules
        .iter()
        .map(|(rule, n)| if *n == 1 { (*rule).to_owned() } else { format!("{rule} ×{n}") })
        .collect();
    if named.is_empty() { "nothing".to_owned() } else { format!("{} ({})", findings.len(), named.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_a_key() {
        assert_eq!(tag("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(tag("=b").is_err() && tag("ab").is_err());
    }

    #[test]
    fn findings_are_counted_by_rule() {
        let found =
            |rule: &str| Finding { path: "/".into(), rule: rule.into(), start: 0, end: 1, tag: "t".into() };
        assert_eq!(by_rule(&[]), "nothing");
        assert_eq!(by_rule(&[found("b"), found("a"), found("b")]), "3 (a, b ×2)");
    }
}
