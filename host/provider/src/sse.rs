//! Server-sent events, incrementally: any cutting of the bytes into chunks gives the same events.
//!
//! As the WHATWG standard has it (lines end in LF, CR or CRLF; a leading BOM and comments are skipped; data
//! lines are joined by LF), with two differences. Bytes that are not UTF-8 are an error and not replaced:
//! text that was changed on the way must not be recorded as what the model said. An event whose closing
//! blank line is missing when the stream ends still counts: some servers end on `data: [DONE]` and close.

/// Most bytes of one event, name and comments between its lines included. A model's token takes some
/// hundred bytes; a whole answer in one event, with its tool arguments, stays under this.
pub const EVENT_BYTES_MAX: usize = 8 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; empty where there was none.
    pub name: String,
    /// The `data` lines, joined by LF.
    pub data: String,
}

/// Why the bytes are not a stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseProblem {
    /// An event larger than [`EVENT_BYTES_MAX`].
    #[error("an event of the stream is larger than allowed")]
    TooLarge,
    /// A data or event line that is not UTF-8.
    #[error("the stream is not UTF-8")]
    NotUtf8,
}

/// Keeps what one chunk leaves for the next: half a line, half an event, the CR of a CRLF.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    name: String,
    data: String,
    /// An empty `data:` line is data too, so that the text alone cannot tell.
    has_data: bool,
    /// Bytes of the event so far, whatever became of them.
    event_bytes: usize,
    after_cr: bool,
    past_first_line: bool,
}

impl Parser {
    /// Takes the next bytes and adds each event that they complete to `events`. After an error the parser
    /// is of no further use.
    pub fn push(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), SseProblem> {
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend_line(&rest[..at])?;
            let is_cr = rest[at] == b'\r';
            rest = &rest[at + 1..];
            if is_cr {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            self.end_line(events)?;
        }
        self.extend_line(rest)
    }

    /// Says that no more bytes come.
    pub fn finish(mut self, events: &mut Vec<Event>) -> Result<(), SseProblem> {
        if !self.line.is_empty() {
            self.end_line(events)?;
        }
        self.dispatch(events);
        Ok(())
    }

