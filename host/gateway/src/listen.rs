//! Listening to an answer while it comes: step 4 and 5 piece by piece. What is handed on was scanned, and what
//! follows later can change none of it; its last part comes when the envelope is on record.

use crate::attempt::{Attempt, Committed};
use sluice_core::{Dialect, ToolCall};
use sluice_governance::TextStream;
use sluice_provider::{StreamedCall, StreamedText};
use std::collections::BTreeMap;

/// Who listens.
pub trait Listener: Send {
    /// More of the answer's text, scanned.
    fn text(&mut self, piece: &str);

    /// A tool that the answer asks for, whole and scanned; `index` is its place among the answer's tool calls. They
    /// come as they are complete, which need not be in the order of their places, and each once.
    fn tool_call(&mut self, index: usize, call: &ToolCall);

    /// The attempt that all this came from failed, and another model begins: text and tool calls so far are void.
    fn again(&mut self);
}

/// A listener, and what it was told of the present attempt.
pub(crate) struct Live<'l> {
    listener: &'l mut dyn Listener,
    told: String,
    /// By their place.
    calls: BTreeMap<usize, ToolCall>,
}

impl<'l> Live<'l> {
    pub(crate) fn new(listener: &'l mut dyn Listener) -> Live<'l> {
        Live { listener, told: String::new(), calls: BTreeMap::new() }
    }

    /// Another attempt begins.
    pub(crate) fn begin(&mut self) {
        if !self.told.is_empty() || !self.calls.is_empty() {
            self.listener.again();
            self.told.clear();
            self.calls.clear();
        }
    }

    fn tell(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.listener.text(piece);
            self.told.push_str(piece);
        }
    }

    fn tell_call(&mut self, index: usize, call: ToolCall) {
        self.listener.tool_call(index, &call);
        self.calls.insert(index, call);
    }

    /// The whole answer is on record: tells the rest of it. `false` where what was told is not a part of it, which
    /// takes a redactor that called something settled that was not, or a server that went on after an end.
    pub(crate) fn finish(&mut self, text: &str, calls: &[ToolCall]) -> bool {
        let Some(rest) = text.strip_prefix(self.told.as_str()).map(str::to_owned) else { return false };
        let was_told =
            |(index, told): (&usize, &ToolCall)| calls.get(*index).is_some_and(|call| same(told, call));
        if !self.calls.iter().all(was_told) {
            return false;
        }
        self.tell(&rest);
        for (index, call) in calls.iter().enumerate() {
            if !self.calls.contains_key(&index) {
                self.tell_call(index, call.clone());
            }
        }
        true
    }
}

/// White space that came after the last bracket changes nothing.
fn same(told: &ToolCall, whole: &ToolCall) -> bool {
    told.id == whole.id
        && told.name == whole.name
        && told.arguments.trim_ascii_end() == whole.arguments.trim_ascii_end()
}

/// One answer on its way to a listener.
pub(crate) struct Hearing<'a, 'l> {
    attempt: &'a Attempt<'a>,
    committed: &'a Committed,
    dialect: Dialect,
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
        dialect: Dialect,
        live: &'a mut Live<'l>,
    ) -> Hearing<'a, 'l> {
        Hearing { attempt, committed, dialect, live, stream: None, seen: 0, held: String::new(), deaf: false }
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

    /// Takes a tool call whose arguments are complete. One that cannot be scanned is told with the whole answer, or
    /// not at all.
    pub(crate) fn hear_call(&mut self, heard: &StreamedCall) {
        let (run, call, number) = (self.attempt.run, self.attempt.call, self.attempt.number);
        let scope = sluice_governance::ScanScope { memo: None, ..run.scope(call, number) };
        if let Ok(scanned) = run.governor().scan_call(scope, self.dialect, heard.index, &heard.call) {
            let restored = self.attempt.restore_call(self.committed, scanned);
            self.live.tell_call(heard.place, restored);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard {
        calls: usize,
        void: usize,
    }

    impl Listener for Heard {
        fn text(&mut self, _: &str) {}

        fn tool_call(&mut self, _: usize, _: &ToolCall) {
            self.calls += 1;
        }

        fn again(&mut self) {
            self.void += 1;
        }
    }

    /// An answer that broke off after a tool call and before any text is void like any other.
    #[test]
    fn a_call_alone_is_voided_once() {
        let mut heard = Heard::default();
        let mut live = Live::new(&mut heard);
        let call = ToolCall { id: "c".into(), name: "look".into(), arguments: "{}".into() };
        live.begin();
        live.tell_call(0, call.clone());
        live.begin();
        live.begin();
        assert!(live.finish("text", std::slice::from_ref(&call)), "nothing of before is held against it");
        assert_eq!((heard.calls, heard.void), (2, 1));
    }
}
