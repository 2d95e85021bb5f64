//! Who wrote each string of a body: what a field of the plugin contract says as `author`, `tool-name` and `media-type`.
//!
//! The body's own shape says it, so no dialect has to be named: chat completions and responses (OpenAI, and whoever
//! speaks like it), messages (Anthropic), contents (Gemini). Roles count where a conversation has them and nowhere
//! else. What a body does not say, says twice, or says in words of its own is unknown: nothing is guessed, and nothing
//! is refused for it.

mod media;
mod members;
#[cfg(test)]
mod tests;

use crate::author::{Author, Origin};
use crate::json::Slot;
use crate::redact::Direction;
pub(crate) use media::{JSON, of_data_url};
use members::Members;
use sluice_core::ToolCall;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What of an origin a redactor is told, as a record has it. Records from before there was anything have 0, and are
/// scanned again without.
pub const TOLD: u64 = 1;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    /// Chat completions; Anthropic.
    Messages,
    /// Responses.
    Input,
    /// Gemini.
    Contents,
    /// What responses answer.
    Output,
    /// What all others answer.
    Answer,
}

const REQUEST_LISTS: [(&str, List); 3] =
    [("/messages/", List::Messages), ("/input/", List::Input), ("/contents/", List::Contents)];

/// What a model said, in each element of a list of answers.
const SAID: [(&str, &[&str]); 2] =
    [("/choices/", &["/message", "/delta", "/text", "/logprobs"]), ("/candidates/", &["/content"])];

/// What stands above a conversation and tells the model what it is.
const SYSTEM: [&str; 4] = ["/system", "/instructions", "/systemInstruction", "/system_instruction"];

/// Where a call has its arguments.
const ARGUMENTS: [&str; 7] = [
    "/function/arguments",
    "/input",
    "/arguments",
    "/custom/input",
    "/function_call/arguments",
    "/functionCall/args",
    "/function_call/args",
];

/// Where a call of the responses API that the server itself carried out has what came of it.
const OUTCOMES: [&str; 4] = ["/output", "/outputs", "/result", "/results"];

/// What a message, or a unit of one, is.
#[derive(Clone)]
enum Part {
    /// Somebody's words, or a call: then its arguments are for the tool.
    Said { author: Author, tool: Option<Arc<str>> },
    /// A call with its outcome.
    Item { tool: Option<Arc<str>> },
    /// A tool's result.
    Result { tool: Option<Arc<str>> },
}

/// The origin of each of `slots`, which are the strings of the body `raw`.
pub(crate) fn of(direction: Direction, raw: &str, slots: &[Slot]) -> Vec<Origin> {
    let origins = vec![Origin::default(); slots.len()];
    let mut walk = Walk { raw, slots, origins, calls: BTreeMap::new() };
    let mut at = 0;
    while let Some(slot) = slots.get(at) {
        let Some((list, length)) = message_of(direction, &slot.path) else {
            if direction == Direction::Request && SYSTEM.iter().any(|system| is_under(&slot.path, system)) {
                walk.origins[at].author = Author::System;
            }
            at += 1;
            continue;
        };
        let message = &slot.path[..length];
        // Anthropic's answer is a message without a pointer of its own.
        let is_of_it = |other: &&Slot| match length {
            0 => message_of(direction, &other.path) == Some((list, length)),
            _ => is_under(&other.path, message),
        };
        let end = at + 1 + slots[at + 1..].iter().take_while(is_of_it).count();
        walk.message(list, length, at..end);
        at = end;
    }
    walk.origins
}

/// Who wrote the text of an answer that stands at `path` in the whole of it, and comes by itself.
pub(crate) fn author_of_answer(path: &str) -> Author {
    match message_of(Direction::Response, path) {
        Some(_) => Author::Assistant,
        None => Author::Unknown,
    }
}

