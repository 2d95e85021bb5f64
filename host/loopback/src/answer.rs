//! What is said. A pure function of what was asked.

use crate::rules::Behaviour;
use crate::schema;
use crate::wire::pieces;
use serde_json::Value;
use sluice_core::{Digest, Stage};

/// Begins every text that no rule or schema shaped.
pub(crate) const MARK: &str = "[loopback] ";

/// Most characters quoted of the prompt.
const QUOTE_CHARS_MAX: usize = 120;

/// Bytes that count as one token, here and in what the host estimates.
const TOKEN_BYTES: usize = 4;

/// Bytes of one piece of a stream: small, so that a secret of ordinary length is cut.
const PIECE_BYTES: usize = 12;

/// Bytes of one piece of a tool's arguments: less than an escape and a character take together.
const ARGUMENTS_PIECE_BYTES: usize = 7;

/// A request in either face.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) model: String,
    /// (role, text), oldest first; system texts included.
    pub(crate) messages: Vec<(String, String)>,
    pub(crate) stream: bool,
    /// OpenAI's `stream_options.include_usage`.
    pub(crate) include_usage: bool,
    pub(crate) tokens_max: Option<u64>,
    pub(crate) schema: Option<Value>,
    /// Names of the tools that may be called.
    pub(crate) tools: Vec<String>,
    /// Name and parameters of a tool that must be called.
    pub(crate) tool: Option<(String, Value)>,
}

/// An answer in neither face yet.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// Tools that are called: name and arguments.
    pub(crate) calls: Vec<(String, String)>,
    /// The cap on tokens cut the text.
    pub(crate) cut: bool,
    pub(crate) input_tokens: usize,
    pub(crate) output_tokens: usize,
    /// Stands in ids, so that the same request has the same id.
    pub(crate) id: String,
}

impl Said {
    pub(crate) fn pieces(&self) -> Vec<&str> {
        pieces(&self.text, PIECE_BYTES)
    }

    /// The id of a call, without what the dialect puts before it.
    pub(crate) fn call_id(&self, at: usize) -> String {
        if at == 0 { self.id.clone() } else { format!("{}_{at}", self.id) }
    }
}

/// Arguments of a call, cut as a stream cuts them.
pub(crate) fn arguments_pieces(arguments: &str) -> Vec<&str> {
    pieces(arguments, ARGUMENTS_PIECE_BYTES)
}

fn tokens(bytes: usize) -> usize {
    bytes.div_ceil(TOKEN_BYTES)
}

impl Asked {
    pub(crate) fn input_tokens(&self) -> usize {
        tokens(self.messages.iter().map(|(_, text)| text.len()).sum())
    }

    fn prompt(&self) -> String {
        let texts: Vec<&str> = self.messages.iter().map(|(_, text)| text.as_str()).collect();
        texts.join("\n\n")
    }

    /// Answers. An error is a request that cannot be served, in words for its 400.
    pub(crate) fn answer(&self, behaviour: &Behaviour) -> Result<Said, String> {
        let prompt = self.prompt();
        let id = Digest::of(prompt.as_bytes()).short();
        let mut calls = Vec::new();
        let in_words = self.schema.is_none().then(|| self.schema_in_words()).flatten();
        let mut text = match (behaviour, &self.tool, self.schema.as_ref().or(in_words.as_ref())) {
            (Behaviour::Echo, _, _) => prompt,
            (Behaviour::Leak(text), _, _) => text.clone(),
            (Behaviour::Flood(bytes), _, _) => MARK.repeat(bytes / MARK.len() + 1),
            (Behaviour::Call(told), _, _) if !self.tools.is_empty() => {
                calls.clone_from(told);
                self.markdown(&id, prompt.len())
            }
            (_, Some((name, parameters)), _) => {
                calls.push((name.clone(), schema::example(parameters)?.to_string()));
                String::new()
            }
            (_, None, Some(schema)) => schema::example(schema)?.to_string(),
            (_, None, None) => {
                calls = self.calls_in_words();
                self.markdown(&id, prompt.len())
            }
        };
        let room = self.tokens_max.map_or(usize::MAX, |tokens| {
            usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(TOKEN_BYTES)
        });
        // A server that leaks or floods keeps to no limit.
        let unbound = matches!(behaviour, Behaviour::Leak(_) | Behaviour::Flood(_));
        let room = if unbound { usize::MAX } else { room };
        let cut = text.len() > room;
        text.truncate(text.floor_char_boundary(room));
        let called: usize = calls.iter().map(|(_, arguments)| arguments.len()).sum();
        Ok(Said {
            output_tokens: tokens(text.len() + called),
            text,
            calls,
            cut,
            input_tokens: self.input_tokens(),
            id,
        })
    }

