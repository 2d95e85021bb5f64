//! Redaction from outside: what is on the wire, in the record and in the caller's hands; and the properties of
//! the bundled redactor in its sandbox, behind governance.

use crate::rig::{self, Setup, question};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_bundled::hostile;
use sluice_core::record::{ErrorRecord, ModelCallEnvelope, RedactionApplied};
use sluice_core::{Egress, EventKind, PluginKind, PluginLimits, Protected, Secret};
use sluice_gateway::{CallFailure, CallRequest};
use sluice_governance::redact::Scan;
use sluice_governance::{Blocked, Direction, KnownValues, Memo, Scanned, Tagger};
use sluice_loopback::{Behaviour, Rule};
use sluice_plugin::{Artifact, Redactor};
use std::collections::BTreeSet;
use std::sync::OnceLock;

pub const KNOWN: &str = "opensesame-0123456789";

/// The prompt, JSON in a string of it, and base64 of a known value in it: none of it leaves or is stored, and the
/// answer is whole.
#[tokio::test]
async fn planted_secrets_do_not_leave() {
    let token = rig::token();
    let inner = json!({ "args": json!({ "auth": token }).to_string() }).to_string();
    let basic = STANDARD.encode(format!("user:{KNOWN}"));
    for prompt in [
        format!("Use REGISTRY_TOKEN={token} to publish."),
        inner,
        format!("Authorization: Basic {basic}"),
        format!("https://u:{KNOWN}@host/"),
    ] {
        let rig = Setup::new().known(KNOWN).cloud(Rule::new(Behaviour::Echo)).start().await;
        let run = rig.run().await;
        let reply = run.call(question(&prompt)).await.unwrap();
        assert!(!reply.findings.is_empty(), "{prompt}");
        for secret in [token.as_str(), KNOWN, basic.trim_end_matches('=')] {
            // The first characters of the encoding are those of `user:`.
            let secret = if secret.starts_with("dXNlcjp") { &secret[8..secret.len() - 2] } else { secret };
            assert!(!rig.left(secret) && !rig.stored(secret) && !reply.text.contains(secret), "{prompt}");
        }
        assert!(reply.text.contains("[REDACTED:"), "the echo shows what left: {}", reply.text);
        rig.prove(&reply.run_id);
    }
}

/// The caller reads its own secret again, wherever the answer repeats the placeholder and however it is escaped
/// there; the model, the record and replay know nothing of it. What the host itself knows is given to nobody.
#[tokio::test]
async fn callers_get_their_own_secrets_back_and_nobody_elses() {
    let token = rig::token();
    let nested = json!({ "args": json!({ "auth": token }).to_string() }).to_string();
    for (prompt, restored) in [
        (format!("Use REGISTRY_TOKEN={token} to publish."), 1),
        (format!("Use REGISTRY_TOKEN={token}, not {KNOWN}, and again {token}."), 2),
        (nested, 1),
        (format!("https://u:{KNOWN}@host/"), 0),
    ] {
        for stream in [false, true] {
            let rig = Setup::new().restoring().known(KNOWN).cloud(Rule::new(Behaviour::Echo)).start().await;
            let run = rig.run().await;
            let reply = run.call(CallRequest { stream, ..question(&prompt) }).await.unwrap();
            assert_eq!(reply.text.matches(&token).count(), restored, "{}", reply.text);
            assert!(!reply.text.contains(KNOWN), "{}", reply.text);
            assert!(!rig.left(&token) && !rig.stored(&token) && !rig.stored(KNOWN), "{prompt}");
            if prompt.starts_with('{') {
                let echoed = &reply.text[reply.text.find('{').unwrap()..];
                let outer: Value = serde_json::from_str(echoed).unwrap();
                let inner: Value = serde_json::from_str(outer["args"].as_str().unwrap()).unwrap();
                assert_eq!(inner["auth"], token);
            }
            let applied: Vec<RedactionApplied> = rig.recorded(run.id(), EventKind::RedactionApplied);
            let counts: Vec<u64> = applied.iter().map(|scan| scan.restored).collect();
            assert_eq!(counts, [0, restored as u64], "{prompt}");
            rig.prove(run.id());
        }
    }
}

