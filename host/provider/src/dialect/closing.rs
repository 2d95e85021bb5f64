//! Where a JSON object that comes in pieces is whole. No parser: it counts brackets outside of strings, and whoever
//! is told that an object has closed reads it with one.

use super::ARGUMENTS_EARLY_BYTES_MAX;

/// A tool's arguments on their way.
#[derive(Debug, Default)]
pub(super) struct Closing {
    bytes: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space came.
    #[default]
    Before,
    Inside,
    /// The object's last bracket came.
    Closed,
    /// It is no object, too large, or was told of.
    Done,
}

impl Closing {
    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &str) {
        self.bytes = self.bytes.saturating_add(piece.len());
        if self.bytes > ARGUMENTS_EARLY_BYTES_MAX {
            self.state = State::Done;
        }
        for byte in piece.bytes() {
            match self.state {
                State::Before if byte.is_ascii_whitespace() => {}
                State::Before if byte == b'{' => (self.state, self.depth) = (State::Inside, 1),
                State::Before => self.state = State::Done,
                State::Inside => self.inside(byte),
                State::Closed | State::Done => return,
            }
        }
    }

    fn inside(&mut self, byte: u8) {
        match (self.in_string, byte) {
            (true, _) if self.escaped => self.escaped = false,
            (true, b'\\') => self.escaped = true,
            (_, b'"') => self.in_string = !self.in_string,
            (true, _) => {}
            (false, b'{' | b'[') => self.depth += 1,
            (false, b'}' | b']') => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.state = State::Closed;
                }
            }
            (false, _) => {}
        }
    }

    /// Whether it has closed and nobody was told.
    pub(super) fn is_news(&self) -> bool {
        self.state == State::Closed
    }

    /// Somebody was told, or it turned out to be worth nothing.
    pub(super) fn told(&mut self) {
        self.state = State::Done;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_closes_once_wherever_it_is_cut() {
        let text = " {\"a\\\\\": \"}\\\"]é\", \"b\": [{}, \"\\u005d\"], \"c\": {\"d\": []}}";
        for size in 1..text.len() {
            let (mut closing, mut rest) = (Closing::default(), text);
            while !rest.is_empty() {
                assert!(!closing.is_news(), "{size}: {rest}");
                let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
                closing.push(piece);
                rest = after;
            }
            assert!(closing.is_news(), "{size}");
            closing.told();
            closing.push("{}");
            assert!(!closing.is_news());
        }
    }

    #[test]
    fn what_is_no_object_or_too_large_never_closes() {
        for text in ["", "[]", "false", "\"{}\"", "x{}", "{\"a\": \"}"] {
            let mut closing = Closing::default();
            closing.push(text);
            assert!(!closing.is_news(), "{text}");
        }
        let mut closing = Closing::default();
        closing.push("{\"a\": \"");
        closing.push(&"x".repeat(ARGUMENTS_EARLY_BYTES_MAX));
        closing.push("\"}");
        assert!(!closing.is_news());
    }
}
