//! The code cache: what it wrote itself it loads, and nothing else.

use crate::guest::{candidates, facts, sound_router};
use sluice_core::{PluginKind, PluginLimits};
use sluice_plugin::{Artifact, CacheCounts, CodeCache, Phase, PluginEngine};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const KEY: [u8; 32] = [7; 32];

fn engine(dir: &Path, key: [u8; 32]) -> PluginEngine {
    PluginEngine::new(Some(CodeCache { dir: dir.to_owned(), key })).unwrap()
}

/// Loads and calls with a new engine, as a new process would; what its cache did.
fn start(dir: &Path, key: [u8; 32], artifact: &Artifact) -> CacheCounts {
    let engine = engine(dir, key);
    let limits = PluginLimits::default_for(PluginKind::Router);
    let router = engine.load_router(artifact, artifact.digest(), limits).unwrap();
    router.route("{}", &facts(), &candidates()).unwrap();
    engine.cache_counts()
}

fn only_file(dir: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

const HIT: CacheCounts = CacheCounts { hits: 1, misses: 0, rejected: 0, unwritten: 0 };
const MISS: CacheCounts = CacheCounts { hits: 0, misses: 1, rejected: 0, unwritten: 0 };
const REJECTED: CacheCounts = CacheCounts { hits: 0, misses: 0, rejected: 1, unwritten: 0 };

#[test]
fn the_second_start_compiles_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("code");
    let artifact = sound_router().build();
    assert_eq!(start(&dir, KEY, &artifact), MISS);
    assert_eq!(start(&dir, KEY, &artifact), HIT);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let name = only_file(&dir).file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with(&artifact.digest().to_hex()) && name.ends_with(".cwasm"), "{name}");
}

#[test]
fn a_flipped_byte_is_not_loaded_and_heals() {
    let scratch = tempfile::tempdir().unwrap();
    let artifact = sound_router().build();
    start(scratch.path(), KEY, &artifact);
    let file = only_file(scratch.path());
    let sound = fs::read(&file).unwrap();
    for at in [0, 20, 40, sound.len() / 2, sound.len() - 1] {
        let mut flipped = sound.clone();
        flipped[at] ^= 1;
        fs::write(&file, flipped).unwrap();
        assert_eq!(start(scratch.path(), KEY, &artifact), REJECTED, "byte {at}");
        assert_eq!(fs::read(&file).unwrap(), sound, "rewritten, and compiling is deterministic");
    }
    fs::write(&file, &sound[..sound.len() / 2]).unwrap();
    assert_eq!(start(scratch.path(), KEY, &artifact), REJECTED);
    fs::write(&file, b"").unwrap();
    assert_eq!(start(scratch.path(), KEY, &artifact), REJECTED);
    assert_eq!(start(scratch.path(), KEY, &artifact), HIT);
}

#[test]
fn code_under_another_key_is_not_loaded() {
    let scratch = tempfile::tempdir().unwrap();
    let artifact = sound_router().build();
    start(scratch.path(), KEY, &artifact);
    assert_eq!(start(scratch.path(), [8; 32], &artifact), REJECTED);
}

#[test]
fn code_of_another_artifact_is_not_loaded() {
    let scratch = tempfile::tempdir().unwrap();
    let (first, second) = (sound_router().build(), sound_router().memory(3).build());
    start(scratch.path(), KEY, &first);
    let file = only_file(scratch.path());
    // The attack: the code of one plugin under the name of another.
    let name = file.to_string_lossy().replace(&first.digest().to_hex(), &second.digest().to_hex());
    fs::rename(&file, name).unwrap();
    assert_eq!(start(scratch.path(), KEY, &second), REJECTED);
}

#[test]
fn a_link_is_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let artifact = sound_router().build();
    start(scratch.path(), KEY, &artifact);
    let file = only_file(scratch.path());
    let elsewhere = scratch.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert_eq!(start(scratch.path(), KEY, &artifact), REJECTED);
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    for mode in [0o777, 0o720, 0o702] {
        fs::set_permissions(scratch.path(), Permissions::from_mode(mode)).unwrap();
        let cache = CodeCache { dir: scratch.path().to_owned(), key: KEY };
        let error = PluginEngine::new(Some(cache)).unwrap_err();
        assert_eq!(error.phase(), Phase::Load);
        assert!(error.to_string().contains("can be written by others"), "{error}");
        assert!(error.hint().unwrap().contains("chmod 700"));
    }
}

#[test]
fn a_file_in_the_folder_s_place_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let cache = CodeCache { dir: file.path().to_owned(), key: KEY };
    assert!(PluginEngine::new(Some(cache)).unwrap_err().to_string().contains("code cache"));
}

#[test]
fn a_folder_that_vanished_costs_a_compilation_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("code");
    let engine = engine(&dir, KEY);
    fs::remove_dir(&dir).unwrap();
    let artifact = sound_router().build();
    let limits = PluginLimits::default_for(PluginKind::Router);
    engine.load_router(&artifact, artifact.digest(), limits).unwrap();
    assert_eq!(engine.cache_counts(), CacheCounts { misses: 1, unwritten: 1, ..CacheCounts::default() });
}

#[test]
fn the_oldest_files_make_room() {
    let scratch = tempfile::tempdir().unwrap();
    for number in 0..70 {
        fs::write(scratch.path().join(format!("{number:03}.cwasm")), b"old").unwrap();
    }
    start(scratch.path(), KEY, &sound_router().build());
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 64);
}

#[test]
fn the_key_is_not_shown() {
    let cache = CodeCache { dir: "/somewhere".into(), key: [0xab; 32] };
    assert_eq!(format!("{cache:?}"), "CodeCache(/somewhere)");
}
