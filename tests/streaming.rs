//! Answers that are handed on while they come: the same text as all at once, however it is cut; nothing secret in
//! any piece; nothing that is taken back later.

use crate::rig::{self, CLAUDE, GPT, Setup, question};
use proptest::prelude::*;
use serde_json::json;
use sluice_bundled::hostile;
use sluice_core::record::ErrorRecord;
use sluice_core::{Egress, EventKind, PluginKind, PluginLimits, Protected, Secret, ToolCall};
use sluice_gateway::{CallFailure, CallRequest, Listener};
use sluice_governance::redact::Scan;
use sluice_governance::{Direction, KnownValues, Tagger};
use sluice_loopback::{Behaviour, Rule};

const KNOWN: &str = "opensesame-0123456789";

/// Known to the host alone: to a redactor these are words like any other.
const WORDS: &str = "the grey goose flies";

/// Keeps what it was told.
#[derive(Default)]
pub struct Heard {
    pub pieces: Vec<String>,
    pub calls: Vec<(usize, ToolCall)>,
    /// Calls that were told before an answer was on record.
    pub early: usize,
    /// Where the record is.
    pub record: Option<(std::path::PathBuf, sluice_core::RunId)>,
    pub again: usize,
    /// Calls that turned out to be void.
    pub void: usize,
}

impl Heard {
    fn text(&self) -> String {
        self.pieces.concat()
    }
}

impl Listener for Heard {
    fn text(&mut self, piece: &str) {
        self.pieces.push(piece.to_owned());
    }

    fn tool_call(&mut self, index: usize, call: &ToolCall) {
        self.calls.push((index, call.clone()));
        if let Some((state, run)) = &self.record {
            let events = sluice_capsule::Reader::open(state).unwrap().run_events(run).unwrap().events;
            self.early += usize::from(!events.iter().any(|event| event.kind == EventKind::ModelCallEnvelope));
        }
    }

    fn again(&mut self) {
        self.pieces.clear();
        self.void += std::mem::take(&mut self.calls).len();
        self.again += 1;
    }
}

fn streamed(prompt: &str) -> CallRequest {
    CallRequest { stream: true, ..question(prompt) }
}

/// The stand-in cuts what it leaks into pieces of 12 bytes, through the token and through the known value.
#[tokio::test]
async fn what_is_told_is_the_answer_piece_by_piece() {
    let token = rig::token();
    let words = "Some words that are no secret. ".repeat(40);
    let leak = format!("{words}Use {token}, then {KNOWN}. {words}");
    for dialect in ["openai-chat", "anthropic-messages"] {
        let rig = Setup::new()
            .known(KNOWN)
            .edit(
                "[providers.cloud]\ndialect = \"openai-chat\"",
                &format!("[providers.cloud]\ndialect = \"{dialect}\""),
            )
            .cloud(Rule::new(Behaviour::Leak(leak.clone())))
            .start()
            .await;
        let run = rig.run().await;
        let mut heard = Heard::default();
        let reply = run.call_listening(streamed("Plan this."), &mut heard).await.unwrap();
        assert_eq!(heard.text(), reply.text, "{dialect}");
        assert!(heard.pieces.len() > 10, "{dialect}: {} pieces are no stream", heard.pieces.len());
        assert!(
            heard.text().contains("[REDACTED:github-pat") && heard.text().contains("[REDACTED:known-value")
        );
        for piece in &heard.pieces {
            assert!(!token.as_bytes().windows(8).any(|w| piece.contains(std::str::from_utf8(w).unwrap())));
            assert!(!KNOWN.as_bytes().windows(8).any(|w| piece.contains(std::str::from_utf8(w).unwrap())));
        }
        rig.prove(run.id());
    }
}

/// A placeholder that the answer repeats comes in pieces too: the caller gets its secret whole.
#[tokio::test]
async fn secrets_are_given_back_in_a_stream() {
    let token = rig::token();
    let rig = Setup::new().restoring().cloud(Rule::new(Behaviour::Echo)).start().await;
    let run = rig.run().await;
    let mut heard = Heard::default();
    let prompt = format!("Say it: REGISTRY_TOKEN={token}, and go on for a while after it.");
    let reply = run.call_listening(streamed(&prompt), &mut heard).await.unwrap();
    assert!(reply.text.contains(&token) && heard.text() == reply.text, "{}", heard.text());
    assert!(!rig.left(&token) && !rig.stored(&token));
    assert!(heard.pieces.iter().all(|piece| !piece.contains("[REDACTED")), "{:?}", heard.pieces);
    rig.prove(run.id());
}

/// Half an answer from one model, then the whole of another's: the listener is told that the half is void.
#[tokio::test]
async fn an_answer_that_breaks_off_is_void() {
    let rig = Setup::new().cloud(Rule::new(Behaviour::Cut).for_model(CLAUDE)).start().await;
    let run = rig.run().await;
    let mut heard = Heard::default();
    let reply = run.call_listening(streamed("Plan this."), &mut heard).await.unwrap();
    assert_eq!((reply.model.as_str(), heard.again), (GPT, 1));
    assert_eq!(heard.text(), reply.text);
    rig.prove(run.id());
}

