//! Every rule of the table finds its examples and leaves its counter-examples alone.

mod common;

use common::{expand, table};
use redactor_engine::{Switches, rules, scan_text};

fn found_by(text: &str, switches: &Switches) -> Vec<&'static str> {
    scan_text(text.as_bytes(), switches).iter().map(|found| rules()[usize::from(found.rule)].id).collect()
}

/// Only this rule runs, so that a surer one does not answer in its place.
fn only(id: &str) -> Switches {
    let disabled = rules().iter().map(|rule| rule.id != id && id != "encoded-secret").collect();
    Switches { strict: true, disabled, ..Switches::default() }
}

#[test]
fn every_example_is_found_and_no_counter_example() {
    let mut wrong = Vec::new();
    for row in table() {
        let switches = only(&row.id);
        for (seed, example) in row.examples.iter().enumerate() {
            let text = expand(example, seed as u64 + 1);
            if found_by(&text, &switches).is_empty() {
                wrong.push(format!("{}: not found: {text}", row.id));
            }
        }
        for (seed, counter) in row.counter.iter().enumerate() {
            let text = expand(counter, seed as u64 + 1);
            if found_by(&text, &switches).contains(&row.id.as_str()) {
                wrong.push(format!("{}: found: {text}", row.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_example_is_found_inside_json_escapes_and_urls() {
    let mut wrong = Vec::new();
    for row in
        table().iter().filter(|row| !row.pattern.is_empty() && row.near.is_empty() && row.names.is_empty())
    {
        let token = expand(&row.examples[0], 7);
        if token.contains(['"', '\'', ' ', '\\', '/']) {
            continue;
        }
        for text in [
            format!("{{\"content\":\"line\\n{token}\\nend\"}}"),
            format!("{{\\\"a\\\": \\\"{token}\\\"}}"),
            format!("before\\u0022{token}\\u0022"),
            format!("x={token}&y=1"),
            format!("say {token}, or not."),
            format!("('{token}')"),
        ] {
            if found_by(&text, &Switches::default()).is_empty() {
                wrong.push(format!("{}: {text}", row.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_token_begins_behind_each_letter_of_an_escape() {
    let token = expand("ghp_<A-Za-z0-9*36>", 3);
    for letter in "nrtbfv0".chars() {
        assert_eq!(found_by(&format!("line\\{letter}{token}"), &Switches::default()).len(), 1, "{letter}");
    }
}

/// Names, what stands behind them, and whether the value there counts: only what is drawn does where the name may mean
/// anything, or is compared.
const ASSIGNMENTS: &[(&str, &str, bool)] = &[
    ("DB_PASSWORD                    = \"", "blue-horse-17\"", true),
    ("passwords[] = \"", "blue-horse-17\"", true),
    ("{\"name\": \"DB_PASSWORD\", \"value\": \"", "blue-horse-17\"}", true),
    ("DB_PASSWORD,", "blue-horse-17", false),
    ("api_key,", "<A-Za-z0-9*14>", true),
    ("DB_PASSWORD\t", "blue-horse-17", false),
    ("api_key\t", "<A-Za-z0-9*14>", true),
    ("password%3d", "correct-horse-battery", true),
    ("password=", "correct-horse-battery", false),
    ("?password=", "correct-horse-battery", true),
    (";password=", "correct-horse-battery", true),
    ("?password= ", "correct-horse-battery", false),
    ("if password == \"", "blue-horse-17\"", false),
    ("if password === \"", "blue-horse-17\"", false),
    ("if api_key === \"", "<A-Za-z0-9*24>\"", true),
    ("\"password\": blue = ", "horse-17-battery", false),
    ("the password is ", "blue-horse-17", true),
    // Too short by a byte, and long enough.
    ("DB_PASSWORD=", "horse-7", false),
    ("DB_PASSWORD=", "horse-17", true),
    ("api_key = \"", "xkqzvbnmwr7\"", false),
    ("api_key = \"", "xkqzvbnmwrt7\"", true),
    // An address of eight bytes, and what is longer than one.
    ("DB_PASSWORD=", "0x00007f00deadbeef", false),
    ("DB_PASSWORD=", "0x000000000deadbeef", true),
    // Digits among words, a stand-in's name by chance, a template with nothing in it.
    ("token: ", "blue1horse2red", true),
    ("api_key = \"", "Zk3p9todo!Qw1xL8m#N2vB7tR4\"", true),
    ("DB_PASSWORD=\"", "blue${}horse17\"", true),
    ("DB_PASSWORD=\"", "blue${X}horse17\"", false),
    ("deploy_key = \"", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI<A-Za-z0-9*43>\"", false),
    ("String password \"", "blue-horse-17\"", true),
    ("mysql --password ", "blue-horse-17", true),
];

#[test]
fn what_may_stand_between_a_name_and_its_value() {
    for (name, value, counts) in ASSIGNMENTS {
        let value = expand(value, 3);
        let text = format!("x {name}{value} x");
        let found = scan_text(text.as_bytes(), &Switches::default());
        let secret = value.trim_end_matches(['"', '}']);
        let wanted = if *counts { vec![secret] } else { vec![] };
        assert_eq!(found.iter().map(|f| &text[f.start..f.end]).collect::<Vec<_>>(), wanted, "{text}");
    }
}

#[test]
fn a_run_of_a_form_of_its_own_needs_no_name_before_it() {
    for (form, id) in [
        ("M<A-Za-z0-9*25>.<A-Za-z0-9*6>.<A-Za-z0-9*30>", "discord-bot-token"),
        ("<a-f0-9*32>.<A-Za-z0-9*16>", "zhipu-api-key"),
        ("o.<A-Za-z0-9*32>", "pushbullet-token"),
    ] {
        assert_eq!(found_by(&expand(form, 3), &Switches::default()), [id]);
    }
}

/// What an id is an id of stands in its own line.
#[test]
fn an_id_in_the_line_before_says_nothing() {
    let token = expand("<A-Za-z0-9*40>", 3);
    let found = |text: String| found_by(&text, &Switches::default());
    assert_eq!(found(format!("heroku ID\n{token} x")), ["service-token"]);
    assert_eq!(found(format!("heroku ID {token} x")), Vec::<&str>::new());
}

#[test]
fn placeholders_are_no_findings() {
    let switches = Switches { strict: true, ..Switches::default() };
    for rule in rules() {
        let placeholder = format!("[REDACTED:{}:0f9d8c7b6a5f4e3d]", rule.id);
        for text in [
            placeholder.clone(),
            format!("API_KEY={placeholder}"),
            format!("password: \"{placeholder}\""),
            format!("Authorization: Bearer {placeholder}"),
            format!("Cookie: sid={placeholder}; a={placeholder}"),
            format!("postgres://user:{placeholder}@host/db"),
            format!("the key {placeholder} is {placeholder}"),
            format!("{{\"token\":\"{placeholder}\"}}"),
        ] {
            assert_eq!(found_by(&text, &switches), Vec::<&str>::new(), "{text}");
        }
    }
}

#[test]
fn a_rule_that_is_switched_off_finds_nothing_and_an_extra_key_does() {
    let token = expand("ghp_<A-Za-z0-9*36>", 3);
    let mut switches = Switches { disabled: vec![true; rules().len()], ..Switches::default() };
    assert!(scan_text(token.as_bytes(), &switches).is_empty());
    switches = Switches { extra_keys: vec!["badge".to_owned()], ..Switches::default() };
    assert_eq!(found_by("Badge: \"blue-horse-17\"", &switches), ["assigned-secret"]);
    assert!(found_by("Badge: \"blue-horse-17\"", &Switches::default()).is_empty());
}

#[test]
fn ordinary_text_is_left_alone() {
    for text in [
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "\"integrity\": \"sha512-nwuLs15sKWIr6Iz3CJnSEWP5RGfTbLYZdcOlWjfH6rvjt9dsCg/oVc8JHFr4Xni0Is7RsN8wHNeLmFRkwE4/pQ==\"",
        "\"id\":\"call_9x8s7Yq2LmN4bV6cX1zA3sD5\",\"type\":\"function\"",
        "\"max_tokens\": 4096, \"next_token\": null",
        "let token = parser.next_token().unwrap_or_default();",
        "password = getpass.getpass()",
        "request_id: bef7ed86-741b-4da7-a230-c5b5eabf965f",
        "fn authenticate(user: &str, password: &str) -> Result<Token, Error> {",
        "PRIMARY KEY (user_id), FOREIGN KEY (account_id) REFERENCES accounts(id)",
        "keyboard shortcuts: ctrl-shift-alt-f12",
        "the secret ID Zk3p9Qw1xL8mN2vB7tR4yU6i",
    ] {
        assert_eq!(found_by(text, &Switches::default()), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn samples_are_left_alone_and_what_only_begins_like_one_is_not() {
    let alphabet = "abcdefghijklmnopqrstuvwxyz";
    let drawn = expand("<A-Za-z0-9*26>", 4);
    for (before, after) in [
        ("sk_live_", "123456"),
        ("the key is ", "0123456789"),
        ("api_token = \"", "0123456789\""),
        ("glpat-", "EXAMPLE"),
    ] {
        assert_eq!(found_by(&format!("{before}{alphabet}{after}"), &Switches::default()), Vec::<&str>::new());
    }
    for text in
        [format!("sk_live_{drawn}"), format!("api_token = \"{drawn}\""), format!("fake {drawn} key {drawn}")]
    {
        assert_eq!(found_by(&text, &Switches::default()).len(), 1, "{text}");
    }
    // Names that say there is nothing to hide.
    for name in ["nonMatchingToken", "fake_key", "csrf token"] {
        assert_eq!(found_by(&format!("{name} {drawn}"), &Switches::default()), Vec::<&str>::new(), "{name}");
    }
    // A password may be anything.
    assert_eq!(
        found_by(&format!("DB_PASSWORD={alphabet}-{}", &drawn[..8]), &Switches::default()),
        ["assigned-password"]
    );
}

#[test]
fn a_token_cut_short_of_its_checksum_is_still_a_finding_but_less_sure() {
    let text = expand("ghp_<A-Za-z0-9*36>", 3);
    let found = scan_text(text.as_bytes(), &Switches::default());
    assert_eq!((found.len(), found[0].confidence), (1, 840));
}
