//! What is wrong with a configuration: where, what, and what to do about it. Problems are collected, never thrown, so
//! that all of them are shown in one go.

use crate::settings::place::Place;

/// Whether a problem keeps the agent from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be run.
    Error,
    /// It can be run, but is probably not what was meant.
    Warning,
    /// Worth knowing: a key that has no effect here, an old name.
    Note,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Path of the value, as the Collector writes paths: `receivers::otlp::protocols::grpc`. May be empty.
    pub path: String,
    /// Where it stands; [`Place::NONE`] when no text is to blame.
    pub place: Place,
    /// What is wrong, in one line.
    pub what: String,
    /// What to do about it. Empty when it is plain.
    pub remedy: String,
}

/// All problems found so far, in the order they were found.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Adds an error.
    pub fn error(&mut self, path: &str, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, path, place, what.into(), remedy.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, path: &str, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Warning, path, place, what.into(), remedy.into());
    }

    /// Adds a note.
    pub fn note(&mut self, path: &str, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Note, path, place, what.into(), remedy.into());
    }

    fn add(&mut self, severity: Severity, path: &str, place: Place, what: String, remedy: String) {
        self.push(Problem { severity, path: path.to_owned(), place, what, remedy });
    }

    /// All problems, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many there are of one severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|problem| problem.severity == severity).count()
    }

    /// Whether one of them keeps the agent from starting.
    #[must_use]
    pub fn any_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there are none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorts by source and line, errors and warnings mixed, problems without a place first.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|problem| (problem.place.is_written(), problem.place.file, problem.place.start));
    }

    /// One line each, `path: what; remedy`: for tests and logs, where no source text can be shown.
    #[must_use]
    pub fn lines(&self) -> String {
        let lines: Vec<String> = self.list.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
            Severity::Note => f.write_str("note: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}
