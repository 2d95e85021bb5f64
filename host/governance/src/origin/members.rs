//! What an object says of itself that decides whose words it holds.

use crate::calls::{ANSWER_KEYS, ID_KEYS};
use crate::json::Slot;
use std::borrow::Cow;

/// Objects in a call in which its tool is named.
const CALLED: [&str; 4] = ["/function", "/function_call", "/functionCall", "/custom"];

/// Objects in a result in which its tool is named (Gemini).
const ANSWERED: [&str; 2] = ["/functionResponse", "/function_response"];

/// Keys of results that come without a type (Gemini).
const ANSWERS: [&str; 4] =
    ["functionResponse", "function_response", "codeExecutionResult", "code_execution_result"];

/// The string under a key that stands there once: of two, readers differ about which one counts. It is read when it is
/// asked for, which of most it is not.
#[derive(Default, Clone, Copy)]
pub(super) struct Once<'a> {
    seen: bool,
    value: Option<&'a Slot>,
}

impl<'a> Once<'a> {
    fn see(&mut self, value: Option<&'a Slot>) {
        self.value = value.filter(|_| !self.seen);
        self.seen = true;
    }

    /// `raw` is the body.
    pub(super) fn get<'r>(&self, raw: &'r str) -> Option<Cow<'r, str>> {
        self.value.map(|slot| slot.text(raw))
    }

    /// Whether the key does not stand there; one whose value is no string does.
    pub(super) fn is_missing(&self) -> bool {
        !self.seen
    }
}

#[derive(Default)]
pub(super) struct Members<'a> {
    pub role: Once<'a>,
    pub kind: Once<'a>,
    pub name: Once<'a>,
    /// The tool's name in an object of its own.
    pub called: Once<'a>,
    /// The same in a result.
    pub answered: Once<'a>,
    /// It is a result, of whatever.
    pub is_answer: bool,
    /// Under `ID_KEYS`.
    pub ids: [Once<'a>; ID_KEYS.len()],
    /// Under `ANSWER_KEYS`.
    links: [Once<'a>; ANSWER_KEYS.len()],
}

impl<'a> Members<'a> {
    /// Of the object whose pointer has this length, out of slots that all stand under it.
    pub(super) fn of(raw: &str, slots: &'a [Slot], pointer: usize) -> Members<'a> {
        let mut members = Members::default();
        for (at, slot) in slots.iter().enumerate() {
            let Some(object) = object_of_key(slot, pointer) else { continue };
            let key = slot.text(raw);
            // A value that is a string is the very next one.
            let is_its = |value: &&Slot| {
                value.key.is_some()
                    && value.path.len() == pointer + object.len() + 1 + key.len()
                    && value.path.ends_with(key.as_ref())
            };
            let value = slots.get(at + 1).filter(is_its);
            members.see(object, &key, value);
        }
        members
    }

    fn see(&mut self, object: &str, key: &str, value: Option<&'a Slot>) {
        let into = match key {
            "name" if CALLED.contains(&object) => &mut self.called,
            "name" if ANSWERED.contains(&object) => &mut self.answered,
            _ if !object.is_empty() => return,
            "role" => &mut self.role,
            "type" => &mut self.kind,
            "name" => &mut self.name,
            key => return self.see_id(key, value),
        };
        into.see(value);
    }

    fn see_id(&mut self, key: &str, value: Option<&'a Slot>) {
        let id = ID_KEYS.iter().position(|id| *id == key);
        let link = ANSWER_KEYS.iter().position(|(link, _)| *link == key);
        self.is_answer |= ANSWERS.contains(&key);
        if id.is_none() && link.is_none() {
            return;
        }
        // Two quotes hold no id.
        let value = value.filter(|value| value.at.len() > 2);
        if let Some(at) = id {
            self.ids[at].see(value);
        }
        if let Some(at) = link {
            self.links[at].see(value);
        }
    }

    /// The id of the call that this is the result of.
    pub(super) fn names_call<'r>(&self, raw: &'r str) -> Option<Cow<'r, str>> {
        let mut links = self.links.iter().filter(|link| !link.is_missing());
        let link = links.next()?;
        link.get(raw).filter(|_| links.next().is_none())
    }
}

/// Where the object stands, from the pointer on, whose key the slot is; `None` for values, and for keys of objects
/// that say nothing here.
fn object_of_key(slot: &Slot, pointer: usize) -> Option<&str> {
    if slot.key.is_some() {
        return None;
    }
    let path = &slot.path[pointer..];
    let is_number = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    let own = |object: &str| {
        path.strip_prefix(object)?.strip_prefix("/#key/").filter(|rest| is_number(rest))?;
        Some(&path[..object.len()])
    };
    own("").or_else(|| CALLED.iter().chain(&ANSWERED).find_map(|object| own(object)))
}
