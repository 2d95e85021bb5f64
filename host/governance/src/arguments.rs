//! Arguments of tool calls: scanned before the answer that they are part of is whole, and restored where policy
//! lists the tool. What a model asks its caller to run can carry a secret away (an address with a token in it is
//! enough), so in arguments nothing is put back unless policy names the tool.

use crate::guard::KNOWN_VALUE_RULE;
use crate::redact::{Blocked, Direction, Scan};
use crate::restore::{self, Restorer};
use crate::tag::placeholder;
use serde_json::{Value, json};
use sluice_core::record::Finding;
use sluice_core::{Dialect, FaultCode, Spoken, ToolCall};
use sluice_policy::snapshot::Redaction;

/// Farther behind in an answer no call is scanned by itself.
const INDEX_MAX: usize = 1 << 10;

/// Scans one call as the scan of the whole body would: in a body that holds nothing else, at the same place. `index`
/// is its position among tool calls (OpenAI) or blocks (Anthropic).
pub(crate) fn scan(
    scan: &Scan<'_>,
    dialect: Dialect,
    index: usize,
    call: &ToolCall,
) -> Result<ToolCall, Blocked> {
    if index > INDEX_MAX {
        return Err(Blocked::TooLarge);
    }
    let scanned = scan.body(Direction::Response, &alone(dialect, index, call).to_string())?;
    // The body was made here: that it does not read back is a defect, and then nothing is handed on.
    let broken = || Blocked::Redactor(FaultCode::HostFailure);
    let body: Value = serde_json::from_str(&scanned.wire).map_err(|_| broken())?;
    Spoken::of(dialect, &body).tool_calls.pop().ok_or_else(broken)
}

/// The body of an answer that is this call alone.
fn alone(dialect: Dialect, index: usize, call: &ToolCall) -> Value {
    let mut entries = vec![Value::Null; index];
    match dialect {
        Dialect::OpenAiChat => {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            entries.push(json!({ "id": call.id, "type": "function", "function": function }));
            json!({ "choices": [{ "message": { "tool_calls": entries } }] })
        }
        Dialect::AnthropicMessages => {
            let input: Value =
                serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
            entries.push(json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input }));
            json!({ "content": entries })
        }
    }
}

/// Whether the caller's secrets are put back into the arguments of this call: policy lists the tool, and there is an
/// object that stays one.
fn is_restored(policy: &Redaction, call: &ToolCall) -> bool {
    policy.restore && policy.restore_tools.contains(&call.name) && call.is_complete()
}

/// What the caller is handed of an answer that was scanned: its own secrets put back in the text, and in the
/// arguments of the tools that policy lists.
pub fn restore_all(policy: &Redaction, restorer: &Restorer, scanned: Spoken) -> Spoken {
    put_back(policy, restorer, scanned).0
}

/// The same for a call by itself.
pub fn restore_call(policy: &Redaction, restorer: &Restorer, call: ToolCall) -> ToolCall {
    match is_restored(policy, &call) {
        true => ToolCall { arguments: restorer.restore(&call.arguments), ..call },
        false => call,
    }
}

/// How many placeholders of the request are put back for the caller, by the recorded form of the answer. It follows
/// from what is recorded, so replay counts again.
pub fn count(policy: &Redaction, dialect: Dialect, request: &[Finding], answer: &str) -> u64 {
    let Ok(body) = serde_json::from_str(answer) else { return 0 };
    let mut stand_ins = Restorer::default();
    for finding in request.iter().filter(|finding| finding.rule != KNOWN_VALUE_RULE) {
        stand_ins.remember(&placeholder(&finding.rule, &finding.tag), "");
    }
    put_back(policy, &stand_ins, Spoken::of(dialect, &body)).1
}

/// What a record from before answers had tool calls says instead: every placeholder that stands anywhere in the
/// answer. `None` where the answer asks for tools.
pub fn count_before(dialect: Dialect, request: &[Finding], answer: &str) -> Option<u64> {
    let body = serde_json::from_str(answer).ok()?;
    let asks = !Spoken::of(dialect, &body).tool_calls.is_empty();
    (!asks).then(|| restore::count_anywhere(request, answer))
}

