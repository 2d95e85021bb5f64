//! A keyword in passing: most stand in source code and sentences with no value behind them. They are told by a table and
//! few bytes, in little code, before the grammar of names, operators and values is asked: where that is seldom asked, the
//! code of it is not at hand, and fetching it is most of what it costs.

use crate::assign::{GAP_BYTES_MAX, GAP_SIGNS, Name, PROSE_BYTES_MIN, PROSE_SIGNS};
use crate::operator::{SIGNS, TYPE_WORDS};
use crate::rules::Builtin;
use crate::text::Text;
use crate::value::VALUE_BYTES_MIN;

/// What the bytes behind a name are told by. Longer things are left to the grammar.
const SIGHT: usize = 64;

/// Letters.
const LETTER: u8 = 1;
/// Goes on between a name and its value, or begins something that may.
const BINDS: u8 = 2;
/// A sign of an operator.
const SIGN: u8 = 4;
/// A part of a word that may be a token in a sentence.
const WORD: u8 = 8;
/// A part of a type annotation.
const TYPE: u8 = 16;
/// Passed over before a value.
const GAP: u8 = 32;
/// Ends a bare value.
const STOP: u8 = 64;
/// Makes of a bare value something else: a literal, a call, an escape.
const ODD: u8 = 128;

static KINDS: [u8; 256] = {
    const SETS: [(&[u8], u8); 7] = [
        (b" \t\"'`]\\[&*=|{><\n\r(%@", BINDS),
        (SIGNS, SIGN),
        (PROSE_SIGNS, WORD),
        (b" &<>?_.'", TYPE),
        (GAP_SIGNS, GAP),
        (b" \t\n\r\x0c,;)<>", STOP),
        (b"\"'`\\&", ODD),
    ];
    let mut table = [0; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphabetic() {
            table[byte] |= LETTER | WORD | TYPE;
        }
        if b.is_ascii_digit() {
            table[byte] |= WORD;
        }
        byte += 1;
    }
    let mut set = 0;
    while set < SETS.len() {
        let (bytes, kind) = SETS[set];
        let mut at = 0;
        while at < bytes.len() {
            table[bytes[at] as usize] |= kind;
            at += 1;
        }
        set += 1;
    }
    table
};

fn is(byte: u8, kind: u8) -> bool {
    KINDS[usize::from(byte)] & kind != 0
}

/// Whether the name has surely no value. Where it says no, the grammar decides.
#[inline(never)]
pub(crate) fn is_in_passing(text: &Text<'_>, name: &Name<'_>, kind: Builtin) -> bool {
    let Some(rest) = text.bytes.get(name.end..).and_then(|rest| rest.first_chunk::<SIGHT>()) else {
        return false;
    };
    // What stands before an option, an element or a shell's variable changes what may come after it.
    let before = name.start.checked_sub(1).map_or(b' ', |at| text.bytes[at]);
    if b"<{:".contains(&before) || text.bytes[name.start] == b'-' {
        return false;
    }
    match rest[0] {
        b' ' if is(rest[1], SIGN) => {
            let signs = rest[1..].iter().take(SIGNS_MAX).take_while(|byte| is(**byte, SIGN)).count();
            rest[signs] == b'=' && rest[signs + 1] == b' ' && is_short(&rest[signs + 1..])
        }
        b' ' => kind != Builtin::Password && is_a_sentence(&rest[1..], name),
        b',' | b'(' => is_short(&rest[1..]),
        b':' => rest[1] == b' ' && !is_annotated(&rest[1..]) && is_short_value(&rest[1..]),
        b'"' => rest[1] == b':' && !is(rest[2], SIGN) && is_short_value(&rest[2..]),
        b'.' | b'?' | b'+' | b'~' | b'!' | b'-' => !is(rest[1], SIGN),
        other => !is(other, BINDS),
    }
}

/// `the key above`, where the next word is too short for a token and says nothing of a value.
fn is_a_sentence(rest: &[u8], name: &Name<'_>) -> bool {
    let word = rest.iter().take_while(|byte| is(**byte, WORD)).count();
    !is(rest[0], BINDS) && !is_a_type(rest) && (word < PROSE_BYTES_MIN || name.has_tail())
}

