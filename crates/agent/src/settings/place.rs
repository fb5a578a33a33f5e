//! Where in which source a piece of configuration stands.

/// A source of configuration text: a file, a `--set`, an environment variable. The number is given by `config::source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

impl FileId {
    /// No source: the value is a built-in default.
    pub const NONE: FileId = FileId(u32::MAX);
}

/// A piece of a source: line and column of its start (both from 1), and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The source it stands in.
    pub file: FileId,
    /// Line of its first character, from 1.
    pub line: u32,
    /// Column of its first character, in characters, from 1.
    pub column: u32,
    /// Offset of its first byte.
    pub start: u32,
    /// Offset behind its last byte.
    pub end: u32,
}

impl Place {
    /// No place: the value was not written by anyone.
    pub const NONE: Place = Place { file: FileId::NONE, line: 0, column: 0, start: 0, end: 0 };

    /// Whether somebody wrote this.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.file != FileId::NONE
    }

    /// Whether there is no text here that could be underlined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::NONE
    }
}
