//! One text of an answer, scanned while it comes. What is handed on is what a scan of the whole text would hand
//! on, cut anywhere: text is held back only while later text could change what becomes of it.
//!
//! Three may ask for more text: the redactor, by how much of a piece it calls settled; the guard, where the text
//! ends in the beginning of a known value; and a finding that reaches the end of what is settled, since it may go
//! on. The last part of a text is not given out here at all: the caller has it from the scan of the whole answer,
//! once that is on record. So a stream that was cut short never looks like one that ended.

use crate::author::Author;
use crate::cuts::{Cut, joined};
use crate::json;
use crate::origin::author_of_answer;
use crate::redact::{Blocked, Direction, Scan};
use sluice_core::FaultCode;
use sluice_core::contract::redactor::{Content, Field};

/// Left context that a redactor is shown beside its own carry.
const BEFORE_BYTES_MAX: usize = 1024;

/// Most bytes that a redactor may leave open. The reference redactor holds back 512 and redacts what is open
/// beyond; one that never settles would make the host hold the whole answer.
const OPEN_BYTES_MAX: usize = 8 << 10;

/// The longest thing that JSON can break off inside of: an escaped pair of surrogates.
const ERROR_NEAR_END_BYTES: usize = 12;

/// A text on its way.
pub struct TextStream<'a> {
    scan: Scan<'a>,
    path: String,
    key: String,
    author: Author,
    raw: String,
    /// It is not JSON.
    plain: bool,
    /// As long as this it is looked at again.
    look_at: usize,
    /// Up to here it was handed on.
    emitted: usize,
    /// Up to here the redactor has settled it.
    settled: usize,
    carry: Vec<u8>,
    /// What the redactor found from `emitted` on.
    cuts: Vec<Cut>,
    fuel_used: u64,
}

impl<'a> TextStream<'a> {
    /// Before the first piece. `path` and `key` are those of the leaf in the whole body.
    pub fn new(scan: Scan<'a>, path: &str, key: &str) -> TextStream<'a> {
        TextStream {
            scan,
            path: path.to_owned(),
            key: key.to_owned(),
            author: author_of_answer(path),
            raw: String::new(),
            plain: false,
            look_at: 2 * ERROR_NEAR_END_BYTES,
            emitted: 0,
            settled: 0,
            carry: Vec::new(),
            cuts: Vec::new(),
            fuel_used: 0,
        }
    }

    /// Takes the next piece, and returns what can be handed on by now.
    ///
    /// # Errors
    /// The redactor gave no usable answer: nothing more of this text may be handed on.
    pub fn push(&mut self, piece: &str) -> Result<String, Blocked> {
        self.raw.push_str(piece);
        if !self.is_plain() {
            return Ok(String::new());
        }
        if self.raw.len() > self.settled {
            self.ask()?;
        }
        Ok(self.emit())
    }

    /// Whether the text is known not to be JSON. JSON is scanned leaf by leaf, and unescaped: that takes the whole
    /// of it, so it is not handed on piece by piece. What begins like it is looked at whenever it has doubled.
    fn is_plain(&mut self) -> bool {
        let text = self.raw.trim_start();
        if self.plain || text.is_empty() {
            return self.plain;
        }
        if !text.starts_with(['{', '[']) {
            self.plain = true;
        } else if self.raw.len() >= self.look_at {
            self.look_at = self.raw.len() * 2;
            // Nearer to the end an error may be a word or an escape that is not whole yet.
            let definite = self.raw.len().saturating_sub(ERROR_NEAR_END_BYTES);
            self.plain = json::leaves(&self.raw).is_err_and(|error| error.at < definite);
        }
        self.plain
    }

    /// Fuel of the redactor so far.
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    fn ask(&mut self) -> Result<(), Blocked> {
        let broken = || Blocked::Redactor(FaultCode::BrokenContract);
        let open = &self.raw[self.settled..];
        let from = self.raw.floor_char_boundary(self.settled.saturating_sub(BEFORE_BYTES_MAX));
        let field = Field {
            path: &self.path,
            key: Some(&self.key),
            direction: Direction::Response.code(),
            author: self.author.code(),
            tool_name: None,
            media_type: "",
            content: Content::Text(open),
            before: &self.raw[from..self.settled],
            is_final: false,
            carry: &self.carry,
            ext: &[],
        };
        let (mut results, fuel_used) = self.scan.ask(std::slice::from_ref(&field))?;
        self.fuel_used += fuel_used;
        let result = results.pop().ok_or_else(broken)?;
        let settled = result.settled as usize;
        if open.get(..settled).is_none() || open.len() - settled > OPEN_BYTES_MAX {
            return Err(broken());
        }
        for mut cut in self.scan.plugin_cuts(open, result.spans)? {
            if cut.at.start >= settled {
                continue;
            }
            // What is settled inside a finding and what is not would be two answers to one question.
            if cut.at.end > settled {
                return Err(broken());
            }
            cut.at = cut.at.start + self.settled..cut.at.end + self.settled;
            match self.cuts.last_mut() {
                // What was open at the end of the last piece goes on.
                Some(last) if last.at.end == cut.at.start && last.rule == cut.rule => {
                    last.at.end = cut.at.end;
                    last.confidence_permille = last.confidence_permille.max(cut.confidence_permille);
                }
                _ => self.cuts.push(cut),
            }
        }
        self.settled += settled;
        self.carry = result.carry;
        Ok(())
    }

    fn emit(&mut self) -> String {
        let pending = &self.raw[self.emitted..];
        let known_open = self.emitted + self.scan.guard.open_from(pending.as_bytes());
        let mut end = self.raw.floor_char_boundary(self.settled.min(known_open));
        let known = self.scan.guard_cuts(pending).into_iter().map(|mut cut| {
            cut.at = cut.at.start + self.emitted..cut.at.end + self.emitted;
            cut
        });
        let all = joined(self.cuts.iter().cloned().chain(known).collect());
        for cut in all.iter().rev() {
            // One that ends where the settled text ends may go on.
            if cut.at.start < end && cut.at.end >= end {
                end = cut.at.start;
            }
        }
        if end <= self.emitted {
            return String::new();
        }
        let mut out = String::new();
        let mut done = self.emitted;
        for cut in all.iter().take_while(|cut| cut.at.start < end) {
            out.push_str(&self.raw[done..cut.at.start]);
            out.push_str(&self.scan.on_the_wire(cut, &self.raw[cut.at.clone()]));
            done = cut.at.end;
        }
        out.push_str(&self.raw[done..end]);
        self.emitted = end;
        self.cuts.retain(|cut| cut.at.end > end);
        out
    }
}
