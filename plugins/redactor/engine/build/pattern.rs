//! The pattern language: a subset of regular expressions that needs no search. Repeats take all they can and never
//! give back, alternatives are tried in order. So that this means the same as the regular expression it looks like,
//! a repeat of variable length must not be followed by something that it would have eaten: that is checked here.
//!
//! Literals, `.`, `[...]`, `\d \w \s \h` (hex), `(?: | )`, `?`, `*`, `+`, `{n}`, `{n,}`, `{n,m}`, `(?i)` at the start.

/// 256 flags.
pub type Set = [bool; 256];

/// A repeat without an upper end stops counting here; the match then goes on to the end of the run.
pub const OPEN_MAX: u16 = 512;

/// A parsed pattern.
#[derive(Debug, Clone)]
pub enum Node {
    Set(Box<Set>),
    Seq(Vec<Node>),
    Alt(Vec<Node>),
    Rep(Box<Node>, u16, u16),
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    any_case: bool,
}

/// Parses one pattern.
pub fn parse(text: &str) -> Result<Node, String> {
    let any_case = text.starts_with("(?i)");
    let mut parser = Parser { text: text.as_bytes(), at: if any_case { 4 } else { 0 }, any_case };
    let node = parser.alternatives()?;
    if parser.at != text.len() {
        return Err(format!("stray `)` at {}", parser.at));
    }
    check(&node)?;
    Ok(node)
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        let mut all = vec![self.sequence()?];
        while self.peek() == Some(b'|') {
            self.at += 1;
            all.push(self.sequence()?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Node::Alt(all) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut all = Vec::new();
        while let Some(byte) = self.peek() {
            if byte == b'|' || byte == b')' {
                break;
            }
            let atom = self.atom()?;
            all.push(self.repeated(atom)?);
        }
        Ok(Node::Seq(all))
    }

    fn atom(&mut self) -> Result<Node, String> {
        let byte = self.text[self.at];
        self.at += 1;
        match byte {
            b'(' => {
                if !self.text[self.at..].starts_with(b"?:") {
                    return Err("groups are written `(?:`".into());
                }
                self.at += 2;
                let inner = self.alternatives()?;
                if self.peek() != Some(b')') {
                    return Err("`)` is missing".into());
                }
                self.at += 1;
                Ok(inner)
            }
            b'[' => self.class(),
            b'.' => Ok(Node::Set(Box::new(set_of(|b| b != b'\n')))),
            b'\\' => {
                let byte = self.next_byte()?;
                Ok(Node::Set(Box::new(escaped(byte))))
            }
            b'*' | b'+' | b'?' | b'{' => Err(format!("nothing to repeat at {}", self.at)),
            other => Ok(Node::Set(Box::new(self.folded(single(other))))),
        }
    }

    fn next_byte(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or("the pattern ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    fn folded(&self, mut set: Set) -> Set {
        if self.any_case {
            for byte in b'a'..=b'z' {
                let either = set[usize::from(byte)] || set[usize::from(byte.to_ascii_uppercase())];
                set[usize::from(byte)] = either;
                set[usize::from(byte.to_ascii_uppercase())] = either;
            }
        }
        set
    }

    fn class(&mut self) -> Result<Node, String> {
        let negated = self.peek() == Some(b'^');
        if negated {
            self.at += 1;
        }
        let mut set = [false; 256];
        loop {
            let byte = self.next_byte()?;
            match byte {
                b']' => break,
                b'\\' => {
                    let class = escaped(self.next_byte()?);
                    set.iter_mut().zip(class).for_each(|(to, from)| *to |= from);
                }
                low => {
                    let ranged = self.peek() == Some(b'-') && self.text.get(self.at + 1) != Some(&b']');
                    let mut high = low;
                    if ranged {
                        self.at += 1;
                        high = self.next_byte()?;
                    }
                    if high < low {
                        return Err("a range runs backwards".into());
                    }
                    (low..=high).for_each(|b| set[usize::from(b)] = true);
                }
            }
        }
        let mut set = self.folded(set);
        if negated {
            set.iter_mut().for_each(|flag| *flag = !*flag);
        }
        Ok(Node::Set(Box::new(set)))
    }

    fn repeated(&mut self, atom: Node) -> Result<Node, String> {
        let (min, max) = match self.peek() {
            Some(b'?') => (0, 1),
            Some(b'*') => (0, OPEN_MAX),
            Some(b'+') => (1, OPEN_MAX),
            Some(b'{') => {
                let rest = &self.text[self.at + 1..];
                let end = rest.iter().position(|b| *b == b'}').ok_or("`}` is missing")?;
                let inner = std::str::from_utf8(&rest[..end]).map_err(|error| error.to_string())?;
                self.at += end + 1;
                let number = |text: &str| text.parse::<u16>().map_err(|error| format!("{text}: {error}"));
                match inner.split_once(',') {
                    None => (number(inner)?, number(inner)?),
                    Some((min, "")) => (number(min)?, OPEN_MAX),
                    Some((min, max)) => (number(min)?, number(max)?),
                }
            }
            _ => return Ok(atom),
        };
        self.at += 1;
        if min > max || max > OPEN_MAX {
            return Err(format!("a repeat must be 0 <= n <= m <= {OPEN_MAX}"));
        }
        Ok(Node::Rep(Box::new(atom), min, max))
    }
}

pub fn set_of(test: impl Fn(u8) -> bool) -> Set {
    let mut set = [false; 256];
    (0..=255u8).for_each(|b| set[usize::from(b)] = test(b));
    set
}

fn single(byte: u8) -> Set {
    set_of(|b| b == byte)
}

fn escaped(byte: u8) -> Set {
    match byte {
        b'd' => set_of(|b| b.is_ascii_digit()),
        b'w' => set_of(|b| b.is_ascii_alphanumeric() || b == b'_'),
        b'h' => set_of(|b| b.is_ascii_hexdigit()),
        b's' => set_of(|b| b.is_ascii_whitespace()),
        b'n' => single(b'\n'),
        other => single(other),
    }
}

pub fn union(into: &mut Set, from: &Set) {
    into.iter_mut().zip(from).for_each(|(to, from)| *to |= *from);
}

/// Bytes that a match of the node may begin with, and whether it may be empty.
pub fn first(node: &Node) -> (Set, bool) {
    match node {
        Node::Set(set) => (**set, false),
        Node::Rep(inner, min, _) => {
            let (set, empty) = first(inner);
            (set, empty || *min == 0)
        }
        Node::Alt(all) => {
            all.iter().map(first).fold(([false; 256], false), |(mut set, empty), (next, may)| {
                union(&mut set, &next);
                (set, empty || may)
            })
        }
        Node::Seq(all) => {
            let mut set = [false; 256];
            for node in all {
                let (next, empty) = first(node);
                union(&mut set, &next);
                if !empty {
                    return (set, false);
                }
            }
            (set, true)
        }
    }
}

/// Bytes that may stand `offset` bytes after the beginning of a match of these nodes, one after the other; nothing
/// where a match may have ended before.
pub fn at(nodes: &[Node], offset: usize) -> Option<Set> {
    let (node, rest) = nodes.split_first()?;
    let then = |front: &[Node]| at(&[front, rest].concat(), offset);
    match node {
        Node::Set(set) if offset == 0 => Some(**set),
        Node::Set(_) => at(rest, offset - 1),
        Node::Seq(all) => then(all),
        Node::Alt(all) => {
            let mut out = [false; 256];
            for branch in all {
                union(&mut out, &then(std::slice::from_ref(branch))?);
            }
            Some(out)
        }
        Node::Rep(_, _, 0) => at(rest, offset),
        Node::Rep(inner, min, max) => {
            let again = Node::Rep(inner.clone(), min.saturating_sub(1), max - 1);
            let mut out = then(&[inner.as_ref().clone(), again])?;
            if *min == 0 {
                union(&mut out, &at(rest, offset)?);
            }
            Some(out)
        }
    }
}

/// Bytes that a match of the node may end with: what the byte after a match must not be.
pub fn last(node: &Node) -> Set {
    match node {
        Node::Set(set) => **set,
        Node::Rep(inner, _, _) => last(inner),
        Node::Alt(all) => all.iter().map(last).fold([false; 256], |mut set, next| {
            union(&mut set, &next);
            set
        }),
        Node::Seq(all) => {
            let mut set = [false; 256];
            for node in all.iter().rev() {
                union(&mut set, &last(node));
                if !first(node).1 {
                    break;
                }
            }
            set
        }
    }
}

/// The one byte that the node matches, where it is a class of one.
pub fn only_byte(node: &Node) -> Option<u8> {
    let Node::Set(set) = node else { return None };
    let mut bytes = (0..=255u8).filter(|byte| set[usize::from(*byte)]);
    bytes.next().filter(|_| bytes.next().is_none())
}

/// The one text that the node matches, where there is one.
fn literal(node: &Node) -> Option<Vec<u8>> {
    match node {
        Node::Set(_) => only_byte(node).map(|byte| vec![byte]),
        Node::Seq(all) => Some(all.iter().map(literal).collect::<Option<Vec<_>>>()?.concat()),
        _ => None,
    }
}

/// How long a match of these nodes, one after the other, is at least if it begins with the prefix.
pub fn least(nodes: &[Node], prefix: &[u8]) -> Option<usize> {
    let Some((node, rest)) = nodes.split_first() else { return prefix.is_empty().then_some(0) };
    let then = |front: &[Node]| least(&[front, rest].concat(), prefix);
    match node {
        Node::Set(set) => {
            let fits = prefix.first().is_none_or(|byte| set[usize::from(*byte)]);
            fits.then_some(1 + least(rest, prefix.get(1..).unwrap_or_default())?)
        }
        Node::Seq(all) => then(all),
        Node::Alt(all) => all.iter().filter_map(|branch| then(std::slice::from_ref(branch))).min(),
        Node::Rep(inner, min, _) if prefix.is_empty() => {
            Some(least(std::slice::from_ref(inner), prefix)? * usize::from(*min) + least(rest, prefix)?)
        }
        Node::Rep(_, _, 0) => least(rest, prefix),
        Node::Rep(inner, min, max) => {
            let again = Node::Rep(inner.clone(), min.saturating_sub(1), max - 1);
            let taken = then(&[inner.as_ref().clone(), again]);
            let left = if *min == 0 { least(rest, prefix) } else { None };
            taken.into_iter().chain(left).min()
        }
    }
}

fn check(node: &Node) -> Result<(), String> {
    match node {
        Node::Set(_) => Ok(()),
        Node::Rep(inner, _, _) => check(inner),
        Node::Alt(all) => {
            all.iter().try_for_each(check)?;
            let texts: Vec<Option<Vec<u8>>> = all.iter().map(literal).collect();
            for (index, text) in texts.iter().enumerate() {
                let Some(text) = text else { continue };
                if let Some(later) = texts[index + 1..].iter().flatten().find(|later| later.starts_with(text))
                {
                    let (text, later) = (String::from_utf8_lossy(text), String::from_utf8_lossy(later));
                    return Err(format!("`{text}` stands before `{later}`, which is never tried then"));
                }
            }
            Ok(())
        }
        Node::Seq(all) => {
            all.iter().try_for_each(check)?;
            for (index, node) in all.iter().enumerate() {
                let Node::Rep(inner, min, max) = node else { continue };
                // An optional group is taken or left as a whole; only a run of one class eats byte by byte.
                let group = matches!(inner.as_ref(), Node::Seq(all) if all.len() > 1)
                    || matches!(inner.as_ref(), Node::Alt(_));
                if min == max || group {
                    continue;
                }
                let (mine, _) = first(inner);
                let (next, _) = first(&Node::Seq(all[index + 1..].to_vec()));
                if let Some(byte) = (0..256).find(|b| mine[*b] && next[*b]) {
                    let shown = char::from(byte as u8).escape_default().to_string();
                    return Err(format!(
                        "a repeat of variable length is followed by `{shown}`, which it would eat"
                    ));
                }
            }
            Ok(())
        }
    }
}
