//! A TOML document, where its keys stand, and what was found wrong with it.

use crate::cursor::Cursor;
use crate::problem::{Problem, shown};
use std::cell::RefCell;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::DeTable;

/// Most problems that are reported: a file with more is the wrong file.
const PROBLEMS_MAX: usize = 200;

/// A document and what was found wrong with it.
pub(crate) struct Source<'t> {
    line_starts: Vec<usize>,
    lines: RefCell<BTreeMap<String, usize>>,
    found: RefCell<Vec<(usize, Problem)>>,
    text: &'t str,
}

impl<'t> Source<'t> {
    pub(crate) fn new(text: &'t str) -> Source<'t> {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Source { line_starts, lines: RefCell::default(), found: RefCell::default(), text }
    }

    /// Parses the document; a syntax error is one problem with line and column, because what follows it
    /// cannot be trusted.
    pub(crate) fn parse(&self, bytes_max: usize) -> Result<Spanned<DeTable<'t>>, Vec<Problem>> {
        if self.text.len() > bytes_max {
            let message = format!("the file is larger than {bytes_max} bytes: {}", self.text.len());
            return Err(vec![Problem::new("", message, "is this the right file?")]);
        }
        DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(self.text.len()));
            let line = self.line_of(at);
            // Counted in bytes, as a position at the end of the text need not be on a character.
            let column = at - self.line_starts.get(line - 1).copied().unwrap_or(0) + 1;
            let message = format!("line {line}, column {column}: not TOML: {}", shown(error.message()));
            vec![Problem::new("", message, "nothing after a syntax error is checked: mend it and try again")]
        })
    }

    pub(crate) fn root<'s>(&'s self, table: &'s Spanned<DeTable<'t>>) -> Cursor<'s, 't> {
        Cursor::new(self, String::new(), Some(table.get_ref()))
    }

    fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at).max(1)
    }

    /// Remembers where a path stands.
    pub(crate) fn visit(&self, path: &str, at: usize) {
        self.lines.borrow_mut().entry(path.to_owned()).or_insert_with(|| self.line_of(at));
    }

    /// A problem at a path; its line is that of the nearest enclosing place that was seen.
    pub(crate) fn add(&self, problem: Problem) {
        let line = self.nearest_line(&problem.path);
        let message = if line > 0 { format!("line {line}: {}", problem.message) } else { problem.message };
        let mut found = self.found.borrow_mut();
        if found.len() < PROBLEMS_MAX {
            found.push((line, Problem { message, ..problem }));
        }
    }

    fn nearest_line(&self, path: &str) -> usize {
        let lines = self.lines.borrow();
        let mut path = path;
        loop {
            if let Some(line) = lines.get(path) {
                return *line;
            }
            match path.rfind('.') {
                Some(at) => path = &path[..at],
                None => return 0,
            }
        }
    }

    /// Everything found, in the order of the lines; problems without a line come last.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by(|a, b| (a.0 == 0, a.0, &a.1).cmp(&(b.0 == 0, b.0, &b.1)));
        found.dedup();
        found.into_iter().map(|(_, problem)| problem).collect()
    }
}