/// Whether a value may stand behind the word that begins here.
fn is_a_type(rest: &[u8]) -> bool {
    let letters = rest.iter().take_while(|byte| is(**byte, LETTER)).count();
    let word = &rest[..letters];
    // `android:value`
    TYPE_WORDS.contains(&word) || word == b"android"
}

/// A short word behind a colon. `: |` and `: >` have their value on the next line, and so may a line's end.
fn is_short_value(rest: &[u8]) -> bool {
    let next = if rest[0] == b' ' { rest[1] } else { rest[0] };
    !b"|>*\r\n".contains(&next) && is_short(rest)
}

/// Longer than `!==`.
const SIGNS_MAX: usize = 4;

/// Whether a value may stand behind a type: `: String = `.
fn is_annotated(rest: &[u8]) -> bool {
    rest.iter().take(40).find(|byte| !is(**byte, TYPE)).is_none_or(|byte| *byte == b'=')
}

/// Whether a bare word begins here that is too short for a value.
fn is_short(rest: &[u8]) -> bool {
    let gap = rest.iter().take(GAP_BYTES_MAX).take_while(|byte| is(**byte, GAP)).count();
    let rest = &rest[gap..];
    let word = rest.iter().take(VALUE_BYTES_MIN).take_while(|byte| !is(**byte, STOP | ODD)).count();
    let end = rest.get(word).copied().unwrap_or_default();
    // `<value>` may begin one.
    let tag = word == 0 && end == b'<';
    gap < GAP_BYTES_MAX && word < VALUE_BYTES_MIN && is(end, STOP) && !tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::{Outcome, asked, name};
    use proptest::prelude::*;
    use proptest::sample::select;

    const KINDS: [Builtin; 5] =
        [Builtin::Password, Builtin::Secret, Builtin::Key, Builtin::Token, Builtin::Id];

    /// Whether the keyword is in passing, and whether the grammar finds a value.
    fn both(before: &str, keyword: &str, after: &str, kind: Builtin) -> (bool, bool) {
        let whole = format!("{before}{keyword}{after}{}", "; ".repeat(SIGHT / 2));
        let text = Text::new(whole.as_bytes(), true);
        let name = name(&text, before.len(), before.len() + keyword.len());
        let passing = is_in_passing(&text, &name, kind);
        (passing, !matches!(asked(&text, &name, kind).0, Outcome::Nothing))
    }

    #[test]
    fn most_of_source_code_and_sentences_is_in_passing() {
        for (before, after) in [
            (" ", " above the value"),
            ("the ", " was lost"),
            ("self.", ", at: start"),
            ("(", ": Option<Str"),
            (" ", ": usize, value: String"),
            (" ", ".clone()"),
            ("&", "().derive(&for"),
            ("mon", ")"),
            ("{\"max_", "\":4096,"),
            ("*", " += 1;"),
            ("if ", " == text;"),
            (" ", " }) = self"),
            ("é", "é"),
        ] {
            assert_eq!(both(before, "key", after, Builtin::Key), (true, false), "{before}key{after}");
        }
    }

    #[test]
    fn what_may_have_a_value_is_left_to_the_grammar() {
        for (before, after) in [
            ("api_", "=9aKd02mXz81Lq"),
            ("api_", ": 9aKd02mXz81Lq"),
            ("api_", ": |\n  9aKd02mXz81Lq"),
            ("api_", ": String = \"9aKd02mXz81Lq\""),
            ("api_", " string = \"9aKd02mXz81Lq\""),
            ("\"api_", "\": \"9aKd02mXz81Lq\""),
            ("\"api_", "\":\n\"value\": \"9aKd02mXz81Lq\""),
            ("api_", "=<value>9aKd02mXz81Lq"),
            ("${API_", ":-9aKd02mXz81Lq}"),
            ("--api-", " 9aKd02mXz81Lq"),
            ("<api_", ">9aKd02mXz81Lq<"),
            ("the api ", " 9aKd02mXz81L"),
            ("\"api_", "\":** 9aKd02mXz81Lq"),
            ("\"api_", "\":->9aKd02mXz81Lq"),
            ("api_", " : |\n  9aKd02mXz81Lq"),
            ("api_", " ====>9aKd02mXz81Lq"),
            ("<ns:api_", " a=\"b\">9aKd02mXz81Lq<"),
            ("<api_", " a=\"b\">9aKd02mXz81Lq<"),
        ] {
            assert_eq!(both(before, "key", after, Builtin::Key), (false, true), "{before}key{after}");
        }
        assert_eq!(both("the ", "password", " 9aKd#mXz81Lq", Builtin::Password), (false, true));
        // Nothing is said where less than all of it is there.
        let text = Text::new(b"the key, x", false);
        assert!(!is_in_passing(&text, &name(&text, 4, 7), Builtin::Key));
    }

    /// What stands before a name, and what between it and its value: all that the grammar knows, and some that it does not.
    const BEFORE: &[&str] = &[
        "", " ", "\n", "-", "--", "<", "<ns:", "${", "?", "&", ";", "{", "$", "\\n", "%22", "my_", "x.",
        "::", "(", "\"", "é",
    ];
    const AFTER: &[&str] = &[
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\"",
        "'",
        "`",
        "\\\"",
        "]",
        "[",
        "[255]",
        "&quot;",
        "*",
        "**",
        "=",
        " = ",
        ":",
        ": ",
        ":= ",
        " == ",
        " += ",
        "=> ",
        " -> ",
        "?",
        ".",
        "|",
        " || ",
        "|\n",
        ">\n  ",
        "+",
        "~",
        "!",
        "-",
        ":-",
        ")",
        " or ",
        "{",
        "}",
        "@\"",
        ",",
        ";",
        "<",
        ">",
        "</x> <string>",
        "<value>",
        "%3d",
        "(",
        "(\"",
        "#",
        "/",
        "_id",
        "Name",
        "s",
        "string",
        " string ",
        "String",
        "str",
        "as",
        "is",
        "value",
        "value: ",
        "default",
        "android:",
        "a",
        "ab",
        "word",
        "none",
        "Some(",
        "b\"",
        "\\u0022",
        "bearer ",
        "Token ",
        "'static",
        "é",
        "1",
        "12",
        "4096",
        "9aKd",
        "hunter2x",
        "Xk9#mP2q",
        "9aKd02mXz81Lq",
        "aK3x9Qm2Wz7Lp5Rt8Vb1Nc4Yd6Hf0Js",
        "203944839201938475",
    ];

    /// Values that count: drawn, of the least length in a sentence, a password, none.
    const VALUES: [&str; 8] = [
        "9aKd02mXz81Lq\"",
        "9aKd02mXz81L",
        "Xk9#mP2q",
        "",
        // Signs end a bare word, and belong to one in quotes.
        "9aK;d02mXz81LqW3\"",
        "9aK;d02mXz81LqW3'",
        "9aK;d02mXz81LqW3`",
        "9aK;d02mXz81LqW3\\",
    ];

    #[test]
    fn what_is_in_passing_has_no_value() {
        for before in ["", "--", "<", "${", "x."] {
            for (first, second) in
                AFTER.iter().flat_map(|first| AFTER.iter().map(move |second| (first, second)))
            {
                for value in VALUES {
                    let after = [*first, *second, value].concat();
                    for (keyword, kind) in [("key", Builtin::Key), ("password", Builtin::Password)] {
                        assert_ne!(
                            both(before, keyword, &after, kind),
                            (true, true),
                            "{before}{keyword}{after}"
                        );
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn nor_has_it_where_more_stands_between(
            before in select(BEFORE),
            keyword in select(&["key", "KEY", "token", "secret", "password", "pass", "pw", "client_id"][..]),
            after in proptest::collection::vec(select(AFTER), 1..6),
        ) {
            for kind in KINDS {
                prop_assert_ne!(both(before, keyword, &after.concat(), kind), (true, true), "{:?}", kind);
            }
        }
    }
}