/// The policy's prompts go out with every call of their role: they are scanned like the caller's text.
#[tokio::test]
async fn system_prompts_are_scanned_too() {
    let password = "Sw0rdf1sh-x9Q2-kk";
    let plain = "plan = \"Stage plan.";
    let leaky = format!("plan = \"Look at postgres://admin:{password}@db.internal/prod. Stage plan.");
    let rig = Setup::new().edit(plain, &leaky).start().await;
    let reply = rig.run().await.call(question("Plan this.")).await.unwrap();
    assert_eq!(reply.findings.len(), 1);
    assert_eq!(reply.findings[0].path, "/messages/0/content");
    assert!(rig.left("Stage plan.") && !rig.left(password) && !rig.stored(password));
}

/// What a tool read out of a file of secrets is left out for the file's name, whatever it looks like; the rest of
/// the conversation is not touched, and a second scan changes nothing.
#[test]
fn what_was_read_from_a_file_of_secrets_is_left_out() {
    let plain = "colour blue\nsize 7";
    let arguments = json!({ "path": "deploy/.env" }).to_string();
    let call = |id: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": "read", "arguments": arguments } });
    let body = json!({ "messages": [
        { "role": "user", "content": "Read the files." },
        { "role": "assistant", "tool_calls": [call("call_1", &arguments), call("call_2", "{\"path\":\"a.txt\"}")] },
        { "role": "tool", "tool_call_id": "call_1", "content": plain },
        { "role": "tool", "tool_call_id": "call_1", "content": json!({ "n": [1, plain] }).to_string() },
        { "role": "tool", "tool_call_id": "call_2", "content": plain },
    ] });
    let scanned = Scanner::bundled().body(&body.to_string()).unwrap();
    let read: Value = serde_json::from_str(&scanned.wire).unwrap();
    for left_out in [2, 3] {
        let content = read["messages"][left_out]["content"].as_str().unwrap();
        assert!(content.starts_with("[REDACTED:excluded-path:") && content.ends_with(']'), "{content}");
    }
    for untouched in [0, 1, 4] {
        assert_eq!(read["messages"][untouched], body["messages"][untouched]);
    }
    assert_eq!((&scanned.wire, scanned.findings.len()), (&scanned.record, 2));
    let again = Scanner::bundled().body(&scanned.wire).unwrap();
    assert_eq!((&again.wire, again.findings.len()), (&scanned.wire, 0));
    // What begins like a placeholder is content all the same.
    let forged = body.to_string().replace("colour blue", "[REDACTED:excluded-path:0123456789abcdef] colour");
    assert_eq!(Scanner::bundled().body(&forged).unwrap().findings.len(), 2);
}

/// What policy says of findings: off sends them and never records them, redact replaces, block refuses. Known
/// values pass under none.
#[tokio::test]
async fn egress_is_as_policy_says() {
    let token = rig::token();
    let prompt = format!("Use REGISTRY_TOKEN={token} to publish.");
    for (egress, left, answered) in [("off", true, true), ("redact", false, true), ("block", false, false)] {
        let rig = Setup::new()
            .edit("egress = \"redact\"", &format!("egress = \"{egress}\""))
            .known(KNOWN)
            .start()
            .await;
        let run = rig.run().await;
        let id = run.id().clone();
        let called = run.call(question(&prompt)).await;
        assert_eq!((called.is_ok(), rig.left(&token)), (answered, left), "{egress}");
        assert!(!rig.stored(&token), "{egress}: the record holds it");
        if let Err(failure) = called {
            assert!(
                matches!(failure, CallFailure::Blocked { source: Blocked::ByPolicy(1), .. }),
                "{failure}"
            );
            assert!(failure.is_refusal() && failure.hint().unwrap().contains("egress"));
            let errors: Vec<ErrorRecord> = rig.recorded(&id, EventKind::ErrorEvent);
            assert_eq!(errors[0].code, "blocked-by-policy");
            assert_eq!(rig.cloud.requests(), 0);
        }
        let applied: Vec<RedactionApplied> = rig.recorded(&id, EventKind::RedactionApplied);
        assert_eq!(applied[0].passed, answered, "{egress}");
        let known = run.call(question(&format!("It is {KNOWN}."))).await;
        assert_eq!(known.is_ok(), egress != "block", "{egress}");
        assert!(!rig.left(KNOWN) && !rig.stored(KNOWN), "{egress}");
        rig.prove(&id);
    }
}

