//! Which paths hold secrets by their name.

/// Built in: configuration can add to these and take none away.
const MARKERS: &[&str] = &[".env", ".envrc", "credentials", "secrets"];

/// The marker that stands in one of the path's segments, whatever its case; `/` and `\` both separate.
///
/// A marker that starts with a dot names a kind of file, so it has to end where a word ends: `.env`, `.env.local` and
/// `prod.env` are meant, `app.environment.ts` is not. A word may stand anywhere in a segment (`client_secrets.json`,
/// `AwsCredentialsBackup`): a path too many costs a line in the record, one too few costs a secret.
pub fn marker<'a>(path: &str, more: &'a [String]) -> Option<&'a str> {
    let path = path.to_ascii_lowercase();
    let markers = || MARKERS.iter().copied().chain(more.iter().map(String::as_str));
    path.split(['/', '\\']).find_map(|segment| markers().find(|marker| stands_in(segment, marker)))
}

fn stands_in(segment: &str, marker: &str) -> bool {
    let ends_word = |at: usize| {
        let after = segment.as_bytes().get(at + marker.len());
        !after.is_some_and(u8::is_ascii_alphanumeric)
    };
    segment.match_indices(marker).any(|(at, _)| !marker.starts_with('.') || ends_word(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_hold_secrets() {
        for path in [
            ".env",
            "./.env",
            "a/b/.ENV.local",
            "config\\prod.env",
            ".env-staging",
            ".envrc",
            "/home/u/.aws/credentials",
            "gcp/Credentials.json",
            "deploy/secrets/db.yaml",
            "SECRETS.toml",
            "client_secrets.json",
            "AwsCredentialsBackup",
            "read_file:/srv/.env",
            "my-credentials-backup/x",
        ] {
            assert!(marker(path, &[]).is_some(), "{path}");
        }
    }

    #[test]
    fn paths_that_do_not() {
        for path in [
            "",
            "/",
            "src/main.rs",
            "src/environment.rs",
            "app.environment.ts",
            "docs/secretary.md",
            "a.en/v",
            "secret/s",
            "credential.rs",
            "environments/prod.tf",
        ] {
            assert_eq!(marker(path, &[]), None, "{path}");
        }
    }

    #[test]
    fn more_markers_are_looked_for_as_well() {
        let more = ["id_rsa".to_owned(), ".pem".to_owned()];
        assert_eq!(marker("keys/server.PEM", &more), Some(".pem"));
        assert_eq!(marker("keys/server.pemx", &more), None);
        assert_eq!(marker(".ssh/id_rsa.pub", &more), Some("id_rsa"));
    }
}
