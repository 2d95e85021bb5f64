//! What belongs here: the independent witness (`tests/witness/verify_chain.py`) sees what we see. Where there
//! is no Python, it says so and passes: the program needs none.

use super::tampering::rewrite;
use super::*;
use std::process::Command;

/// Exit code and output of the witness; `None` without Python.
fn witness(capsule: &Capsule, more: &[&str]) -> Option<(i32, String)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/witness/verify_chain.py");
    let output = Command::new("python3").arg(script).arg(capsule.state()).args(more).output().ok()?;
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Some((output.status.code().unwrap(), text))
}

#[test]
fn it_holds_a_sound_capsule_for_sound_and_names_what_is_wrong_in_another() {
    let sound = sample();
    let key = sound.key().public_key().to_string();
    let mark = sound.reader().verify().unwrap().last_checkpoint.unwrap().to_string();
    let Some((code, text)) = witness(&sound, &["--public-key", &key, "--checkpoint", &mark]) else {
        println!("no python3: the witness was not asked");
        return;
    };
    assert_eq!(code, 0, "{text}");
    let wanted = format!("holds: 2 runs, 15 events, 3 names, 2 checkpoints; 18 of 21 frames signed by {key}");
    assert!(text.starts_with(&wanted), "{text}");

    type Spoil = fn(&Capsule);
    let spoils: [(&str, Spoil); 7] = [
        ("event/run-a/3: the event's content", |capsule| {
            let sql = "UPDATE events SET payload = '{}' WHERE run = 'run-a' AND seq = 3";
            capsule.sql().execute_batch(sql).unwrap();
        }),
        ("event/run-a/3: it is not what cp-1 signed", |capsule| {
            rewrite(capsule, "run-a", 3, |row| row.payload = "{\"choose\":\"mine\"}".into());
        }),
        ("event/run-a/7: its signature does not hold", |capsule| {
            rewrite(capsule, "run-a", 7, |row| row.payload = row.payload.replace("run end", "run End"));
        }),
        ("event/run-a/7: the event says something else", |capsule| {
            rewrite(capsule, "run-a", 7, |row| row.at = at(99).to_string());
        }),
        ("event/run-b/7: the event is missing", |capsule| {
            capsule.sql().execute_batch("DELETE FROM events WHERE run = 'run-b' AND seq = 7").unwrap();
        }),
        ("the bytes do not match their digest", |capsule| {
            capsule.sql().execute_batch("UPDATE blobs SET bytes = X'00' WHERE position = 3").unwrap();
        }),
        ("checkpoint/cp-1: its manifest", |capsule| {
            capsule.sql().execute_batch("UPDATE checkpoints SET manifest = 'x' WHERE number = 1").unwrap();
        }),
    ];
    for (says, spoil) in spoils {
        let spoilt = sound.copy();
        spoil(&spoilt);
        let (code, text) = witness(&spoilt, &[]).unwrap();
        assert!(code == 1 && text.contains(says), "wanted `{says}`, got {code}: {text}");
        assert!(!spoilt.reader().verify().unwrap().is_sound());
    }
    let other = "00".repeat(32);
    assert_eq!(witness(&sound, &["--public-key", &other]).unwrap().0, 1);
    assert_eq!(witness(&sound, &["--checkpoint", &format!("3:{other}")]).unwrap().0, 1);
}