    fn markdown(&self, id: &str, bytes: usize) -> String {
        let stage = self.stage();
        let (title, points) = outline(stage);
        let quote = self.quote();
        let mut text =
            format!("{MARK}{title}\n\nNo model was asked; this text is made from the prompt alone.\n\n");
        if !quote.is_empty() {
            text.push_str(&format!("> {quote}\n\n"));
        }
        for (index, point) in points.iter().enumerate() {
            text.push_str(&format!("{}. {point}\n", index + 1));
        }
        text.push_str(&format!("\nPrompt: {} messages, {bytes} bytes, digest {id}.\n", self.messages.len()));
        text
    }

    /// A schema that the user's last message asks for in words, in a block of its own: what models that cannot be
    /// bound to one are told.
    fn schema_in_words(&self) -> Option<Value> {
        let (_, text) = self.messages.iter().rev().find(|(role, _)| role == "user")?;
        let (_, block) = text.split_once("\n```json-schema\n")?;
        let (schema, _) = block.split_once("\n```")?;
        serde_json::from_str(schema).ok().filter(Value::is_object)
    }

    /// Calls that the user's message asks for in words, each in a block of its own, of tools that the request offers.
    /// A conversation that has gone on to a tool's result is answered like any other.
    fn calls_in_words(&self) -> Vec<(String, String)> {
        let Some((_, text)) = self.messages.last().filter(|(role, _)| role == "user") else {
            return Vec::new();
        };
        let blocks = text.split("```tool-call\n").skip(1).filter_map(|block| block.split_once("\n```"));
        let call = |(block, _): (&str, &str)| {
            let call: Value = serde_json::from_str(block).ok()?;
            let name = call["name"].as_str().filter(|name| self.tools.iter().any(|tool| tool == name))?;
            Some((name.to_owned(), call.get("arguments")?.to_string()))
        };
        blocks.filter_map(call).collect()
    }

    /// The first line with text of the last message that the user wrote.
    fn quote(&self) -> String {
        let asked = self.messages.iter().rev().find(|(role, _)| role == "user");
        let line = asked.and_then(|(_, text)| text.lines().map(str::trim).find(|line| !line.is_empty()));
        line.unwrap_or_default().chars().take(QUOTE_CHARS_MAX).collect()
    }

    /// The first word that names a stage: in what the system says, else in what the user says.
    fn stage(&self) -> Option<Stage> {
        let (system, rest): (Vec<_>, Vec<_>) =
            self.messages.iter().partition(|(role, _)| matches!(role.as_str(), "system" | "developer"));
        let word = |(_, text): &&(String, String)| {
            text.split(|c: char| !c.is_ascii_alphanumeric())
                .find_map(|word| word.to_ascii_lowercase().parse::<Stage>().ok())
        };
        system.iter().find_map(word).or_else(|| rest.iter().find_map(word))
    }
}

