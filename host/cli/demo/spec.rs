//! What the demo works on: a specification with a made-up token in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The specification, with a mark where the token goes.
pub const SPEC: &str = include_str!("../../../docs/examples/link-shortener.md");

/// The policy.
pub const POLICY: &str = include_str!("../../../docs/examples/demo-policy.toml");

/// What the token replaces, in memory alone.
const MARK: &str = "{{CREDENTIAL}}";

/// A made-up token of a real form, checksum included. In parts, so that no scanner takes this file for a leak
/// and no file ever holds the whole.
const PARTS: [&str; 8] = ["gh", "p_", "xTevxs", "qMxmRP", "mSj5TL", "sF3uOZ", "AvoMiI", "0LkNIM"];

/// How many neighbouring bytes of the token count as a trace of it.
const WINDOW_BYTES: usize = 8;

/// The token, and the search for it.
pub struct Planted {
    token: String,
}

impl Planted {
    /// Puts the token together.
    pub fn new() -> Planted {
        Planted { token: PARTS.concat() }
    }

    /// The specification as the callers in the demo have it.
    pub fn specification(&self) -> String {
        SPEC.replace(MARK, &self.assignment())
    }

    /// The line of the specification that should not be in it.
    pub fn assignment(&self) -> String {
        format!("REGISTRY_TOKEN={}", self.token)
    }

    /// Whether the token stands in `text` as it is.
    pub fn is_whole_in(&self, text: &str) -> bool {
        text.contains(&self.token)
    }

    /// Whether any eight neighbouring bytes of the token are in `bytes`, as they are, in base64, hex or percent
    /// form.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let needles: Vec<String> = self.windows().flat_map(forms).collect();
        // One pass over the bytes: a needle is looked at only where its first byte stands.
        let mut begins = [false; 256];
        for needle in &needles {
            begins[usize::from(needle.as_bytes()[0])] = true;
        }
        bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| begins[usize::from(**byte)])
            .any(|(at, _)| needles.iter().any(|needle| bytes[at..].starts_with(needle.as_bytes())))
    }

    fn windows(&self) -> impl Iterator<Item = &[u8]> {
        self.token.as_bytes().windows(WINDOW_BYTES)
    }
}

/// Raw, hex, percent, and the three alignments of base64 without the characters that depend on the neighbours.
fn forms(window: &[u8]) -> Vec<String> {
    let hex = sluice_core::digest::to_hex(window);
    let percent: String = window.iter().map(|byte| format!("%{byte:02x}")).collect();
    let raw = String::from_utf8_lossy(window).into_owned();
    let mut forms = vec![raw, hex.to_uppercase(), hex, percent.to_uppercase(), percent];
    for lead in 0..3 {
        let shifted: Vec<u8> = std::iter::repeat_n(0, lead).chain(window.iter().copied()).collect();
        let text = STANDARD.encode(&shifted[..shifted.len() / 3 * 3]);
        forms.push(text[[0, 2, 3][lead]..].to_owned());
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_every_form_and_nowhere_else() {
        let planted = Planted::new();
        let piece = &planted.token[9..21];
        for lead in ["", "a", "ab"] {
            let text = format!("{lead}{piece} and more");
            assert!(planted.is_in(text.as_bytes()));
            assert!(planted.is_in(STANDARD.encode(&text).as_bytes()), "{lead}");
            assert!(planted.is_in(sluice_core::digest::to_hex(text.as_bytes()).as_bytes()));
        }
        assert!(planted.is_in(planted.specification().as_bytes()));
        assert!(!planted.is_in(SPEC.as_bytes()) && !planted.is_in(POLICY.as_bytes()));
        assert!(!planted.is_in(include_bytes!("spec.rs")), "no file holds the token");
    }

    #[test]
    fn the_specification_has_a_place_for_it() {
        assert_eq!(SPEC.matches(MARK).count(), 1);
        assert!(sluice_policy::parse(POLICY).is_ok());
    }
}
