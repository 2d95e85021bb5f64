//! What is scanned: this project's own code and pages, chat bodies made of them, and log lines full of ids, digests and
//! times. No secret in it but the fixtures that the sources hold.

use serde_json::json;

const SOURCES: [&str; 8] = [
    include_str!("../../host/governance/src/json/mod.rs"),
    include_str!("../../host/replay/src/exact.rs"),
    include_str!("../../host/gateway/src/run.rs"),
    include_str!("../../plugins/routing/src/lib.rs"),
    include_str!("../../plugins/kit/src/json.rs"),
    include_str!("../../wit/0.1.0/redactor.wit"),
    include_str!("../../docs/call-life.md"),
    include_str!("../../docs/ARCHITECTURE.md"),
];

/// Makes text of one kind, of about so many bytes.
pub type Text = fn(usize) -> String;

/// The kinds of text, by themselves.
pub const KINDS: [(&str, Text); 3] = [("code", code), ("JSON", chat), ("logs", logs)];

/// About `bytes` bytes, a third each of code, JSON and logs, whatever the size.
pub fn mix(bytes: usize) -> String {
    KINDS.map(|(_, make)| make(bytes / 3)).concat()
}

fn code(bytes: usize) -> String {
    fill(bytes, |_| SOURCES.concat())
}

/// Bodies as a client sends them: the history, and a tool call whose arguments are JSON in a string.
fn chat(bytes: usize) -> String {
    fill(bytes, |turn| {
        let source = SOURCES[turn % SOURCES.len()];
        let call = json!({"path": format!("src/step_{turn}.rs"), "text": &source[..source.floor_char_boundary(3000)]});
        let messages = [
            json!({"role": "user", "content": source}),
            json!({"role": "assistant", "content": null, "tool_calls": [{
                "id": format!("call_{:016x}", spread(turn as u64)), "type": "function",
                "function": {"name": "write_file", "arguments": call.to_string()},
            }]}),
        ];
        json!({"model": "m", "max_tokens": 4096, "messages": messages}).to_string()
    })
}

fn logs(bytes: usize) -> String {
    fill(bytes, |line| {
        let line = line as u64;
        let (id, other) = (spread(line), spread(line ^ 0xffff));
        let at = format!("2026-11-20T13:{:02}:{:02}.{:03}Z", line / 60 % 60, line % 60, line % 1000);
        match line % 4 {
            0 => format!(
                "{at} INFO gateway request id={id:016x} status=200 bytes={} path=/v1/chat\n",
                id % 9000
            ),
            1 => format!(
                "{at} DEBUG store trace={:08x}-{:04x}-4{:03x}-a{:03x}-{:012x} commit took {} µs\n",
                id >> 32,
                id & 0xffff,
                other & 0xfff,
                other >> 12 & 0xfff,
                other >> 16,
                id % 900
            ),
            2 => format!(
                "10.0.{}.{} - - [20/Nov/2026:13:15:{:02} +0000] \"POST /v1/responses HTTP/1.1\" 200 {} \"-\" \"client/1.{}\"\n",
                id % 256,
                other % 256,
                line % 60,
                id % 90_000,
                line % 20
            ),
            _ => format!(
                "{}\n",
                json!({"ts": at, "level": "info", "msg": "blob written", "sha256": format!("{id:016x}{other:016x}{:016x}{:016x}", !id, !other), "bytes": id % 100_000})
            ),
        }
    })
}

/// Numbers that look drawn and are the same in every run.
fn spread(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn fill(bytes: usize, mut piece: impl FnMut(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes * 2);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&piece(number));
    }
    text.truncate(text.floor_char_boundary(bytes));
    text
}
