//! Writes the tables as Rust source.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use crate::grams;
use crate::pattern::{self, Node, Set};
use crate::table::Row;
use crate::words;

/// Matchers that are written in Rust, by their name in the table.
const MATCHERS: &[(&str, &str)] = &[
    ("assign-password", "Password"),
    ("assign-secret", "Secret"),
    ("assign-key", "Key"),
    ("assign-token", "Token"),
    ("assign-id", "Id"),
    ("url-userinfo", "Userinfo"),
    ("bearer", "Bearer"),
    ("basic", "Basic"),
    ("cookie", "Cookie"),
    ("jwt", "Jwt"),
    ("pem", "Pem"),
    ("near-keyword", "NearKeyword"),
    ("entropy", "Entropy"),
    ("encoded", "Encoded"),
    ("curl-user", "CurlUser"),
    ("credential-call", "Call"),
    ("google-credentials", "GoogleCredentials"),
];

/// Tests that are written in Rust, by their name in the table.
const CHECKS: &[(&str, &str)] = &[("", "None"), ("crc32-base62", "Crc32Base62")];

/// How far into a token the byte may stand that tells most about it.
const LOOK_BYTES: usize = 40;

/// Shortest prefix by which one provider is known.
const SOLE_BYTES_MIN: usize = 4;

/// Whether the row's anchors begin tokens of one form, and of nobody else.
fn is_sole(row: &Row) -> bool {
    row.matcher.is_empty() && row.lead.is_empty() && row.near.is_empty() && row.left != "any" && !row.shared
}

struct Writer {
    sets: Vec<Set>,
    code: String,
}