/// The message that a pointer leads into: its list, and the length of its own pointer.
fn message_of(direction: Direction, path: &str) -> Option<(List, usize)> {
    match direction {
        Direction::Request => {
            REQUEST_LISTS.iter().find_map(|(at, list)| Some((*list, element_of(path, at)?)))
        }
        Direction::Response if is_under(path, "/content") => Some((List::Answer, 0)),
        Direction::Response => {
            let output = || Some((List::Output, element_of(path, "/output/")?));
            said_in(path).map(|length| (List::Answer, length)).or_else(output)
        }
        // Labels, a probe's exchange, a failing server's words: nobody's message.
        Direction::Record => None,
    }
}

fn said_in(path: &str) -> Option<usize> {
    SAID.iter().find_map(|(list, keys)| {
        let length = element_of(path, list)?;
        let key = keys.iter().find(|key| is_under(&path[length..], key))?;
        Some(length + key.len())
    })
}

/// The length of the pointer of an element, where `path` leads into one of this list.
fn element_of(path: &str, list: &str) -> Option<usize> {
    let rest = path.strip_prefix(list)?.as_bytes();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0 && rest.get(digits) == Some(&b'/')).then_some(list.len() + digits)
}

/// The length of the pointer of a message's unit, where `path` leads into one: an element of a list that may hold
/// calls and results. Asked of every string, so one byte decides which list it may be.
fn unit_of(path: &str, message: usize) -> Option<usize> {
    let rest = &path[message..];
    let list = match rest.as_bytes().get(1)? {
        b't' => "/tool_calls/",
        b'c' => "/content/",
        b'p' => "/parts/",
        _ => return None,
    };
    Some(message + element_of(rest, list)?)
}

fn is_argument(path: &str) -> bool {
    ARGUMENTS.iter().any(|arguments| is_under(path, arguments))
}

/// Whether a pointer leads into, or to, the value at another.
pub(crate) fn is_under(path: &str, at: &str) -> bool {
    path.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A name as it is told. What no tool can be called is no name; cut, it might be another tool's.
fn named(name: Option<Cow<'_, str>>) -> Option<Arc<str>> {
    name.filter(|name| ToolCall::is_name(name)).map(|name| name.as_ref().into())
}

/// A call that may be answered later in the body.
struct Call {
    tool: Option<Arc<str>>,
    /// The first string of the message that it stands in.
    message: usize,
}

struct Walk<'a> {
    raw: &'a str,
    slots: &'a [Slot],
    origins: Vec<Origin>,
    /// By id. Servers count calls anew in each answer, so the last one before a result is the one that it is of.
    calls: BTreeMap<Cow<'a, str>, Call>,
}

impl<'a> Walk<'a> {
    fn message(&mut self, list: List, length: usize, at: Range<usize>) {
        let slots = self.slots;
        let members = Members::of(self.raw, &slots[at.clone()], length);
        let whole = self.part_of_message(list, &members, at.start);
        let mut from = at.start;
        while from < at.end {
            let path = &slots[from].path;
            let unit = unit_of(path, length);
            let pointer = &path[..unit.unwrap_or(length)];
            let is_of_it =
                |other: &&Slot| unit_of(&other.path, length) == unit && other.path.starts_with(pointer);
            let end = from + 1 + slots[from + 1..at.end].iter().take_while(is_of_it).count();
            let part = match (&whole, unit) {
                (Part::Said { author, .. }, Some(unit)) => {
                    let members = Members::of(self.raw, &slots[from..end], unit);
                    self.part_of_unit(*author, &members, at.start)
                }
                (Part::Item { .. }, Some(_)) => Part::Said { author: Author::Assistant, tool: None },
                // A tool's words are its own to the last part.
                (whole, _) => whole.clone(),
            };
            self.tell(from..end, pointer.len(), &part);
            from = end;
        }
    }

