//! Where a model is reached. Every URL that is sent to is made here.

use reqwest::Url;
use sluice_core::{Dialect, Secret};

/// Longest path that a probe may name: the longest real one, `messages/count_tokens`, is far shorter.
const PATH_BYTES_MAX: usize = 256;

/// A model server, as policy names it, with the key that belongs to its origin.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The provider's name in policy.
    pub provider: String,
    /// Which shapes it speaks.
    pub dialect: Dialect,
    /// Ends before `/chat/completions` or `/messages`.
    pub base_url: String,
    /// From [`crate::keys::resolve`].
    pub key: Option<Secret>,
}

/// Why nothing can be sent to a URL. Says nothing of the URL itself: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.detail())]
pub enum UrlProblem {
    /// Not a URL at all, or with white space in it.
    NotUrl,
    /// Neither `http` nor `https`.
    Scheme,
    /// `https://name:password@host`.
    UserInfo,
    /// Something after the path.
    Tail,
    /// A path that could lead out of the base URL.
    Path,
    /// A key would cross a network in the clear.
    PlainKey,
}

impl UrlProblem {
    /// The problem in fixed words.
    pub const fn detail(self) -> &'static str {
        match self {
            UrlProblem::NotUrl => "the base URL is not a URL",
            UrlProblem::Scheme => "the base URL is neither `http` nor `https`",
            UrlProblem::UserInfo => "the base URL holds a user name or password",
            UrlProblem::Tail => "the base URL has a query or a fragment",
            UrlProblem::Path => "the path does not stay under the base URL",
            UrlProblem::PlainKey => "a key would travel over plain HTTP to another machine",
        }
    }

    /// What a person can do about it.
    pub fn hint(self) -> Option<String> {
        let hint = match self {
            UrlProblem::NotUrl | UrlProblem::Scheme => "write it as `https://host/v1`",
            UrlProblem::UserInfo => "name the key in the operator file, for this origin",
            UrlProblem::Tail => "end the base URL with its path, such as `/v1`",
            UrlProblem::Path => "write a relative path such as `models` or `chat/completions`",
            UrlProblem::PlainKey => "use `https`, or reach the server through a tunnel on 127.0.0.1",
        };
        Some(hint.to_owned())
    }
}

/// Reads a base URL, strictly.
pub(crate) fn parse_base(base_url: &str) -> Result<Url, UrlProblem> {
    // The URL standard drops tabs and newlines and trims spaces: what is checked would not be what is written.
    if base_url.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(UrlProblem::NotUrl);
    }
    let url = Url::parse(base_url).map_err(|_| UrlProblem::NotUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlProblem::Scheme);
    }
    if !url.has_host() {
        return Err(UrlProblem::NotUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlProblem::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(UrlProblem::Tail);
    }
    Ok(url)
}

/// `path` under `base_url`. The path is a plugin's word: plain segments only, so that nothing in it can be
/// read as a scheme, a host, a user, a query or a way up, whoever reads it.
pub(crate) fn join(base_url: &str, path: &str) -> Result<Url, UrlProblem> {
    let mut url = parse_base(base_url)?;
    let plain = |segment: &str| {
        let byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(byte)
    };
    if path.len() > PATH_BYTES_MAX || !path.split('/').all(plain) {
        return Err(UrlProblem::Path);
    }
    let joined = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&joined);
    // The pair of the checks above: what the URL became is what was asked for.
    if url.path() == joined { Ok(url) } else { Err(UrlProblem::Path) }
}

/// Whether the host is this machine: `localhost`, `127.0.0.0/8` or `::1`, as the URL standard reads them
/// (`127.1` and `0x7f000001` are loopback too).
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses to let a key travel where others can read it.
pub(crate) fn check_key_may_travel(url: &Url) -> Result<(), UrlProblem> {
    if url.scheme() == "https" || is_loopback(url) { Ok(()) } else { Err(UrlProblem::PlainKey) }
}

/// Scheme, host and port, in the one spelling of the URL standard.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_stay_under_the_base() {
        let joined = |base, path| join(base, path).map(|url| url.to_string());
        assert_eq!(
            joined("http://127.0.0.1:3009/v1", "models").as_deref(),
            Ok("http://127.0.0.1:3009/v1/models")
        );
        assert_eq!(
            joined("https://h.example/v1/", "chat/completions").as_deref(),
            Ok("https://h.example/v1/chat/completions")
        );
        assert_eq!(joined("https://h.example", "models").as_deref(), Ok("https://h.example/models"));
        for path in [
            "",
            "/",
            "/models",
            "models/",
            "..",
            "../admin",
            "a/../../b",
            "a/./b",
            "a//b",
            "//evil.example/x",
            "http://evil.example/",
            "evil.example:80",
            "user@evil.example",
            "a?b",
            "a#b",
            "a\\..\\b",
            "%2e%2e/x",
            "a%2f..",
            "a b",
            "a\tb",
            "a\nb",
            "é",
            "models;x",
            &"a".repeat(257),
        ] {
            assert_eq!(joined("https://h.example/v1", path), Err(UrlProblem::Path), "{path}");
        }
    }

    #[test]
    fn base_urls_are_read_strictly() {
        for (base, want) in [
            ("", UrlProblem::NotUrl),
            ("h.example/v1", UrlProblem::NotUrl),
            ("https://h.example/\tv1", UrlProblem::NotUrl),
            (" https://h.example", UrlProblem::NotUrl),
            ("https:\\\\h.example", UrlProblem::NotUrl),
            ("file:///etc/passwd", UrlProblem::Scheme),
            ("https://key@h.example/v1", UrlProblem::UserInfo),
            ("https://a:b@h.example/v1", UrlProblem::UserInfo),
            ("https://h.example/v1?key=1", UrlProblem::Tail),
            ("https://h.example/v1#x", UrlProblem::Tail),
        ] {
            assert_eq!(parse_base(base), Err(want), "{base}");
        }
    }

    #[test]
    fn loopback_is_this_machine_alone() {
        for (url, want) in [
            ("http://127.0.0.1:1/v1", true),
            ("http://127.1/", true),
            ("http://0x7f000001/", true),
            ("http://[::1]:8/", true),
            ("http://localhost/", true),
            ("http://LOCALHOST/", true),
            ("http://localhost.example/", false),
            ("http://127.0.0.1.example/", false),
            ("http://10.0.0.1/", false),
            ("http://0.0.0.0/", false),
        ] {
            assert_eq!(is_loopback(&parse_base(url).unwrap()), want, "{url}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_path_leaves_the_origin(path in "[a-z./:@\\\\?#%2e~ -]{0,24}") {
            if let Ok(url) = join("https://h.example/v1", &path) {
                prop_assert_eq!(origin(&url), "https://h.example");
                prop_assert!(url.path().starts_with("/v1/"));
            }
        }
    }
}