#[tokio::test]
async fn what_an_answer_leaks_is_redacted_where_policy_says_so() {
    let token = rig::token();
    for (responses, handed_out) in [(true, false), (false, true)] {
        for stream in [false, true] {
            let rig = Setup::new()
                .edit("responses = true", &format!("responses = {responses}"))
                .cloud(Rule::new(Behaviour::Leak(format!("Before. {token} After."))))
                .start()
                .await;
            let run = rig.run().await;
            let request = CallRequest { stream, ..question("Plan this.") };
            let reply = run.call(request).await.unwrap();
            assert_eq!(reply.text.contains(&token), handed_out, "{}", reply.text);
            assert!(reply.text.starts_with("Before. ") && reply.text.ends_with(" After."), "{}", reply.text);
            assert_eq!(reply.response_findings.len(), 1);
            assert!(!rig.stored(&token), "the record is redacted whatever the caller gets");
            let envelope: ModelCallEnvelope = rig.recorded(run.id(), EventKind::ModelCallEnvelope).remove(0);
            let kept = envelope.response.unwrap().text.unwrap();
            assert!(kept.contains("Before. [REDACTED:"), "{kept}");
            rig.prove(run.id());
        }
    }
}

/// A value that its provider has signed cannot be edited: the call is held back.
#[tokio::test]
async fn a_secret_in_a_signed_field_holds_the_call_back() {
    let rig = Setup::new().start().await;
    let run = rig.run().await;
    let schema = json!({ "type": "object", "signature": rig::token() });
    let request = CallRequest { schema: Some(schema), ..question("Plan this.") };
    let failure = run.call(request).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Blocked { source: Blocked::ProtectedField, .. }), "{failure}");
    assert!(failure.hint().unwrap().contains("provider-signed"));
    assert_eq!(rig.cloud.requests(), 0);
    assert!(!rig.stored(&rig::token()));
    rig.prove(run.id());
}

/// The same secret has one tag within a run, so that a model can tell two apart, and another in another run.
#[tokio::test]
async fn tags_hold_within_a_run_and_not_beyond() {
    let rig = Setup::new().start().await;
    let prompt = format!("REGISTRY_TOKEN={}", rig::token());
    let (one, two) = (rig.run().await, rig.run().await);
    let mut tags = Vec::new();
    for run in [&one, &one, &two] {
        let reply = run.call(question(&prompt)).await.unwrap();
        tags.push(reply.findings[0].tag.clone());
    }
    assert_eq!(tags[0], tags[1]);
    assert_ne!(tags[0], tags[2]);
}

/// A redactor behind governance, without a gateway.
pub struct Scanner {
    redactor: Redactor,
    rules: BTreeSet<String>,
    guard: KnownValues,
    tagger: Tagger,
}

impl Scanner {
    pub fn new(bytes: &'static [u8]) -> Scanner {
        let artifact = Artifact::from_bytes(bytes).unwrap();
        let limits = PluginLimits::default_for(PluginKind::Redactor);
        let redactor = rig::engine().load_redactor(&artifact, artifact.digest(), limits).unwrap();
        let rules = redactor.rules("{}").unwrap().value.into_iter().map(|rule| rule.id).collect();
        let guard = KnownValues::new(&[Secret::new(KNOWN.to_owned())]).unwrap();
        Scanner { redactor, rules, guard, tagger: Tagger::new(&[7; 32]) }
    }

    pub fn bundled() -> &'static Scanner {
        static SCANNER: OnceLock<Scanner> = OnceLock::new();
        SCANNER.get_or_init(|| Scanner::new(sluice_bundled::REDACTOR))
    }

    pub fn scan(&self) -> Scan<'_> {
        Scan {
            redactor: &self.redactor,
            config: "{}",
            rules: &self.rules,
            guard: &self.guard,
            tagger: &self.tagger,
            egress: Egress::Redact,
            confidence_permille_min: 500,
            protected: Protected::Block,
            memo: None,
        }
    }

    pub fn body(&self, raw: &str) -> Result<Scanned, Blocked> {
        self.scan().body(Direction::Request, raw)
    }
}

