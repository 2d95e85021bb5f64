//! Values that must not be seen.

use std::fmt;
use zeroize::Zeroizing;

/// A secret text. It cannot be printed, is not serialisable, and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the value over.
    pub fn new(value: String) -> Secret {
        Secret(Zeroizing::new(value))
    }

    /// The value itself. Name the reason where you call this.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The last look before bytes are stored, printed or sent: knows the exact values that must not pass.
/// Governance makes it; capsule and printer are handed it.
pub trait Guard: Send + Sync {
    /// Whether `bytes` hold a known value in any form that the guard knows.
    fn finds_secret(&self, bytes: &[u8]) -> bool;

    /// `text` with every known value replaced by a placeholder that names no part of it.
    fn mask(&self, text: &str) -> String;
}

/// A guard that knows nothing: for readers, which store nothing, and for tests that say so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGuard;

impl Guard for NoGuard {
    fn finds_secret(&self, _: &[u8]) -> bool {
        false
    }

    fn mask(&self, text: &str) -> String {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn debug_says_nothing() {
        let secret = super::Secret::new("sk-very-secret".into());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