/// The source of `tables.rs`.
pub fn tables(rows: &[Row]) -> Result<String, Vec<String>> {
    let mut problems = Vec::new();
    let mut writer = Writer { sets: Vec::new(), code: String::new() };
    let mut anchors: BTreeMap<(String, bool), Vec<usize>> = BTreeMap::new();
    let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut rules = String::new();
    for (index, row) in rows.iter().enumerate() {
        match writer.rule(row) {
            Ok(code) => rules.push_str(&code),
            Err(problem) => problems.push(format!("`{}`: {problem}", row.id)),
        }
        for anchor in &row.anchors {
            anchors.entry((anchor.clone(), !row.any_case)).or_default().push(index);
        }
        for name in &row.names {
            names.entry(name.to_ascii_lowercase()).or_default().push(index);
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let _ = writeln!(writer.code, "pub static RULES: [Rule; {}] = [\n{rules}];", rows.len());
    writer.anchors(&anchors, rows).map_err(|problem| vec![problem])?;
    writer.names(names, rows).map_err(|problem| vec![problem])?;
    writer.sets();
    writer.hashes();
    Ok(writer.code)
}

impl Writer {
    fn rule(&mut self, row: &Row) -> Result<String, String> {
        let kind = if row.matcher.is_empty() {
            let node = pattern::parse(&row.pattern)?;
            let mut edge = pattern::last(&node);
            (0..=255u8)
                .filter(|b| b.is_ascii_alphanumeric() || *b == b'_')
                .for_each(|b| edge[usize::from(b)] = true);
            let edge = self.set(&edge)?;
            let ops = self.ops(&node)?;
            let lead = self.lead(&row.lead)?;
            if row.names.is_empty() {
                format!("Kind::Pattern {{ lead: {lead}, ops: &[{ops}], edge: {edge} }}")
            } else {
                format!("Kind::Named {{ ops: &[{ops}], edge: {edge} }}")
            }
        } else {
            let (_, name) = MATCHERS
                .iter()
                .find(|(name, _)| *name == row.matcher)
                .ok_or_else(|| format!("unknown matcher: {}", row.matcher))?;
            format!("Kind::Builtin(Builtin::{name})")
        };
        let documented: Vec<u64> =
            row.documented.iter().filter_map(|hash| u64::from_str_radix(hash, 16).ok()).collect();
        let (_, check) = CHECKS
            .iter()
            .find(|(name, _)| *name == row.check)
            .ok_or_else(|| format!("unknown check: {}", row.check))?;
        Ok(format!(
            "    Rule {{ id: {:?}, title: {:?}, severity: {:?}, group: {:?}, confidence: {}, near: &{:?}, documented: &{documented:?}, check: Check::{check}, left_any: {}, left_start: {}, random: {}, strict: {}, kind: {kind} }},\n",
            row.id,
            row.title,
            row.severity,
            row.group,
            row.confidence,
            row.near,
            row.left == "any",
            row.left == "start",
            row.random,
            row.strict,
        ))
    }

    fn lead(&mut self, text: &str) -> Result<String, String> {
        if text.is_empty() {
            return Ok("None".into());
        }
        match pattern::parse(text)? {
            Node::Seq(all) => match all.as_slice() {
                [Node::Rep(inner, min, max)] => match inner.as_ref() {
                    Node::Set(set) => {
                        Ok(format!("Some(Lead {{ set: {}, min: {min}, max: {max} }})", self.set(set)?))
                    }
                    _ => Err("`lead` must be one class with a count".into()),
                },
                _ => Err("`lead` must be one class with a count".into()),
            },
            _ => Err("`lead` must be one class with a count".into()),
        }
    }

    fn set(&mut self, set: &Set) -> Result<u16, String> {
        let at = self.sets.iter().position(|known| known == set).unwrap_or_else(|| {
            self.sets.push(*set);
            self.sets.len() - 1
        });
        u16::try_from(at).map_err(|_| "more than 65,536 different classes".into())
    }

    fn ops(&mut self, node: &Node) -> Result<String, String> {
        let mut out = String::new();
        match node {
            Node::Seq(all) => {
                let mut literal = Vec::new();
                for node in all {
                    if let Some(byte) = pattern::only_byte(node) {
                        literal.push(byte);
                        continue;
                    }
                    flush(&mut out, &mut literal);
                    out.push_str(&self.ops(node)?);
                }
                flush(&mut out, &mut literal);
            }
            Node::Set(set) => {
                let _ = write!(out, "Op::Run({}, 1, 1), ", self.set(set)?);
            }
            Node::Alt(all) => {
                let branches: Result<Vec<String>, String> =
                    all.iter().map(|branch| Ok(format!("&[{}]", self.ops(branch)?))).collect();
                let _ = write!(out, "Op::Alt(&[{}]), ", branches?.join(", "));
            }
            Node::Rep(inner, min, max) => match simple(inner) {
                Some(set) => {
                    let _ = write!(out, "Op::Run({}, {min}, {max}), ", self.set(&set)?);
                }
                None => {
                    let _ = write!(out, "Op::Rep(&[{}], {min}, {max}), ", self.ops(inner)?);
                }
            },
        }
        Ok(out)
    }

    fn anchors(
        &mut self,
        anchors: &BTreeMap<(String, bool), Vec<usize>>,
        rows: &[Row],
    ) -> Result<(), String> {
        let nodes: Vec<Option<Node>> = rows.iter().map(|row| pattern::parse(&row.pattern).ok()).collect();
        let sought: Vec<grams::Anchor<'_>> = anchors
            .iter()
            .map(|((text, exact), rules)| grams::Anchor {
                text,
                exact: *exact,
                patterns: rules
                    .iter()
                    .map(|rule| nodes[*rule].as_ref().filter(|_| rows[*rule].matcher.is_empty()))
                    .collect(),
            })
            .collect();
        let chosen = grams::choose(&sought)?;
        let looks: Vec<String> =
            sought.iter().map(|anchor| self.look_at(anchor)).collect::<Result<_, _>>()?;
        let code = &mut self.code;
        let _ = writeln!(code, "pub static ANCHORS: [Anchor; {}] = [", anchors.len());
        for (((text, exact), rules), look) in anchors.iter().zip(looks) {
            let begins = |rule: &usize| {
                let row = &rows[*rule];
                row.matcher.is_empty() && row.lead.is_empty() && row.left != "any"
            };
            let word = rules.iter().all(begins);
            let sole =
                *exact && text.len() >= SOLE_BYTES_MIN && rules.iter().all(|rule| is_sole(&rows[*rule]));
            let lengths = rules.iter().filter_map(|rule| {
                nodes[*rule]
                    .as_ref()
                    .and_then(|node| pattern::least(std::slice::from_ref(node), text.as_bytes()))
            });
            let least = if sole { lengths.min().unwrap_or_default() } else { 0 };
            let _ = writeln!(
                code,
                "    Anchor {{ head: {}, text: {text:?}, exact: {exact}, word: {word}, least: {least}, look: {look}, rules: &{rules:?} }},",
                head(text, *exact),
            );
        }
        self.code.push_str("];\n");
        self.code.push_str(&spaced_anchors(anchors.keys().map(|(text, _)| text)));
        self.probes(&chosen);
        Ok(())
    }

    /// The byte of what the anchor begins that tells most about it. Where none is fixed, one that is the anchor's own.
    fn look_at(&mut self, anchor: &grams::Anchor<'_>) -> Result<String, String> {
        let at = |offset: usize| {
            let mut out = [false; 256];
            for node in anchor.patterns.as_ref()? {
                pattern::union(&mut out, &pattern::at(std::slice::from_ref(node), offset)?);
            }
            Some(out)
        };
        let first = anchor.text.as_bytes()[0];
        let own = |_| Some(pattern::set_of(|byte| byte.eq_ignore_ascii_case(&first)));
        match self.look(anchor.text.len()..LOOK_BYTES, at)? {
            Some(look) => Ok(look),
            None => self.look(0..1, own)?.ok_or_else(|| format!("anchor `{}` is empty", anchor.text)),
        }
    }

    /// The byte that tells most, of those at these offsets of which `at` says what they may be.
    fn look(
        &mut self,
        offsets: Range<usize>,
        at: impl Fn(usize) -> Option<Set>,
    ) -> Result<Option<String>, String> {
        let fixed = offsets.filter_map(|offset| Some((offset, at(offset)?)));
        let count = |set: &Set| set.iter().filter(|flag| **flag).count();
        // The further away, the less it has to do with how the token begins.
        let Some((offset, set)) = fixed.min_by_key(|(offset, set)| (count(set), Reverse(*offset))) else {
            return Ok(None);
        };
        Ok(Some(format!("Look {{ offset: {offset}, set: {} }}", self.set(&set)?)))
    }

    fn probes(&mut self, chosen: &BTreeMap<u32, Vec<grams::Probe>>) {
        // One bucket a bit, in the order of the bits. Grams with one hash share it.
        let mut buckets: BTreeMap<u32, Vec<grams::Probe>> = BTreeMap::new();
        for (gram, probes) in chosen {
            let bucket = buckets.entry(grams::hash(*gram)).or_default();
            bucket.extend(probes);
            bucket.sort_unstable();
            bucket.dedup();
        }
        let mut flags = vec![0u64; grams::FLAG_BYTES / 8];
        buckets.keys().for_each(|hash| flags[*hash as usize / 64] |= 1 << (hash % 64));
        self.ranks("RANKS", &flags);
        let bytes: Vec<u8> = flags.iter().flat_map(|word| word.to_le_bytes()).collect();
        let _ = writeln!(self.code, "pub static FLAGS: [u8; {}] = {bytes:?};", bytes.len());
        let code = &mut self.code;
        let mut probes: Vec<grams::Probe> = Vec::new();
        let mut starts = vec![0];
        for bucket in buckets.values() {
            probes.extend(bucket);
            starts.push(probes.len());
        }
        let list: Vec<String> = probes.iter().map(|p| format!("({}, {})", p.anchor, p.offset)).collect();
        let _ = writeln!(
            code,
            "/// Where the probes of each set bit begin.\npub static BUCKETS: [u16; {}] = {starts:?};",
            starts.len()
        );
        let _ = writeln!(code, "pub static PROBES: [(u16, u8); {}] = [{}];", probes.len(), list.join(", "));
    }

    fn names(&mut self, mut names: BTreeMap<String, Vec<usize>>, rows: &[Row]) -> Result<(), String> {
        let any = names.remove("*").unwrap_or_default();
        // All that is looked up before a run, by a hash of its first four letters; the longest first.
        // With each, whether it says what a run is, rather than what it is not.
        let words = words::KEYWORDS.iter().map(|word| (*word, "Known::Keyword".to_owned(), true));
        let harmless = words::HARMLESS.iter().map(|word| (*word, "Known::Harmless".to_owned(), false));
        let void = words::VOID.iter().map(|word| (*word, "Known::Void".to_owned(), false));
        let named =
            names.iter().map(|(name, rules)| (name.as_str(), format!("Known::Name(&{rules:?})"), true));
        let mut all: Vec<(&str, String, bool)> = words.chain(harmless).chain(void).chain(named).collect();
        all.retain(|(text, ..)| text.len() >= words::HASHED_BYTES - 1);
        all.sort_by_key(|(text, ..)| (Reverse(text.len()), *text));
        let mut lists: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        let mut entries = String::new();
        for (number, (text, known, _)) in all.iter().enumerate() {
            for hash in words::hashes(text.as_bytes()) {
                lists.entry(hash).or_default().push(number);
            }
            let mut two = text.bytes().take(2);
            if !two.any(|byte| byte.is_ascii_alphabetic()) {
                return Err(format!("the name `{text}` has no letter among its first two bytes"));
            }
            let head = head(text, false);
            let _ = writeln!(entries, "    Word {{ head: {head}, text: {text:?}, known: {known} }},");
        }
        let mut flags = vec![0u64; 1 << words::HASH_BITS >> 6];
        let (mut starts, mut numbers, mut naming) = (vec![0], Vec::<usize>::new(), Vec::<u64>::new());
        for (hash, list) in &lists {
            flags[*hash as usize / 64] |= 1 << (hash % 64);
            numbers.extend(list);
            starts.push(numbers.len());
            let names = list.iter().map(|number| &all[*number]).filter(|(.., names)| *names);
            naming.push(names.fold(0, |mask, (text, ..)| mask | words::next(text.as_bytes())));
        }
        let _ = writeln!(self.code, "pub static WORD_FLAGS: [u64; {}] = {flags:?};", flags.len());
        let _ = writeln!(self.code, "pub static WORD_NAMING: [u64; {}] = {naming:?};", naming.len());
        self.ranks("WORD_RANKS", &flags);
        let _ = writeln!(self.code, "pub static WORD_STARTS: [u16; {}] = {starts:?};", starts.len());
        let _ = writeln!(self.code, "pub static WORD_LISTS: [u16; {}] = {numbers:?};", numbers.len());
        let _ = writeln!(self.code, "pub static WORDS: [Word; {}] = [\n{entries}];", all.len());
        self.any_run(&any, rows)
    }

    /// Rules for every run, each with the byte that tells most about it: most runs need no more than a look at that.
    fn any_run(&mut self, rules: &[usize], rows: &[Row]) -> Result<(), String> {
        let mut list = String::new();
        for rule in rules {
            let node = [pattern::parse(&rows[*rule].pattern)?];
            let Some(look) = self.look(0..LOOK_BYTES, |offset| pattern::at(&node, offset))? else {
                return Err(format!("`{}`: nothing is fixed about a run that it fits", rows[*rule].id));
            };
            let _ = write!(list, "AnyRun {{ rule: {rule}, look: {look} }}, ");
        }
        let _ = writeln!(self.code, "pub static ANY_RUN: [AnyRun; {}] = [{list}];", rules.len());
        Ok(())
    }

    /// How many bits are set before each word of a set.
    fn ranks(&mut self, name: &str, flags: &[u64]) {
        let mut seen = 0;
        let ranks: Vec<u32> = flags
            .iter()
            .map(|word| {
                seen += word.count_ones();
                seen - word.count_ones()
            })
            .collect();
        let _ = writeln!(self.code, "pub static {name}: [u16; {}] = {ranks:?};", ranks.len());
    }

    /// What the scanner hashes with, as the build did.
    fn hashes(&mut self) {
        for (name, value) in [
            ("GRAM_FACTOR", grams::FACTOR),
            ("WORD_FACTOR", words::HASH_FACTOR),
            ("WORD_BITS", words::HASH_BITS),
        ] {
            let _ = writeln!(self.code, "pub const {name}: u32 = {value};");
        }
    }

    fn sets(&mut self) {
        let _ = writeln!(self.code, "pub static SETS: [[u64; 4]; {}] = [", self.sets.len());
        for set in &self.sets {
            let mut words = [0u64; 4];
            (0..256).filter(|b| set[*b]).for_each(|b| words[b / 64] |= 1 << (b % 64));
            let _ = writeln!(self.code, "    {words:?},");
        }
        self.code.push_str("];\n");
    }
}

/// The anchors that the end of a text may cut in two without a run ending there: which letters they begin with, without
/// the bits of case, and how long the longest is.
fn spaced_anchors<'a>(all: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<&String> = all.filter(|text| text.contains([' ', '"', '\''])).collect();
    let begins =
        all.iter().filter_map(|text| text.bytes().next()).fold(0u32, |set, byte| set | 1 << (byte & 31));
    let longest = all.iter().map(|text| text.len()).max().unwrap_or_default();
    format!(
        "pub static SPACED: [&str; {}] = {all:?};\npub const SPACED_BEGINS: u32 = {begins};\n\
         pub const SPACED_BYTES_MAX: usize = {longest};\n",
        all.len()
    )
}

/// The first eight bytes of a word and which of their bits count: in a letter all but that of case, unless it counts.
fn head(text: &str, exact: bool) -> String {
    let eight = |of: &dyn Fn(u8) -> u8| {
        text.bytes().take(8).rev().fold(0u64, |all, byte| all << 8 | u64::from(of(byte)))
    };
    let mask = eight(&|byte| if byte.is_ascii_alphabetic() && !exact { 0xdf } else { 0xff });
    format!("Head {{ bytes: {}, mask: {mask} }}", eight(&|byte| byte))
}

fn simple(node: &Node) -> Option<Set> {
    match node {
        Node::Set(set) => Some(**set),
        Node::Seq(all) if all.len() == 1 => simple(&all[0]),
        _ => None,
    }
}

fn flush(out: &mut String, literal: &mut Vec<u8>) {
    if !literal.is_empty() {
        let _ = write!(out, "Op::Lit(&{literal:?}), ");
        literal.clear();
    }
}
