//! What belongs here: what is recorded, what is refused, and that a refusal leaves nothing behind.

use super::*;
use crate::limits::{EVENT_BYTES_MAX, EVENTS_PER_GROUP_MAX, PAYLOAD_DEPTH_MAX};
use crate::{CapsuleError, EventFilter, SealRow};
use sluice_core::{Role, Stage, canonical};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

#[test]
fn events_get_their_place_and_read_back_exactly() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let mut first =
        draft("run-1", EventKind::RunStarted, json!({"verb": "call", "n": -3, "t": "é\n\"\\\u{1}"}));
    first.spec_id = Some("spec-1".parse().unwrap());
    first.stage = Some(Stage::Implement);
    first.role = Some(Role::Judge);
    let second = draft("run-1", EventKind::RunFinished, json!([true, null]));
    let other = draft("run-2", EventKind::RunStarted, json!({}));
    let events = writer.append(vec![first, other, second]).wait().unwrap();
    let places: Vec<(String, u64)> = events.iter().map(|event| (event.uri.to_string(), event.seq)).collect();
    assert_eq!(
        places,
        [
            ("mv2://ws/event/run-1/1".to_owned(), 1),
            ("mv2://ws/event/run-2/1".to_owned(), 1),
            ("mv2://ws/event/run-1/2".to_owned(), 2)
        ]
    );
    assert_eq!((events[0].prev, events[2].prev), (Digest::ZERO, events[0].hash));
    assert_eq!(events[0].branch, "run/run-1");
    for event in &events {
        let mut value = serde_json::to_value(event).unwrap();
        value.as_object_mut().unwrap().remove("hash");
        assert_eq!(event.hash, Digest::of(canonical::to_string(&value).unwrap().as_bytes()));
    }
    let page = writer.reader().unwrap().events(&EventFilter::default()).unwrap();
    assert_eq!((page.events, page.next), (events, None));
}

#[test]
fn what_is_known_to_the_guard_is_nowhere() {
    // The second one looks otherwise once it stands in JSON.
    for secret in ["hunter2-hunter2", "hunter2\"hunter2"] {
        nowhere(secret);
    }
}

fn nowhere(secret: &'static str) {
    let capsule = Capsule::new();
    let writer = Writer::open(&capsule.state(), Arc::new(Knows(secret)), "a test").unwrap();
    put_policy(&writer);
    append(&writer, "run-1", json!({"ok": 1}));
    let before = capsule.reader().stats().unwrap();
    let payloads = [
        json!({"text": format!("a {secret} b")}),
        json!([{"deep": [secret]}]),
        json!({format!("key {secret}"): 1}),
        // The error for a number without canonical form names the path to it.
        json!({format!("key {secret}"): 1.5}),
    ];
    for payload in payloads {
        let drafts = vec![
            draft("run-1", EventKind::ErrorEvent, json!({"sound": true})),
            draft("run-1", EventKind::ModelCallEnvelope, payload),
        ];
        let error = writer.append(drafts).wait().unwrap_err();
        assert!(error.to_string().contains("`ModelCallEnvelope` event"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let refused = [
        writer.put_blob(secret.as_bytes()).wait().unwrap_err(),
        writer.put_policy(policy_id(), format!("x{secret}").into_bytes()).wait().unwrap_err(),
        writer.put_plugin(format!("x{secret}").into_bytes()).wait().unwrap_err(),
        writer.put_artifact(&run("run-1"), Stage::Plan, "a.md", secret.as_bytes()).wait().unwrap_err(),
        writer.put_artifact(&run("run-1"), Stage::Plan, secret, &b"x"[..]).wait().unwrap_err(),
        writer.put_report(&run("run-1"), "text/markdown", secret.as_bytes()).wait().unwrap_err(),
        writer.checkpoint(&run("run-1"), secret, at(1), &policy()).wait().unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, CapsuleError::Secret { .. }), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(capsule.reader().stats().unwrap().last_position, before.last_position);
    drop(writer);
    for entry in std::fs::read_dir(capsule.state().join("capsule")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    }
}

#[test]
fn what_could_not_be_read_back_is_refused() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let refused = |payload: Value| {
        writer.append(vec![draft("run-1", EventKind::ErrorEvent, payload)]).wait().unwrap_err()
    };
    assert!(matches!(refused(nested(PAYLOAD_DEPTH_MAX)), CapsuleError::BadPayload { .. }));
    assert!(matches!(
        refused(json!({"$serde_json::private::Number": "1.5"})),
        CapsuleError::BadPayload { .. }
    ));
    assert!(matches!(refused(json!(0.5)), CapsuleError::BadPayload { .. }));
    assert!(matches!(refused(json!(u64::MAX)), CapsuleError::BadPayload { .. }));
    assert!(matches!(refused(json!("x".repeat(EVENT_BYTES_MAX))), CapsuleError::TooLarge { .. }));
    let deep = append(&writer, "run-1", nested(PAYLOAD_DEPTH_MAX - 1));
    assert_eq!(capsule.reader().run_events(&run("run-1")).unwrap().events, [deep]);
}

#[test]
fn appends_are_bounded_and_checkpoints_are_not_appended() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let many = vec![draft("run-1", EventKind::ErrorEvent, json!({})); EVENTS_PER_GROUP_MAX + 1];
    assert!(matches!(writer.append(many).wait(), Err(CapsuleError::BadCount { given: 1025, .. })));
    assert!(matches!(writer.append(Vec::new()).wait(), Err(CapsuleError::BadCount { given: 0, .. })));
    let forged = vec![draft("run-1", EventKind::Checkpoint, json!({}))];
    assert!(matches!(writer.append(forged).wait(), Err(CapsuleError::CheckpointByHand)));
}

#[test]
fn an_event_needs_its_policy_bytes() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    let event = || vec![draft("run-1", EventKind::ErrorEvent, json!({}))];
    let error = writer.append(event()).wait().unwrap_err();
    assert!(matches!(error, CapsuleError::UnknownPolicy(_)), "{error}");
    assert!(error.hint().unwrap().contains("put_policy"));
    // In line behind its policy, in the same group perhaps, it is recorded.
    let policy_put = writer.put_policy(policy_id(), POLICY_BYTES);
    let appended = writer.append(event());
    policy_put.wait().unwrap();
    assert_eq!(appended.wait().unwrap()[0].seq, 1);
    let mut other_bytes = event();
    other_bytes[0].policy.bytes = Digest::of(b"edited");
    assert!(matches!(writer.append(other_bytes).wait(), Err(CapsuleError::UnknownPolicy(_))));
    let mut elsewhere = event();
    elsewhere[0].policy.uri = "mv2://elsewhere/policy/6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".parse().unwrap();
    assert!(matches!(writer.append(elsewhere).wait(), Err(CapsuleError::ForeignWorkspace { .. })));
}

