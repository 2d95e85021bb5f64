//! Step 5, restore: where policy says so, the caller gets its own secrets back, in the answer's text and in the
//! arguments of the tools that policy lists. The record was made before, and keeps the placeholders.

use crate::attempt::{Attempt, Committed};
use sluice_core::{Spoken, ToolCall};
use sluice_governance::arguments;
use sluice_policy::snapshot::Redaction;

impl Attempt<'_> {
    /// What policy says of findings.
    pub(crate) fn redaction(&self) -> &Redaction {
        &self.run.governor().policy().snapshot.governance.security.redaction
    }

    /// Whether policy gives secrets back.
    pub(crate) fn restores(&self) -> bool {
        self.redaction().restore
    }

    /// The answer with the request's own secrets put back.
    pub(crate) fn restore(&self, committed: &Committed, scanned: Spoken) -> Spoken {
        arguments::restore_all(self.redaction(), &committed.scanned.restorer, scanned)
    }

    /// The same for one call of it.
    pub(crate) fn restore_call(&self, committed: &Committed, scanned: ToolCall) -> ToolCall {
        arguments::restore_call(self.redaction(), &committed.scanned.restorer, scanned)
    }
}