    fn part_of_message(&mut self, list: List, members: &Members<'a>, message: usize) -> Part {
        let raw = self.raw;
        let role = members.role.get(raw);
        let role = role.as_deref();
        let said = |author| Part::Said { author, tool: named(members.called.get(raw)) };
        match list {
            List::Messages => match role {
                Some("tool") => Part::Result { tool: self.answered(members) },
                Some("function") => Part::Result { tool: named(members.name.get(raw)) },
                role => said(Author::of_role(role)),
            },
            List::Contents => said(Author::of_contents_role(role)),
            List::Answer => said(Author::Assistant),
            List::Input | List::Output => self.part_of_item(list, members, message),
        }
    }

    /// Responses: what an item is shows by its type, and a message's author by its role.
    fn part_of_item(&mut self, list: List, members: &Members<'a>, message: usize) -> Part {
        let said = |author| Part::Said { author, tool: None };
        let unknown = if list == List::Output { Author::Assistant } else { Author::Unknown };
        let raw = self.raw;
        match members.kind.get(raw).as_deref() {
            Some(kind) if kind.ends_with("_output") => Part::Result { tool: self.answered(members) },
            Some(kind) if kind.ends_with("_call") => {
                let tool = named(members.name.get(raw));
                self.called(members, tool.as_ref(), message);
                Part::Item { tool }
            }
            Some("reasoning") => said(Author::Assistant),
            kind if list == List::Input && (kind == Some("message") || members.kind.is_missing()) => {
                said(Author::of_role(members.role.get(raw).as_deref()))
            }
            _ => said(unknown),
        }
    }

    fn part_of_unit(&mut self, author: Author, members: &Members<'a>, message: usize) -> Part {
        let raw = self.raw;
        let kind = members.kind.get(raw).unwrap_or_default();
        if kind.ends_with("tool_result") {
            return Part::Result { tool: self.answered(members) };
        }
        if members.is_answer {
            return Part::Result { tool: named(members.answered.get(raw)) };
        }
        let uses_tool = kind.ends_with("tool_use");
        let tool = named(if uses_tool { members.name } else { members.called }.get(raw));
        if uses_tool || !members.called.is_missing() {
            self.called(members, tool.as_ref(), message);
        }
        Part::Said { author, tool }
    }

    /// Keeps a call for its result. Two of one message under one id are none.
    fn called(&mut self, members: &Members<'a>, tool: Option<&Arc<str>>, message: usize) {
        for id in members.ids.iter().filter_map(|id| id.get(self.raw)) {
            let same_message = |call: &&Call| call.message == message && call.tool.as_ref() != tool;
            let is_doubtful = self.calls.get(&id).filter(same_message).is_some();
            let tool = tool.filter(|_| !is_doubtful).cloned();
            self.calls.insert(id, Call { tool, message });
        }
    }

    /// The tool of the call that a result names.
    fn answered(&self, members: &Members<'_>) -> Option<Arc<str>> {
        self.calls.get(members.names_call(self.raw)?.as_ref())?.tool.clone()
    }

    /// Says it of these slots, all of them under a pointer of this length.
    fn tell(&mut self, at: Range<usize>, pointer: usize, part: &Part) {
        for (slot, origin) in self.slots[at.clone()].iter().zip(&mut self.origins[at.clone()]) {
            let path = &slot.path[pointer..];
            let for_tool = |tool: &Option<Arc<str>>| tool.clone().filter(|_| is_argument(path));
            (origin.author, origin.tool) = match part {
                Part::Said { author, tool } => (*author, for_tool(tool)),
                Part::Item { tool } if OUTCOMES.iter().any(|outcome| is_under(path, outcome)) => {
                    (Author::Tool, tool.clone())
                }
                Part::Item { tool } => (Author::Assistant, for_tool(tool)),
                Part::Result { tool } => (Author::Tool, tool.clone()),
            };
        }
        media::state(self.raw, &self.slots[at.clone()], pointer, &mut self.origins[at]);
    }
}
