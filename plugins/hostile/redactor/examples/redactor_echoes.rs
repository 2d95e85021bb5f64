//! Sound, and not what a redactor is for: of each word `echo` it says, as its rule's id, what it was told of whose
//! word that is. So a test reads in placeholders what a field held. `hush` it finds where a tool said it, and `stale`
//! where nobody did: one that is stricter with some than with others. `Sign in` it finds in answers.

use hostile_redactor::{Content, Field, FieldResult, Hostile, Rule, Span, rule};

const AUTHORS: [&str; 6] = ["", "system", "developer", "user", "assistant", "tool"];
const TOOLS: [&str; 3] = ["", "look", "publish"];
const MEDIA_TYPES: [&str; 4] = ["", "application/json", "image/png", "text/plain"];

/// Words that are found, each where one of these said it, and on its way in one of these directions.
const WORDS: [(&str, &[&str], &[&str]); 4] =
    [("echo", &[], &[]), ("hush", &["tool"], &[]), ("stale", &[""], &[]), ("Sign in", &[], &["response"])];

struct Guest;

/// What is not among the words it knows it calls `other`.
fn id(author: &str, tool: &str, media_type: &str) -> String {
    let known = |word: &str, words: &[&str], none: &str| match word {
        "" => none.to_owned(),
        word if words.contains(&word) => word.replace('/', "-"),
        _ => "other".to_owned(),
    };
    let (author, tool) = (known(author, &AUTHORS, "nobody"), known(tool, &TOOLS, "none"));
    format!("{author}-{tool}-{}", known(media_type, &MEDIA_TYPES, "any"))
}

fn result(field: &Field) -> FieldResult {
    let Content::Text(text) = &field.content else {
        return FieldResult { spans: Vec::new(), settled: 0, carry: Vec::new() };
    };
    // A word that may go on is open.
    let settled = match field.final_ {
        true => text.len(),
        false => text.rfind(' ').map_or(0, |space| space + 1),
    };
    let id = id(&field.author, field.tool_name.as_deref().unwrap_or_default(), &field.media_type);
    let span = |(start, word): (usize, &str)| Span {
        start: start as u32,
        end: (start + word.len()) as u32,
        rule: id.clone(),
        confidence_permille: 900,
    };
    let is_one_of = |what: &str, of: &[&str]| of.is_empty() || of.contains(&what);
    let is_found =
        |authors, directions| is_one_of(&field.author, authors) && is_one_of(&field.direction, directions);
    let words = WORDS.iter().filter(|(_, authors, directions)| is_found(authors, directions));
    let spans = words.flat_map(|(word, ..)| text[..settled].match_indices(word)).map(span).collect();
    FieldResult { spans, settled: settled as u32, carry: Vec::new() }
}

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        fields.iter().map(result).collect()
    }

    fn rules() -> Vec<Rule> {
        let mut ids = Vec::new();
        for author in AUTHORS.into_iter().chain(["other"]) {
            for tool in TOOLS.into_iter().chain(["other"]) {
                for media_type in MEDIA_TYPES.into_iter().chain(["other"]) {
                    ids.push(id(author, tool, media_type));
                }
            }
        }
        ids.into_iter().map(|id| Rule { id, ..rule() }).collect()
    }
}

hostile_redactor::export!(Guest);
