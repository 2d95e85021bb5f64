//! How a body says that a tool's call and its result belong together, in every shape that the dialects have (OpenAI
//! chat and responses, Anthropic messages): the call has an id, and the result names it.

/// Keys under which a call has its id.
pub(crate) const ID_KEYS: [&str; 2] = ["id", "call_id"];

/// Keys under which a result names its call, each with the key of what the tool said.
pub(crate) const ANSWER_KEYS: [(&str, &str); 3] =
    [("tool_call_id", "content"), ("tool_use_id", "content"), ("call_id", "output")];

/// The object whose id, as a call, stands at a pointer.
pub(crate) fn owner_of_id(path: &str) -> Option<&str> {
    let (owner, key) = path.rsplit_once('/')?;
    ID_KEYS.contains(&key).then_some(owner)
}

/// The key of what the tool said, beside a key under which the call is named.
pub(crate) fn answer_beside(key: &str) -> Option<&'static str> {
    ANSWER_KEYS.iter().find(|(names_call, _)| *names_call == key).map(|(_, answer)| *answer)
}