/// The same keys, the same lengths of lists, the same numbers: only strings may differ.
fn same_shape(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Object(one), Value::Object(two)) => {
            one.keys().eq(two.keys()) && one.values().zip(two.values()).all(|(one, two)| same_shape(one, two))
        }
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same_shape(one, two))
        }
        (Value::String(_), Value::String(_)) => true,
        _ => one == two,
    }
}

fn survives(secret: &str, text: &str) -> bool {
    secret.as_bytes().windows(8).any(|piece| text.as_bytes().windows(8).any(|window| window == piece))
}

/// Ordinary words around a secret: no quotes or escapes are left out, and nothing that could lengthen the secret.
fn prose() -> impl Strategy<Value = String> {
    "[a-zA-Z ,.!?\"\\\\\n\té€😀]{0,40}"
}

/// A body of a chat with this text in several places, one of them JSON in a string.
fn chat(before: &str, secret: &str, after: &str) -> Value {
    let text = format!("{before} {secret} {after}");
    let nested = json!({ "n": 1.50, "inner": [text] }).to_string();
    json!({
        "temperature": 0.70, "max_tokens": 9_876_543_210_987_654_321_u64,
        "messages": [{ "role": "system", "content": text }, { "role": "user", "content": [
            { "type": "text", "text": text }, { "type": "text", "text": nested },
        ] }],
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every occurrence is replaced, whatever stands around it; the body stays JSON of the same shape; a second
    /// scan finds nothing more.
    #[test]
    fn no_window_of_a_secret_survives(before in prose(), after in prose(), known in any::<bool>()) {
        let secret = if known { KNOWN.to_owned() } else { rig::token() };
        let body = chat(&before, &secret, &after);
        let raw = body.to_string();
        let scanned = Scanner::bundled().body(&raw).unwrap();
        prop_assert!(!survives(&secret, &scanned.wire) && !survives(&secret, &scanned.record), "{}", scanned.wire);
        prop_assert!(scanned.findings.len() >= 3, "{:?}", scanned.findings);
        prop_assert_eq!(&scanned.wire, &scanned.record);
        let read: Value = serde_json::from_str(&scanned.wire).unwrap();
        prop_assert!(same_shape(&body, &read), "{}", scanned.wire);
        let nested: Value = serde_json::from_str(read["messages"][1]["content"][1]["text"].as_str().unwrap()).unwrap();
        prop_assert!(nested["inner"][0].is_string());
        let again = Scanner::bundled().body(&scanned.wire).unwrap();
        prop_assert_eq!(&again.wire, &scanned.wire);
        prop_assert!(again.findings.is_empty(), "{:?}", again.findings);
    }

    /// Without a secret not one byte changes: numbers, white space, escapes and the order of keys stay.
    #[test]
    fn what_holds_no_secret_is_left_as_it_is(before in prose(), after in prose(), indent in any::<bool>()) {
        let body = chat(&before, "nothing to see", &after);
        let raw = if indent { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
        let raw = raw.replace('é', "\\u00e9").replace("\"role\"", "\"r\\u006fle\"");
        let scanned = Scanner::bundled().body(&raw).unwrap();
        prop_assert_eq!(&scanned.wire, &raw);
        prop_assert_eq!(&scanned.record, &raw);
        prop_assert!(scanned.findings.is_empty());
    }

    /// Several secrets beside each other, in any order and often: each one is replaced.
    #[test]
    fn every_occurrence_is_replaced(
        order in prop::collection::vec(any::<bool>(), 1..12), gap in "[ ,;\n]{1,3}",
    ) {
        let token = rig::token();
        let parts: Vec<&str> = order.iter().map(|known| if *known { KNOWN } else { token.as_str() }).collect();
        let raw = json!({ "content": parts.join(&gap) }).to_string();
        let scanned = Scanner::bundled().body(&raw).unwrap();
        prop_assert!(!survives(&token, &scanned.wire) && !survives(KNOWN, &scanned.wire), "{}", scanned.wire);
        prop_assert_eq!(scanned.wire.matches("[REDACTED:").count(), parts.len(), "{}", scanned.wire);
        let tags: BTreeSet<&str> = scanned.findings.iter().map(|finding| finding.tag.as_str()).collect();
        let kinds: BTreeSet<bool> = order.iter().copied().collect();
        prop_assert_eq!(tags.len(), kinds.len(), "one secret, one tag");
    }

    /// A conversation grows turn by turn: with what was scanned before remembered, every turn comes to the same as
    /// without, and what was said before is not scanned again.
    #[test]
    fn remembered_scans_are_the_same_scans(turns in prop::collection::vec((prose(), 0..3_u8), 1..6)) {
        let memo = Memo::default();
        let mut messages = Vec::new();
        for (text, plant) in turns {
            let secret = [String::new(), rig::token(), KNOWN.to_owned()][usize::from(plant)].clone();
            messages.push(json!({ "role": "user", "content": format!("{text} {secret}") }));
            let raw = json!({ "messages": messages }).to_string();
            let plain = Scanner::bundled().body(&raw).unwrap();
            for again in [false, true] {
                let scan = Scan { memo: Some(&memo), ..Scanner::bundled().scan() };
                let scanned = scan.body(Direction::Request, &raw).unwrap();
                prop_assert_eq!((&scanned.wire, &scanned.record), (&plain.wire, &plain.record));
                prop_assert_eq!(&scanned.findings, &plain.findings);
                prop_assert_eq!(scanned.fuel_used == 0, again, "only what is new costs fuel");
            }
        }
        let (asked, found) = memo.hits();
        prop_assert!(found * 2 >= asked, "{} of {}", found, asked);
        // Another direction is another question.
        let raw = json!({ "messages": messages }).to_string();
        let scan = Scan { memo: Some(&memo), ..Scanner::bundled().scan() };
        prop_assert!(scan.body(Direction::Response, &raw).unwrap().fuel_used > 0);
    }

    /// Fields that a provider signs are never edited: with a secret inside the body is blocked, without one they
    /// stay byte for byte.
    #[test]
    fn signed_fields_are_blocked_or_untouched(
        key in prop::sample::select(vec!["signature", "thoughtSignature", "encrypted_content", "model"]),
        words in "[a-z]{1,12}", depth in 0_usize..4,
    ) {
        let nest = |value: Value| (0..depth).fold(json!({ key: value }), |inner, _| json!({ "x": [inner] }));
        let leaky = nest(json!(rig::token())).to_string();
        prop_assert_eq!(Scanner::bundled().body(&leaky).unwrap_err(), Blocked::ProtectedField);
        let sound = nest(json!(words)).to_string();
        prop_assert_eq!(Scanner::bundled().body(&sound).unwrap().wire, sound);
    }

    /// Overlapping, repeated, unordered spans become their union: nothing of what they cover is left, once.
    #[test]
    fn overlapping_spans_are_merged(text in "[a-z]{4,60}") {
        static SCANNER: OnceLock<Scanner> = OnceLock::new();
        let scanner = SCANNER.get_or_init(|| Scanner::new(hostile::REDACTOR_SPANS_OVERLAP));
        let scanned = scanner.scan().text(Direction::Record, &text).unwrap();
        prop_assert_eq!(scanned.findings.len(), 1);
        prop_assert_eq!((scanned.findings[0].start, scanned.findings[0].end), (0, text.len() as u64));
        let tag = scanner.tagger.tag(text.as_bytes());
        prop_assert_eq!(scanned.wire, sluice_governance::tag::placeholder("planted", &tag));
    }

    /// Texts that are not JSON are scanned whole.
    #[test]
    fn plain_texts_are_scanned_too(before in prose(), after in prose()) {
        let token = rig::token();
        let text = format!("{before} {token} {after}");
        let scanned = Scanner::bundled().scan().text(Direction::Record, &text).unwrap();
        prop_assert!(!survives(&token, &scanned.record));
        prop_assert!(scanned.record.starts_with(&before) && scanned.record.ends_with(&after));
    }
}
