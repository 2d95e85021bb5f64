//! Reads JSON lines `{id, text}` and writes `{id, findings: [{start, end, rule}]}`; with `--redact` `{id, text}`,
//! with `--strict` also by the rules of the strict plugin. For `score.py` and for a look at one file.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::io::{BufRead, Write};

use redactor_engine::{Switches, rules, scan_text};

/// How often `--time` scans: the best of so many is what the machine can do when nobody else uses it.
const TIMES: usize = 15;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redact = std::env::args().any(|arg| arg == "--redact");
    let switches = Switches { strict: std::env::args().any(|arg| arg == "--strict"), ..Switches::default() };
    if let Some(path) = std::env::args().skip_while(|arg| arg != "--time").nth(1) {
        return time(&path, &switches);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (id, text) = (field(&line, "id").ok_or("no id")?, field(&line, "text").ok_or("no text")?);
        let findings = scan_text(text.as_bytes(), &switches);
        if redact {
            let mut cut = String::with_capacity(text.len());
            let mut from = 0;
            for found in &findings {
                cut.push_str(&text[from..found.start]);
                let tag =
                    text[found.start..found.end].bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                    });
                cut.push_str(&format!("[REDACTED:{}:{tag:016x}]", rules()[usize::from(found.rule)].id));
                from = found.end;
            }
            cut.push_str(&text[from..]);
            writeln!(out, "{{\"id\":{},\"text\":{}}}", quote(&id), quote(&cut))?;
        } else {
            let list: Vec<String> = findings
                .iter()
                .map(|f| {
                    let id = rules()[usize::from(f.rule)].id;
                    format!("{{\"start\":{},\"end\":{},\"rule\":\"{id}\"}}", f.start, f.end)
                })
                .collect();
            writeln!(out, "{{\"id\":{},\"findings\":[{}]}}", quote(&id), list.join(","))?;
        }
    }
    Ok(())
}

/// Scans the texts of a file of JSON lines many times and prints the best rate.
fn time(path: &str, switches: &Switches) -> Result<(), Box<dyn std::error::Error>> {
    let texts: Vec<String> =
        std::fs::read_to_string(path)?.lines().filter_map(|line| field(line, "text")).collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut best = f64::MAX;
    for _ in 0..TIMES {
        let begin = std::time::Instant::now();
        let found: usize = texts.iter().map(|text| scan_text(text.as_bytes(), switches).len()).sum();
        best = best.min(begin.elapsed().as_secs_f64());
        std::hint::black_box(found);
    }
    println!("{:.1} MB, {:.1} MB/s", bytes as f64 / 1e6, bytes as f64 / 1e6 / best);
    Ok(())
}

/// The string member `name` of a flat object.
fn field(line: &str, name: &str) -> Option<String> {
    let key = format!("\"{name}\":");
    let at = line.find(&key)? + key.len();
    let rest = line[at..].trim_start().strip_prefix('"')?;
    let mut out = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some(out),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'u' => {
                    let mut unit =
                        || u32::from_str_radix(&chars.by_ref().take(4).collect::<String>(), 16).ok();
                    let first = unit()?;
                    let code = if (0xd800..0xdc00).contains(&first) {
                        chars.nth(1)?;
                        let low =
                            u32::from_str_radix(&chars.by_ref().take(4).collect::<String>(), 16).ok()?;
                        0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00)
                    } else {
                        first
                    };
                    out.push(char::from_u32(code)?);
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
