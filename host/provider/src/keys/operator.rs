//! The operator's file: `$XDG_CONFIG_HOME/sluice/operator.toml`, 0600.
//!
//! ```toml
//! [[origin]]
//! url = "https://llm.example:8443"   # scheme, host and port; no path
//! key_env = "TEAM_LLM_KEY"           # or key = "…"
//! ```

use super::KeyProblem;
use crate::endpoint;
use rustix::process::geteuid;
use serde::{Deserialize, Deserializer};
use sluice_core::Secret;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Largest file that is read: a hundred origins with long keys are some 30 KB.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Bits of a mode that belong to the group and to others.
const MODE_OTHERS: u32 = 0o077;

/// The operator's keys, by origin.
#[derive(Debug, Clone, Default)]
pub struct OperatorFile {
    /// The file, whether it exists or not; `None` where no home is known.
    pub path: Option<PathBuf>,
    /// At most one an origin.
    pub entries: Vec<OperatorEntry>,
}

/// One `[[origin]]`.
#[derive(Debug, Clone)]
pub struct OperatorEntry {
    /// Scheme, host and port, in the URL standard's spelling.
    pub origin: String,
    /// Its key.
    pub key: OperatorKey,
}

/// Where an origin's key is.
#[derive(Debug, Clone)]
pub enum OperatorKey {
    /// In a variable of the environment.
    Variable(String),
    /// In the file itself.
    Value(Secret),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    origin: Vec<RawOrigin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOrigin {
    url: String,
    key_env: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    key: Option<Secret>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Some(Secret::new(String::deserialize(deserializer)?)))
}

impl OperatorFile {
    /// Where the file lies: `$XDG_CONFIG_HOME/sluice/operator.toml`, else `$HOME/.config/…`. A relative
    /// folder counts as not set, as the XDG standard wants it: it could lead into a repository.
    pub fn default_path(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let folder = |name: &str| env(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let config = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
        Some(config.join("sluice").join("operator.toml"))
    }

    /// Reads the file; one that does not exist has no entries. One that is open to others is refused, not
    /// warned about.
    pub fn load(path: &Path) -> Result<OperatorFile, KeyProblem> {
        let failed = |source| KeyProblem::Read { file: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(OperatorFile { path: Some(path.to_owned()), entries: Vec::new() });
            }
            Err(error) => return Err(failed(error)),
        };
        // Of the open file, not of the path: what is checked is what is read.
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(std::io::Error::other("not a regular file")));
        }
        if metadata.uid() != geteuid().as_raw() || metadata.mode() & MODE_OTHERS != 0 {
            return Err(KeyProblem::Exposed { file: path.to_owned() });
        }
        let mut text = String::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
        let text = Secret::new(text);
        read.map_err(failed)?;
        if text.expose().len() as u64 > FILE_BYTES_MAX {
            return Err(failed(std::io::Error::other("larger than 64 KiB")));
        }
        OperatorFile::parse(path.to_owned(), text.expose())
    }

    /// Reads the file's text.
    pub fn parse(path: PathBuf, text: &str) -> Result<OperatorFile, KeyProblem> {
        let form = |at: String, what| KeyProblem::Form { file: path.clone(), at, what };
        // The parser's own message quotes the line, and so the key on it: only the place is taken over.
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let line =
                error.span().and_then(|span| text.get(..span.start)).map_or(0, |t| t.matches('\n').count());
            form(format!("line {}", line + 1), "not TOML, or a field that does not belong here")
        })?;
        let mut entries: Vec<OperatorEntry> = Vec::new();
        for (index, raw) in raw.origin.into_iter().enumerate() {
            let entry = entry(raw).map_err(|what| form(format!("entry {}", index + 1), what))?;
            if entries.iter().any(|other| other.origin == entry.origin) {
                return Err(form(format!("entry {}", index + 1), "the same origin a second time"));
            }
            entries.push(entry);
        }
        Ok(OperatorFile { path: Some(path), entries })
    }
}

