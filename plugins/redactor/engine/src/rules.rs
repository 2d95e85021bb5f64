//! The rule table as the build made it.

use crate::check::Check;
use crate::program::{Op, in_set};

/// One rule of `rules.toml`.
#[derive(Debug)]
pub struct Rule {
    /// Stable, `[a-z0-9-]{1,48}`.
    pub id: &'static str,
    /// For a person.
    pub title: &'static str,
    /// `low`, `medium`, `high`, `critical`.
    pub severity: &'static str,
    /// The heading that the rule stands under in the documentation.
    pub group: &'static str,
    /// 1..1000.
    pub confidence: u16,
    pub(crate) near: &'static [&'static str],
    /// Hashes of values that stand in public documentation.
    pub(crate) documented: &'static [u64],
    pub(crate) check: Check,
    pub(crate) left_any: bool,
    pub(crate) left_start: bool,
    pub(crate) random: bool,
    pub(crate) strict: bool,
    pub(crate) kind: Kind,
}

/// How a rule matches.
#[derive(Debug)]
pub(crate) enum Kind {
    /// At an anchor.
    Pattern { lead: Option<Lead>, ops: &'static [Op], edge: u16 },
    /// A random run near the name of a service.
    Named { ops: &'static [Op], edge: u16 },
    /// Written in Rust.
    Builtin(Builtin),
}

/// What stands left of an anchor: a run of one class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lead {
    pub set: u16,
    pub min: u16,
    pub max: u16,
}

/// Matchers that a pattern cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    Password,
    Secret,
    Key,
    Token,
    Id,
    Userinfo,
    Bearer,
    Basic,
    Cookie,
    Jwt,
    Pem,
    NearKeyword,
    Entropy,
    Encoded,
    CurlUser,
    Call,
    GoogleCredentials,
}

/// The first eight bytes of a word, the first the lowest, so that most others are told from it by one comparison.
#[derive(Debug)]
pub(crate) struct Head {
    pub bytes: u64,
    /// Which bits count: all but that of case, in a letter whose case does not; none after the end of a short word.
    pub mask: u64,
}

impl Head {
    pub const BYTES: usize = 8;

    /// The same of a text.
    #[inline]
    pub fn of(text: &[u8]) -> u64 {
        match text.first_chunk() {
            Some(head) => u64::from_le_bytes(*head),
            None => text.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
        }
    }

    /// Whether the text begins with these bytes.
    #[inline]
    pub fn begins(&self, text: u64) -> bool {
        (text ^ self.bytes) & self.mask == 0
    }
}

/// A literal at which rules are tried.
#[derive(Debug)]
pub(crate) struct Anchor {
    pub head: Head,
    pub text: &'static str,
    /// Whether upper and lower case count.
    pub exact: bool,
    /// Whether a token must begin at it, whatever the rule.
    pub word: bool,
    /// Where only tokens of one provider begin with it: how long they are at least. Otherwise 0.
    pub least: usize,
    /// What all that begins with it has: looked at first.
    pub look: Look,
    pub rules: &'static [u16],
}

/// A byte that tells most of what begins like a token that it is none.
#[derive(Debug)]
pub(crate) struct Look {
    /// How far behind the beginning it stands.
    pub offset: usize,
    pub set: u16,
}

impl Look {
    /// Whether what begins here may be one, as far as that byte tells.
    #[inline]
    pub fn fits(&self, bytes: &[u8], start: usize) -> bool {
        bytes.get(start + self.offset).is_none_or(|byte| in_set(self.set, *byte))
    }
}

/// A rule for runs that needs no name before them.
#[derive(Debug)]
pub(crate) struct AnyRun {
    pub rule: u16,
    pub look: Look,
}

/// A word that is looked for before a run, in lower case.
#[derive(Debug)]
pub(crate) struct Word {
    pub head: Head,
    pub text: &'static str,
    pub known: Known,
}

/// What a word before a run says.
#[derive(Debug)]
pub(crate) enum Known {
    /// That the run is a credential.
    Keyword,
    /// That it is something else.
    Harmless,
    /// That the keyword right after it says nothing: `fakeToken`.
    Void,
    /// Which service it belongs to, and so by which rules it is judged.
    Name(&'static [u16]),
}

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// The number of the first rule with this matcher.
pub(crate) fn builtin(wanted: Builtin) -> Option<u16> {
    RULES
        .iter()
        .position(|rule| matches!(rule.kind, Kind::Builtin(kind) if kind == wanted))
        .map(|at| at as u16)
}