fn put_back(policy: &Redaction, restorer: &Restorer, scanned: Spoken) -> (Spoken, u64) {
    if !policy.restore || restorer.is_empty() {
        return (scanned, 0);
    }
    let (text, mut count) = restorer.restore_counting(&scanned.text);
    let restored = |call: ToolCall| {
        if !is_restored(policy, &call) {
            return call;
        }
        let (arguments, more) = restorer.restore_counting(&call.arguments);
        count += more;
        ToolCall { arguments, ..call }
    };
    let tool_calls = scanned.tool_calls.into_iter().map(restored).collect();
    (Spoken { text, tool_calls }, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::Egress;

    const MARK: &str = "[REDACTED:github-pat:0011223344556677]";

    fn policy(restore: bool, tools: &[&str]) -> Redaction {
        Redaction {
            egress: Egress::Redact,
            responses: true,
            restore,
            protected: Default::default(),
            restore_tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            confidence_permille_min: 1,
            env_patterns: Vec::new(),
        }
    }

    fn call(name: &str, arguments: impl ToString) -> ToolCall {
        ToolCall { id: "c".into(), name: name.into(), arguments: arguments.to_string() }
    }

    #[test]
    fn a_call_alone_stands_where_it_stands_in_the_whole() {
        let call = call("read", "{\"n\":1.50,\"path\":\"a\"}");
        let openai = alone(Dialect::OpenAiChat, 2, &call);
        let arguments = openai.pointer("/choices/0/message/tool_calls/2/function/arguments");
        assert_eq!(arguments.and_then(Value::as_str), Some(call.arguments.as_str()));
        let anthropic = alone(Dialect::AnthropicMessages, 1, &call);
        assert_eq!(anthropic.pointer("/content/1/input/path"), Some(&json!("a")));
        for (dialect, body) in [(Dialect::OpenAiChat, openai), (Dialect::AnthropicMessages, anthropic)] {
            assert_eq!(Spoken::of(dialect, &body).tool_calls, std::slice::from_ref(&call));
        }
    }

    #[test]
    fn what_is_counted_is_what_is_put_back() {
        let mut restorer = Restorer::default();
        restorer.remember(MARK, "se\"cret");
        let known = "[REDACTED:known-value:0011223344556677]";
        let finding = |rule: &str| Finding {
            path: String::new(),
            rule: rule.to_owned(),
            start: 0,
            end: 1,
            tag: "0011223344556677".to_owned(),
        };
        let request = [finding("github-pat"), finding("github-pat"), finding(KNOWN_VALUE_RULE)];
        let arguments = json!({ "a": MARK, "b": json!({ "c": format!("{MARK}{known}") }).to_string() });
        let broken = format!("{{\"a\": \"{MARK}\"");
        let escaped = arguments.to_string().replace("[REDACTED", "\\u005bREDACTED");
        let body = json!({ "choices": [{ "message": { "content": MARK, "reasoning_content": MARK, "tool_calls": [
            { "id": "1", "function": { "name": "listed", "arguments": arguments.to_string() } },
            { "id": "2", "function": { "name": "other", "arguments": arguments.to_string() } },
            { "id": "3", "function": { "name": "listed", "arguments": broken } },
            { "id": "4", "function": { "name": "listed", "arguments": escaped } },
        ] } }, { "message": { "content": MARK } }] });
        for (policy, want) in
            [(policy(true, &["listed"]), 5), (policy(true, &[]), 1), (policy(false, &["listed"]), 0)]
        {
            let restored = restore_all(&policy, &restorer, Spoken::of(Dialect::OpenAiChat, &body));
            let all = |spoken: &Spoken| {
                let calls = spoken.tool_calls.iter().map(|call| call.arguments.as_str());
                calls.chain([spoken.text.as_str()]).collect::<String>()
            };
            assert_eq!(all(&restored).matches("cret").count(), want, "{}", all(&restored));
            assert_eq!(count(&policy, Dialect::OpenAiChat, &request, &body.to_string()), want as u64);
            assert!(restored.tool_calls[0].is_complete() && restored.tool_calls[3].is_complete());
            assert!(restored.tool_calls[2].arguments == broken, "what is no object is left alone");
            for call in &restored.tool_calls {
                assert_eq!(restore_call(&policy, &restorer, call.clone()), *call, "twice is once");
            }
        }
    }
}