fn outline(stage: Option<Stage>) -> (&'static str, [&'static str; 3]) {
    match stage {
        Some(Stage::Plan) => (
            "Plan",
            [
                "Read what is asked.",
                "Cut it into steps that can be checked.",
                "Name what would prove it done.",
            ],
        ),
        Some(Stage::Tasks) => (
            "Tasks",
            ["Write the failing test.", "Make the smallest change that passes.", "Run the whole suite."],
        ),
        Some(Stage::Implement) => (
            "Change",
            ["Add the function that is asked for.", "Call it where it is needed.", "Cover it with a test."],
        ),
        Some(Stage::Validate) => (
            "Validation",
            ["Each step of the plan has its change.", "Each change has its test.", "Nothing else changed."],
        ),
        Some(Stage::Audit) => (
            "Audit",
            ["The rules were read.", "No rule is seen to be broken.", "A stand-in cannot vouch for that."],
        ),
        Some(Stage::Unlock) => (
            "Verdict",
            ["The record is whole.", "The audit is in it.", "A stand-in may not unlock: ask a model."],
        ),
        None => ("Answer", ["The prompt was read.", "Nothing was understood.", "Ask a model for more."]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(messages: &[(&str, &str)]) -> Asked {
        let messages = messages.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect();
        Asked { messages, ..Asked::default() }
    }

    #[test]
    fn the_same_prompt_the_same_answer_and_another_another() {
        let one = asked(&[("system", "Stage: validate the plan"), ("user", "\n  first line\nsecond")]);
        let text = one.answer(&Behaviour::Ok).unwrap().text;
        assert!(text.starts_with("[loopback] Validation\n"), "{text}");
        assert!(text.contains("> first line\n") && !text.contains("second"), "{text}");
        assert_eq!(one.answer(&Behaviour::Ok).unwrap().text, text);
        let other = asked(&[("system", "Stage: validate the plan"), ("user", "\n  first line\nthird")]);
        assert_ne!(other.answer(&Behaviour::Ok).unwrap().text, text);
    }

    #[test]
    fn a_schema_in_words_is_followed() {
        let prompt = "Decide.\n\n```json-schema\n{\"enum\":[\"unlock\",\"refuse\"]}\n```\n\nMore.";
        assert_eq!(asked(&[("user", prompt)]).answer(&Behaviour::Ok).unwrap().text, "\"unlock\"");
        let broken = prompt.replace('}', "");
        assert!(asked(&[("user", &broken)]).answer(&Behaviour::Ok).unwrap().text.starts_with(MARK));
    }

    #[test]
    fn calls_in_words_are_made_where_the_tool_is_offered() {
        let prompt = "Do it.\n```tool-call\n{\"name\":\"read\",\"arguments\":{\"b\":1.50,\"a\":\"x\"}}\n```\n\
                      ```tool-call\n{\"name\":\"drop\",\"arguments\":{}}\n```\n```tool-call\n{\"name\"\n```";
        let with = |messages: &[(&str, &str)], tools: &[&str]| {
            let tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
            Asked { tools, ..asked(messages) }.answer(&Behaviour::Ok).unwrap().calls
        };
        let read = ("read".to_owned(), r#"{"b":1.50,"a":"x"}"#.to_owned());
        assert_eq!(with(&[("user", prompt)], &["read"]), [read]);
        assert_eq!(with(&[("user", prompt)], &["drop", "read"]).len(), 2);
        assert!(with(&[("user", prompt)], &[]).is_empty());
        assert!(with(&[("user", prompt), ("tool", "done")], &["read"]).is_empty());
    }

    #[test]
    fn the_cap_on_tokens_holds_between_characters() {
        let mut asked = asked(&[("user", "\u{20ac}\u{20ac}\u{20ac}")]);
        asked.tokens_max = Some(2);
        let said = asked.answer(&Behaviour::Echo).unwrap();
        assert_eq!((said.text.as_str(), said.cut, said.output_tokens), ("\u{20ac}\u{20ac}", true, 2));
        assert_eq!(said.input_tokens, 3);
    }
}
