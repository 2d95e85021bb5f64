//! What is scanned: this project's own code, chat bodies made of it, and log lines. No secret in it but the fixtures
//! that the sources hold.

const SOURCES: [&str; 4] = [
    include_str!("../../host/governance/src/json.rs"),
    include_str!("../../host/replay/src/exact.rs"),
    include_str!("../../host/gateway/src/run.rs"),
    include_str!("../../docs/call-life.md"),
];

/// About `bytes` bytes, a third each of code, JSON and logs.
pub fn mix(bytes: usize) -> String {
    let code = SOURCES.concat();
    let mut text = String::with_capacity(bytes + code.len());
    let mut line = 0_u64;
    while text.len() < bytes {
        text.push_str(&code);
        for source in SOURCES {
            let message = serde_json::json!({"role": "user", "content": source});
            text.push_str(&serde_json::json!({"model": "m", "messages": [message]}).to_string());
        }
        for _ in 0..400 {
            line += 1;
            let id = line.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            text.push_str(&format!(
                "2026-11-20T13:15:{:02}.{:03}Z INFO gateway request id={id:016x} status=200 bytes={} path=/v1/chat\n",
                line % 60,
                line % 1000,
                id % 9000,
            ));
        }
    }
    text.truncate(text.floor_char_boundary(bytes));
    text
}
