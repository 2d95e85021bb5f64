//! The authored table, read strictly: every problem of every row is reported at once.

use toml::{Table, Value};

/// One row of `rules.toml`.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub severity: String,
    pub group: String,
    pub confidence: u16,
    /// Literals at which the matcher is tried.
    pub anchors: Vec<String>,
    /// Whether the anchors are found in any case.
    pub any_case: bool,
    /// What stands left of the anchor, as one class with a count.
    pub lead: String,
    pub pattern: String,
    /// Names of services; the pattern counts only near one of them.
    pub names: Vec<String>,
    /// A matcher written in Rust, for what a pattern cannot say.
    pub matcher: String,
    /// Words of which one must stand within 64 bytes before the match.
    pub near: Vec<String>,
    /// `word` (default), `any` or `start`: what may stand left of the match.
    pub left: String,
    /// Whether the match must look random.
    pub random: bool,
    /// Whether only the strict plugin has this rule.
    pub strict: bool,
    /// Whether tokens of others begin with its anchors, too.
    pub shared: bool,
    /// A test in Rust of what a pattern cannot say.
    pub check: String,
    /// Hashes of values that stand in public documentation.
    pub documented: Vec<String>,
    pub examples: Vec<String>,
    pub counter: Vec<String>,
}

const KEYS: &[&str] = &[
    "id",
    "title",
    "severity",
    "group",
    "confidence",
    "anchors",
    "any_case",
    "lead",
    "pattern",
    "names",
    "matcher",
    "near",
    "left",
    "random",
    "strict",
    "shared",
    "check",
    "documented",
    "examples",
    "counter",
];
const SEVERITIES: &[&str] = &["low", "medium", "high", "critical"];
/// Longest rule id that the contract takes.
const ID_BYTES_MAX: usize = 48;

/// Reads and checks the table.
pub fn read(text: &str) -> Result<Vec<Row>, Vec<String>> {
    let table: Table = text.parse().map_err(|error| vec![format!("{error}")])?;
    let mut problems = Vec::new();
    for key in table.keys().filter(|key| *key != "rule") {
        problems.push(format!("unknown key: {key}"));
    }
    let rows = table.get("rule").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut out: Vec<Row> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match row.as_table() {
            Some(row) => out.push(read_row(row, index, &mut problems)),
            None => problems.push(format!("row {index} is not a table")),
        }
    }
    for (index, row) in out.iter().enumerate() {
        if out[..index].iter().any(|earlier| earlier.id == row.id) {
            problems.push(format!("`{}` stands twice", row.id));
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn read_row(row: &Table, index: usize, problems: &mut Vec<String>) -> Row {
    let id = text(row, "id");
    let at = if id.is_empty() { format!("row {index}") } else { format!("`{id}`") };
    for key in row.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        problems.push(format!("{at}: unknown key: {key}"));
    }
    let out = Row {
        title: text(row, "title"),
        severity: text(row, "severity"),
        group: text(row, "group"),
        confidence: row.get("confidence").and_then(Value::as_integer).unwrap_or(900).clamp(0, 1000) as u16,
        anchors: list(row, "anchors"),
        any_case: flag(row, "any_case"),
        lead: text(row, "lead"),
        pattern: text(row, "pattern"),
        names: list(row, "names"),
        matcher: text(row, "matcher"),
        near: list(row, "near"),
        left: text(row, "left"),
        random: flag(row, "random"),
        strict: flag(row, "strict"),
        shared: flag(row, "shared"),
        check: text(row, "check"),
        documented: list(row, "documented"),
        examples: list(row, "examples"),
        counter: list(row, "counter"),
        id,
    };
    let well_named = !out.id.is_empty()
        && out.id.len() <= ID_BYTES_MAX
        && out.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let checks = [
        (well_named, "`id` must be 1..48 bytes of a-z, 0-9 and `-`"),
        (!out.title.is_empty(), "`title` is missing"),
        (!out.group.is_empty(), "`group` is missing"),
        (SEVERITIES.contains(&out.severity.as_str()), "`severity` must be low, medium, high or critical"),
        (out.confidence >= 1, "`confidence` must be 1..1000"),
        (!out.examples.is_empty(), "`examples` is missing"),
        (!out.counter.is_empty(), "`counter` is missing"),
        (out.pattern.is_empty() != out.matcher.is_empty(), "give one of `pattern` and `matcher`"),
        (
            out.anchors.is_empty() != out.names.is_empty() || !out.matcher.is_empty(),
            "give one of `anchors` and `names`",
        ),
        (out.anchors.iter().all(|a| a.len() >= 2 && a.is_ascii()), "an anchor needs two ASCII bytes or more"),
        (out.names.iter().all(|n| n.len() >= 3 || n == "*"), "a name needs three bytes or more"),
        (
            out.documented.iter().all(|hash| hash.len() == 16 && u64::from_str_radix(hash, 16).is_ok()),
            "`documented` takes hashes of 16 hex digits",
        ),
        (["", "word", "any", "start"].contains(&out.left.as_str()), "`left` must be word, any or start"),
    ];
    problems.extend(checks.iter().filter(|(fine, _)| !fine).map(|(_, what)| format!("{at}: {what}")));
    out
}

fn text(row: &Table, key: &str) -> String {
    row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn flag(row: &Table, key: &str) -> bool {
    row.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn list(row: &Table, key: &str) -> Vec<String> {
    let values = row.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
