//! What is wrong with a choice: where, what, and what to do. All of them are collected, never only the first.

use std::fmt;

/// Whether a problem keeps a deployment from being rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It would not work.
    Error,
    /// It works, but is probably not what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The key in the values, dots between its parts: `serviceMonitor.interval`. Empty when none is to blame.
    pub path: String,
    /// What is wrong, in one line.
    pub what: String,
    /// What to do about it. Empty when it is plain.
    pub remedy: String,
}

impl Problem {
    /// One that keeps the deployment from being rendered.
    #[must_use]
    pub fn error(path: &str, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { severity: Severity::Error, path: path.to_owned(), what: what.into(), remedy: remedy.into() }
    }

    /// One that is only pointed out.
    #[must_use]
    pub fn warning(path: &str, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(path, what, remedy) }
    }

    /// Something worth knowing.
    #[must_use]
    pub fn note(path: &str, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { severity: Severity::Note, ..Problem::error(path, what, remedy) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