fn entry(raw: RawOrigin) -> Result<OperatorEntry, &'static str> {
    let url = endpoint::parse_base(&raw.url).map_err(endpoint::UrlProblem::detail)?;
    if url.path() != "/" {
        return Err("`url` is scheme, host and port alone: a key belongs to a whole origin");
    }
    endpoint::check_key_may_travel(&url).map_err(endpoint::UrlProblem::detail)?;
    let key = match (raw.key_env, raw.key) {
        (Some(name), None) if is_variable(&name) => OperatorKey::Variable(name),
        (Some(_), None) => return Err("`key_env` is not a variable's name"),
        (None, Some(key)) if key.expose().trim().is_empty() => return Err("`key` is empty"),
        (None, Some(key)) => OperatorKey::Value(Secret::new(key.expose().trim().to_owned())),
        (None, None) => return Err("neither `key_env` nor `key`"),
        (Some(_), Some(_)) => return Err("both `key_env` and `key`"),
    };
    Ok(OperatorEntry { origin: endpoint::origin(&url), key })
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn parse(text: &str) -> Result<OperatorFile, KeyProblem> {
        OperatorFile::parse("/o.toml".into(), text)
    }

    #[test]
    fn every_slip_is_refused_and_no_key_is_repeated() {
        const KEY: &str = "sk-planted-0123456789";
        for text in [
            format!("origin = \"{KEY}\""),
            format!("[[origin]]\nurl = \"https://h.example\"\nkey = [\"{KEY}\"]"),
            format!("[[origin]]\nurl = \"https://h.example\"\nkey = {KEY}"),
            format!("[[origin]]\nurl = \"https://h.example\"\nkye = \"{KEY}\""),
            format!("[[origin]]\nurl = \"https://h.example/v1\"\nkey = \"{KEY}\""),
            format!("[[origin]]\nurl = \"https://x:{KEY}@h.example\"\nkey = \"a\""),
            format!("[[origin]]\nurl = \"http://h.example\"\nkey = \"{KEY}\""),
            format!("[[origin]]\nurl = \"https://h.example\"\nkey = \"{KEY}\"\nkey_env = \"A\""),
            format!("[[origin]]\nurl = \"https://h.example\"\nkey_env = \"{KEY}\""),
            format!("[[origin]]\nurl = \"https://h.example\"\nkey = \"{KEY}\"\n").repeat(2),
            "[[origin]]\nurl = \"https://h.example\"".to_owned(),
            "[[origin]]\nurl = \"https://h.example\"\nkey = \" \"".to_owned(),
            "[[origin]]\nkey_env = \"A\"".to_owned(),
        ] {
            let error = parse(&text).expect_err(&text);
            assert!(matches!(error, KeyProblem::Form { .. }), "{text}");
            let said = format!("{error} {error:?} {}", error.hint().unwrap());
            assert!(!said.contains("planted"), "{said}");
        }
        assert!(parse("").unwrap().entries.is_empty());
    }

    #[test]
    fn the_place_of_a_slip_is_told() {
        let error = parse("[[origin]]\nurl = \"https://h.example\"\nkye = \"x\"\n").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }

    #[test]
    fn only_a_file_of_ones_own_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.toml");
        assert!(OperatorFile::load(&path).unwrap().entries.is_empty(), "a missing file has no entries");
        std::fs::write(&path, "[[origin]]\nurl = \"https://h.example\"\nkey = \"k\"\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for open in [0o644, 0o640, 0o602, 0o610] {
            mode(open);
            assert!(matches!(OperatorFile::load(&path), Err(KeyProblem::Exposed { .. })), "{open:o}");
        }
        mode(0o600);
        assert_eq!(OperatorFile::load(&path).unwrap().entries.len(), 1);
        assert!(matches!(OperatorFile::load(folder.path()), Err(KeyProblem::Read { .. })), "a folder");
        std::fs::write(&path, vec![b'#'; FILE_BYTES_MAX as usize + 1]).unwrap();
        assert!(matches!(OperatorFile::load(&path), Err(KeyProblem::Read { .. })), "too large");
    }

    #[test]
    fn the_path_follows_xdg_and_is_never_relative() {
        let path = |xdg: Option<&str>, home: Option<&str>| {
            let (xdg, home) = (xdg.map(str::to_owned), home.map(str::to_owned));
            OperatorFile::default_path(&move |name| match name {
                "XDG_CONFIG_HOME" => xdg.clone(),
                "HOME" => home.clone(),
                _ => None,
            })
        };
        assert_eq!(path(Some("/x"), Some("/h")), Some("/x/sluice/operator.toml".into()));
        assert_eq!(path(Some("x"), Some("/h")), Some("/h/.config/sluice/operator.toml".into()));
        assert_eq!(path(Some(""), None), None);
    }
}
