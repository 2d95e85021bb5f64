//! Listening to an answer while it comes: step 4 and 5 piece by piece. What is handed on was scanned, and what
//! follows later can change none of it; its last part comes when the envelope is on record.

use crate::attempt::{Attempt, Committed};
use sluice_governance::TextStream;
use sluice_provider::StreamedText;

/// Who listens.
pub trait Listener: Send {
    /// More of the answer's text, scanned.
    fn text(&mut self, piece: &str);

    /// The attempt that the text came from failed, and another model begins: what was said so far is void.
    fn again(&mut self);
}

/// A listener, and what it was told of the present attempt.
pub(crate) struct Live<'l> {
    listener: &'l mut dyn Listener,
    told: String,
}

impl<'l> Live<'l> {
    pub(crate) fn new(listener: &'l mut dyn Listener) -> Live<'l> {
        Live { listener, told: String::new() }
    }

    /// Another attempt begins.
    pub(crate) fn begin(&mut self) {
        if !self.told.is_empty() {
            self.listener.again();
            self.told.clear();
        }
    }

    fn tell(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.listener.text(piece);
            self.told.push_str(piece);
        }
    }

    /// The whole answer is on record: tells the rest of it. `false` where what was told is not its beginning,
    /// which takes a redactor that called something settled that was not.
    pub(crate) fn finish(&mut self, whole: &str) -> bool {
        match whole.strip_prefix(self.told.as_str()) {
            Some(rest) => {
                let rest = rest.to_owned();
                self.tell(&rest);
                true
            }
            None => false,
        }
    }
}

/// One answer on its way to a listener.
pub(crate) struct Hearing<'a, 'l> {
    attempt: &'a Attempt<'a>,
    committed: &'a Committed,
    live: &'a mut Live<'l>,
    stream: Option<(usize, TextStream<'a>)>,
    /// Bytes of the text that were scanned.
    seen: usize,
    /// May be the beginning of a placeholder.
    held: String,
    /// The redactor failed, or the text is not one that grows: nothing more is told before the end.
    deaf: bool,
}

impl<'a, 'l> Hearing<'a, 'l> {
    pub(crate) fn new(
        attempt: &'a Attempt<'a>,
        committed: &'a Committed,
        live: &'a mut Live<'l>,
    ) -> Hearing<'a, 'l> {
        Hearing { attempt, committed, live, stream: None, seen: 0, held: String::new(), deaf: false }
    }

    /// Takes the whole text so far.
    pub(crate) fn hear(&mut self, so_far: StreamedText<'_>) {
        if self.deaf {
            return;
        }
        let (run, call, number) = (self.attempt.run, self.attempt.call, self.attempt.number);
        let (index, stream) = self.stream.get_or_insert_with(|| {
            // Pieces are not remembered: no two streams are cut alike.
            let scope = sluice_governance::ScanScope { memo: None, ..run.scope(call, number) };
            let path = so_far.path.replace("{}", &so_far.index.to_string());
            (so_far.index, run.governor().stream_response(scope, &path, so_far.key))
        });
        let piece = so_far.text.get(self.seen..).filter(|_| *index == so_far.index);
        match piece.map(|piece| stream.push(piece)) {
            Some(Ok(scanned)) => {
                self.seen = so_far.text.len();
                let restorer = &self.committed.scanned.restorer;
                let told = match self.attempt.restores() && !restorer.is_empty() {
                    true => restorer.restore_piece(&mut self.held, &scanned),
                    false => scanned,
                };
                self.live.tell(&told);
            }
            // The scan of the whole answer says what is wrong with it.
            Some(Err(_)) | None => self.deaf = true,
        }
    }
}
