//! `plugins.lock`.

use crate::fixtures::{facts, facts_of};
use sluice_core::PluginKind;
use sluice_policy::PluginLock;

fn lock() -> PluginLock {
    let mut lock = PluginLock::default();
    // Against the order, so that printing has something to sort.
    facts().iter().rev().for_each(|facts| lock.insert(facts));
    lock
}

#[test]
fn prints_sorted_and_reads_back() {
    let text = lock().to_string();
    let again = PluginLock::parse(&text).unwrap();
    assert_eq!(again, lock());
    assert_eq!(again.to_string(), text);
    let kinds: Vec<PluginKind> = again.iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, PluginKind::ALL);
    assert_eq!(again.pin(PluginKind::Router, "bundled:router"), Some(facts()[0].sha256));
    assert_eq!(again.pin(PluginKind::Router, "file:router.wasm"), None);
    assert_eq!(again.get(PluginKind::Router, "bundled:router").unwrap().contract, "0.1.0");
}

#[test]
fn a_new_pin_takes_the_place_of_the_old() {
    let mut lock = lock();
    let changed = facts_of(PluginKind::Router, b"new bytes");
    lock.insert(&changed);
    assert_eq!(lock.pin(PluginKind::Router, "bundled:router"), Some(changed.sha256));
    assert_eq!(lock.iter().count(), 4);
}

#[test]
fn an_unknown_version_is_refused_whatever_it_holds() {
    let problems =
        PluginLock::parse("version = 2\nshape = \"unheard of\"\n[[component]]\nx = 1\n").unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("unknown version of plugins.lock: 2"), "{problems:?}");
}

#[test]
fn what_is_not_a_lock_is_refused() {
    let good = lock().to_string();
    let entry = good.split("\n\n").nth(1).unwrap();
    for (text, words) in [
        (String::new(), "missing key `version`"),
        ("version = \"1\"".to_owned(), "want a whole number"),
        ("version = 1\n[plugin]\n".to_owned(), "want a list"),
        (format!("{good}\n{entry}\n"), "two entries for router"),
        (good.replace("size = 1000", "size = 0"), "out of range: 0"),
        (good.replace("sha256 = \"", "sha256 = \"00"), "not a sha256 digest"),
        (good.replace("kind = \"router\"", "kind = \"rooter\""), "unknown plugin kind `rooter`"),
        (good.replace("contract = \"0.1.0\"", "contract = \"latest\""), "not a version"),
        (good.replace("bundled:router", "file:../router.wasm"), "not a plugin source"),
        (good.replace("bundled:router", "bundled:router\"\nnote = \"x"), "unknown key `note`"),
        ("version = 1\nversion = 1".to_owned(), "line 2, column 1: not TOML"),
    ] {
        let problems = PluginLock::parse(&text).unwrap_err();
        assert!(problems[0].message.contains(words), "{words}: {problems:?}");
    }
    assert_eq!(PluginLock::parse("version = 1").unwrap(), PluginLock::default());
}
