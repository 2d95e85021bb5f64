//! Step 5, restore: where policy says so, the caller gets its own secrets back in the answer's text. The record
//! was made before, and keeps the placeholders.

use crate::attempt::{Attempt, Committed};

impl Attempt<'_> {
    /// Whether policy gives secrets back.
    pub(crate) fn restores(&self) -> bool {
        self.run.governor().policy().snapshot.governance.security.redaction.restore
    }

    /// The text with the request's own secrets put back.
    pub(crate) fn restore(&self, committed: &Committed, text: String) -> String {
        match self.restores() && !committed.scanned.restorer.is_empty() {
            true => committed.scanned.restorer.restore(&text),
            false => text,
        }
    }
}