/// JSON is scanned unescaped and as a whole: it is told at the end.
#[tokio::test]
async fn json_is_told_whole() {
    let token = rig::token();
    let rig = Setup::new()
        .cloud(Rule::new(Behaviour::Leak(json!({ "auth": token, "n": [1, 2, 3] }).to_string())))
        .start()
        .await;
    let run = rig.run().await;
    let mut heard = Heard::default();
    let reply = run.call_listening(streamed("Plan this."), &mut heard).await.unwrap();
    assert_eq!((heard.pieces.len(), heard.text()), (1, reply.text.clone()));
    assert!(serde_json::from_str::<serde_json::Value>(&reply.text).is_ok() && !reply.text.contains(&token));
}

/// Redactors that trap, loop, or answer nonsense about a piece: not one byte of the answer is told.
#[tokio::test]
async fn a_redactor_that_fails_tells_nothing() {
    for bytes in [hostile::REDACTOR_TRAPS, hostile::REDACTOR_LOOPS, hostile::REDACTOR_SPANS_OUTSIDE] {
        let rig = Setup::new().plugin(PluginKind::Redactor, bytes).start().await;
        let run = rig.run().await;
        let mut heard = Heard::default();
        let failure = run.call_listening(streamed("Plan this."), &mut heard).await.unwrap_err();
        assert!(matches!(failure, CallFailure::Blocked { .. }), "{failure}");
        assert_eq!(heard.text(), "");
        let errors: Vec<ErrorRecord> = rig.recorded(run.id(), EventKind::ErrorEvent);
        assert_eq!(errors.len(), 1);
    }
}

/// What the pieces of `text` come to, and what is handed on at once.
fn both(text: &str, cuts: &[usize]) -> (String, String) {
    let artifact = sluice_plugin::Artifact::from_bytes(sluice_bundled::REDACTOR).unwrap();
    let redactor = rig::engine()
        .load_redactor(&artifact, artifact.digest(), PluginLimits::default_for(PluginKind::Redactor))
        .unwrap();
    let rules = redactor.rules("{}").unwrap().value.into_iter().map(|rule| rule.id).collect();
    let known = [KNOWN, WORDS].map(|value| Secret::new(value.to_owned()));
    let guard = KnownValues::new(&known).unwrap();
    let tagger = Tagger::new(&[7; 32]);
    let scan = || Scan {
        redactor: &redactor,
        config: "{}",
        rules: &rules,
        guard: &guard,
        tagger: &tagger,
        egress: Egress::Redact,
        confidence_permille_min: 500,
        protected: Protected::Block,
        memo: None,
    };
    let whole = scan().body(Direction::Response, &json!({ "content": text }).to_string()).unwrap();
    let whole: serde_json::Value = serde_json::from_str(&whole.wire).unwrap();
    let mut stream = sluice_governance::TextStream::new(scan(), "/content", "content");
    let (mut told, mut from) = (String::new(), 0);
    for cut in cuts {
        let to = text.ceil_char_boundary((from + cut).min(text.len()));
        told.push_str(&stream.push(&text[from..to]).unwrap());
        from = to;
    }
    told.push_str(&stream.push(&text[from..]).unwrap());
    (told, whole["content"].as_str().unwrap().to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any cutting into pieces gives the beginning of what the whole gives, and lacks no more than what is open.
    #[test]
    fn pieces_are_the_whole(
        parts in prop::collection::vec((0..8_u8, "[a-zé ,.\n]{0,40}"), 1..8),
        cuts in prop::collection::vec(1..40_usize, 0..60),
    ) {
        let basic = "https://admin:Sw0rdf1sh-x9Q2-kk@db.internal/prod".to_owned();
        let pem = format!("-----BEGIN RSA {}-----\n{}\n-----END RSA {}-----", "PRIVATE KEY", "MIIEow4Q7c9xK2".repeat(60), "PRIVATE KEY");
        let encoded: String = KNOWN.bytes().map(|b| format!("%{b:02x}")).collect();
        let halved = WORDS.replace('o', "%6f");
        let secrets = [
            String::new(), rig::token(), KNOWN.to_owned(), basic, pem, encoded, WORDS.to_owned(), halved,
        ];
        let mut text = "Hello. ".to_owned();
        for (secret, words) in parts {
            text += &secrets[usize::from(secret)];
            text += " ";
            text += &words;
            text += " ";
        }
        let (told, whole) = both(&text, &cuts);
        prop_assert!(whole.starts_with(&told), "told:\n{}\nwhole:\n{}", told, whole);
        for secret in secrets.iter().filter(|secret| !secret.is_empty() && text.contains(secret.as_str())) {
            let secret = secret.trim_start_matches("https://admin:").trim_end_matches("@db.internal/prod");
            prop_assert!(!told.contains(&secret[..16.min(secret.len())]) || secret.starts_with("-----"), "{}", told);
        }
        if !text.contains("-----") {
            prop_assert!(whole.len() - told.len() <= 1100, "{} of {} told", told.len(), whole.len());
        }
    }
}
