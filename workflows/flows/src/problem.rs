//! What is wrong with a workflow file, and where.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and, where it can be guessed, what was meant.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.what)
    }
}

/// Everything that is wrong with a file, in the order of its lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// The same problems, told of a file of this name.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Problems {
        for problem in &mut self.0 {
            name.clone_into(&mut problem.file);
        }
        self
    }
}

/// Collects problems of one file.
pub(crate) struct Collector<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<(usize, String)>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Collector<'a> {
        Collector { file, text, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, at: Range<usize>, what: impl Into<String>) {
        self.found.push((at.start, what.into()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn finish(self) -> Result<(), Problems> {
        if self.found.is_empty() { Ok(()) } else { Err(self.told()) }
    }

    /// All of them, sorted by place, each once.
    pub(crate) fn told(mut self) -> Problems {
        self.found.sort();
        self.found.dedup();
        let locate = |(at, what): (usize, String)| {
            let before = self.text.get(..at).unwrap_or(self.text);
            let start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let line = before.matches('\n').count() + 1;
            Problem { file: self.file.to_owned(), line, column: before[start..].chars().count() + 1, what }
        };
        Problems(self.found.into_iter().map(locate).collect())
    }
}

/// `; did you mean ...?` when one of the names is close.
pub(crate) fn meant<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let close = names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min();
    close.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}