#[test]
fn names_are_given_once_and_bytes_are_stored_once() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    let artifact =
        |bytes: &'static [u8]| writer.put_artifact(&run("run-1"), Stage::Plan, "plan.md", bytes).wait();
    let named = artifact(b"# Plan").unwrap();
    assert_eq!(named.to_string(), "mv2://ws/artifact/run-1/plan/plan.md");
    assert_eq!(artifact(b"# Plan").unwrap(), named);
    let error = artifact(b"# Another").unwrap_err();
    assert!(matches!(error, CapsuleError::NameTaken(_)), "{error}");
    for bad in ["", "../x", ".env", "a b", &"n".repeat(129)] {
        let error = writer.put_artifact(&run("run-1"), Stage::Plan, bad, &b"x"[..]).wait().unwrap_err();
        assert!(matches!(error, CapsuleError::BadName { .. }), "{bad}: {error}");
        assert!(error.to_string().starts_with("bad artifact `mv2://ws/artifact/"), "{error}");
    }
    let blob = writer.put_blob(&b"# Plan"[..]).wait().unwrap();
    let reports: Vec<_> = (0..3)
        .map(|_| writer.put_report(&run("run-1"), "text/markdown", &b"# Plan"[..]))
        .map(|pending| pending.wait().unwrap().to_string())
        .collect();
    assert_eq!(reports, [1, 2, 3].map(|n| format!("mv2://ws/report/run-1/{n}")));
    let reader = writer.reader().unwrap();
    let counts = reader.stats().unwrap().counts;
    assert_eq!((counts.blobs, counts.names), (1, 4));
    let resolved = reader.resolve(&named).unwrap();
    assert_eq!((&*resolved.bytes, &*resolved.media_type), (&b"# Plan"[..], "text/markdown"));
    assert_eq!(reader.resolve(&blob).unwrap().bytes, b"# Plan");
    assert!(reader.verify().unwrap().is_sound());
}

#[test]
fn one_group_of_many_threads_keeps_each_run_whole() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let writer = writer.clone();
            scope.spawn(move || {
                let own = format!("run-{thread}");
                let pending: Vec<_> = (0..50)
                    .map(|n| {
                        writer.append(vec![
                            draft(&own, EventKind::ToolCall, json!({"n": n})),
                            draft("shared", EventKind::ToolResult, json!({"of": own, "n": n})),
                        ])
                    })
                    .collect();
                for (n, pending) in pending.into_iter().enumerate() {
                    let events = pending.wait().unwrap();
                    assert_eq!(events[0].seq, n as u64 + 1, "a thread's appends keep their order");
                }
            });
        }
    });
    let reader = writer.reader().unwrap();
    assert_eq!(reader.run_events(&run("shared")).unwrap().events.len(), 200);
    assert!(reader.verify().unwrap().is_sound());
}

#[test]
fn handles_and_answers_cross_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Writer>();
    shared::<Reader>();
    sent::<crate::Pending<Vec<Event>>>();
    shared::<CapsuleError>();
}

#[test]
fn a_pending_answer_can_be_awaited() {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut pending = pin!(writer.append(vec![draft("run-1", EventKind::RunStarted, json!({}))]));
    let events = loop {
        match pending.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => break result.unwrap(),
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(events[0].seq, 1);
}

#[test]
fn a_seal_is_recorded_with_what_it_holds() {
    let capsule = sample();
    let writer = capsule.writer();
    let reader = writer.reader().unwrap();
    let last = reader.stats().unwrap().signed_position;
    let frames = reader.frames(1, last).unwrap();
    assert_eq!(frames.len() as u64, last);
    assert!(frames.iter().map(|frame| frame.position).eq(1..=last));
    for frame in &frames {
        let resolved = reader.resolve(&frame.uri.parse().unwrap()).unwrap();
        assert_eq!(resolved.digest, frame.digest, "{}", frame.uri);
    }
    let digest = Digest::of(b"sealed");
    let seal = SealRow { first: 1, last, root: digest, path: "segments/1.mv2".into(), file: digest };
    writer.put_seal(seal.clone()).wait().unwrap();
    assert_eq!(reader.seals().unwrap(), [seal]);
}