    fn extend_line(&mut self, part: &[u8]) -> Result<(), SseProblem> {
        self.event_bytes += part.len();
        if self.event_bytes > EVENT_BYTES_MAX {
            return Err(SseProblem::TooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<Event>) -> Result<(), SseProblem> {
        let mut buffer = std::mem::take(&mut self.line);
        let mut line = buffer.as_slice();
        if !self.past_first_line {
            self.past_first_line = true;
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(events);
        } else {
            self.field(line)?;
        }
        buffer.clear();
        self.line = buffer;
        Ok(())
    }

    /// `name: value`, `name:value` or `name`. A comment is a field without a name, and ignored like every
    /// field that is neither `data` nor `event`.
    fn field(&mut self, line: &[u8]) -> Result<(), SseProblem> {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(std::str::from_utf8(value).map_err(|_| SseProblem::NotUtf8)?);
            }
            b"event" => {
                self.name = std::str::from_utf8(value).map_err(|_| SseProblem::NotUtf8)?.to_owned();
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, events: &mut Vec<Event>) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            events.push(Event { name, data });
        }
        self.event_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events_of<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, SseProblem> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk, &mut events)?;
        }
        parser.finish(&mut events)?;
        Ok(events)
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn the_standards_corners() {
        let cases: [(&[u8], Vec<Event>); 12] = [
            (b"data: a\n\n", vec![event("", "a")]),
            (b"data:a\r\rdata:  b\r\n\r\n", vec![event("", "a"), event("", " b")]),
            (b"\xef\xbb\xbfdata: a\n\n", vec![event("", "a")]),
            (b": ping\n\n:\ndata: a\n: more\n\n", vec![event("", "a")]),
            (b"data: a\ndata: b\ndata\n\n", vec![event("", "a\nb\n")]),
            (b"event: x\ndata: a\n\ndata: b\n\n", vec![event("x", "a"), event("", "b")]),
            (b"event: x\n\ndata: b\n\n", vec![event("", "b")]),
            (b"data:\n\n", vec![event("", "")]),
            (b"id: 1\nretry: 5\nDATA: no\ndata : no\n\n", vec![]),
            (b"data: [DONE]", vec![event("", "[DONE]")]),
            (b"", vec![]),
            ("data: \u{20ac}:\u{1f600}\n\n".as_bytes(), vec![event("", "\u{20ac}:\u{1f600}")]),
        ];
        for (bytes, want) in cases {
            assert_eq!(events_of([bytes]), Ok(want), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn broken_utf8_is_refused_and_not_replaced() {
        assert_eq!(events_of([&b"data: \xe2\x82\n\n"[..]]), Err(SseProblem::NotUtf8));
        assert_eq!(events_of([&b": \xff\ndata: a\n\n"[..]]), Ok(vec![event("", "a")]));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let line = vec![b'x'; EVENT_BYTES_MAX / 2 + 1];
        let without_end = [b"data: ".as_slice(), &line, &line];
        assert_eq!(events_of(without_end), Err(SseProblem::TooLarge));
        let of_many_lines = [b"data: ".as_slice(), &line, b"\ndata: ", &line, b"\n\n"];
        assert_eq!(events_of(of_many_lines), Err(SseProblem::TooLarge));
        let of_comments = [b":".as_slice(), &line, b"\n:", &line];
        assert_eq!(events_of(of_comments), Err(SseProblem::TooLarge));
        let two_events = [b"data: ".as_slice(), &line, b"\n\ndata: ", &line, b"\n\n"];
        assert_eq!(events_of(two_events).map(|events| events.len()), Ok(2), "the limit is one event's");
    }

    /// Bytes that meet the parser's every branch far more often than random ones do.
    fn stream_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"data: ".to_vec()),
            Just(b"data".to_vec()),
            Just(b"event:".to_vec()),
            Just(b":".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n\n".to_vec()),
            Just("\u{20ac}\u{1f600}".as_bytes().to_vec()),
            Just(b"\xef\xbb\xbf".to_vec()),
            Just(b"{\"a\":1}".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    /// What the parser keeps for later, which is part of one event and never more than its limit.
    fn held(parser: &Parser) -> usize {
        parser.line.len() + parser.data.len() + parser.name.len()
    }

    /// Pushes the chunks and looks after each one; the events, or where it was refused.
    fn watched(bytes: &[u8], mut next: impl FnMut() -> usize) -> Result<Vec<Event>, SseProblem> {
        let (mut parser, mut events, mut at) = (Parser::default(), Vec::new(), 0);
        while at < bytes.len() {
            let end = (at + next()).min(bytes.len());
            parser.push(&bytes[at..end], &mut events)?;
            at = end;
            let given: usize = events.iter().map(|event| event.name.len() + event.data.len()).sum();
            assert!(held(&parser) <= parser.event_bytes && parser.event_bytes <= EVENT_BYTES_MAX);
            assert!(held(&parser) + given <= at, "more than came in");
        }
        parser.finish(&mut events)?;
        Ok(events)
    }

    #[test]
    fn a_stream_without_an_end_is_refused_before_it_is_kept() {
        for line in ["data: x\n", "data\n", "event: abc\r\n", ":\n", "x\r", "id: 7\n"] {
            let chunk = line.repeat(1 << 16);
            let (mut parser, mut events, mut taken) = (Parser::default(), Vec::new(), 0);
            while parser.push(chunk.as_bytes(), &mut events).is_ok() {
                taken += chunk.len();
                assert!(held(&parser) <= EVENT_BYTES_MAX, "{line:?}");
                assert!(parser.line.capacity() + parser.data.capacity() <= 4 * EVENT_BYTES_MAX, "{line:?}");
                assert!(taken <= 4 * EVENT_BYTES_MAX, "{line:?} goes on for ever");
            }
            assert!(events.is_empty());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn arbitrary_bytes_in_arbitrary_chunks(
            bytes in proptest::collection::vec(any::<u8>(), 0..400), sizes in proptest::collection::vec(0usize..40, 1..9),
        ) {
            // A chunk of nothing is a chunk too; the last size lets it go on.
            let mut sizes = sizes.into_iter().chain([1]).cycle();
            let pieces = watched(&bytes, || sizes.next().unwrap_or(1));
            prop_assert_eq!(&pieces, &events_of([bytes.as_slice()]));
            prop_assert_eq!(&pieces, &events_of(bytes.chunks(1)));
        }

        #[test]
        fn no_more_is_kept_than_came(bytes in stream_bytes(), size in 1usize..20) {
            prop_assert_eq!(watched(&bytes, || size), events_of([bytes.as_slice()]));
        }

        #[test]
        fn any_cutting_gives_the_same_events(bytes in stream_bytes(), cuts in proptest::collection::vec(0usize..96, 0..12)) {
            let whole = events_of([bytes.as_slice()]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            prop_assert_eq!(&events_of(pieces), &whole);
            prop_assert_eq!(&events_of(bytes.chunks(1)), &whole);
        }
    }
}
