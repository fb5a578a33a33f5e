//! OTLP/JSON to protobuf and back, driven by the schema table.
//!
//! Reading streams: no tree is built, each value goes straight to protobuf bytes. What it takes and what it refuses:
//!
//! | Topic | Rule |
//! |---|---|
//! | names | lowerCamelCase and snake_case; an unknown name is skipped with its value |
//! | the same field twice, or two members of a `oneof` | refused: one of the two values would be lost |
//! | integers | a number or a decimal string, without a fraction, within the range of the field |
//! | doubles | a number or a string, also `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | enums | a number or a name; an unknown name is refused, an unknown number is kept |
//! | trace and span ids | hexadecimal in either case, of the right length; `""` is no id |
//! | bytes | base64, standard or URL-safe, padded or not |
//! | `null` | the field is not set; in a list of messages or strings an empty one |
//! | `null` for a double, a number in a `oneof` or in a list | refused: JavaScript writes `NaN` and `Infinity` so |
//! | lone surrogates in a string | replaced by U+FFFD: JavaScript cuts long strings so |
//! | `null` for the document | an empty request, as in the Collector |
//! | nesting | at most 128 levels of objects and lists |
//!
//! The output is never longer than [`most_bytes`] says, and no more memory than that is taken for it.
//!
//! Writing follows the Collector: lowerCamelCase, 64-bit integers as strings, enums as numbers, ids as hexadecimal, zero
//! values left out (but not in a `oneof` or `optional`), single messages always written, if only as `{}`. Fields that
//! the schema does not know have no name and are left out; this is the one place where they do not survive.

use std::fmt;
use std::io;

use crate::{Chain, Signal};

mod read;
mod scalar;
mod write;

#[cfg(test)]
mod tests;

/// Why a JSON document is not an OTLP request, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1; 0 at the end of a line.
    pub column: usize,
    /// The field, as in `resourceSpans[0].resource`; empty for the document.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} (line {}, column {})", self.what, self.line, self.column)
    }
}

impl std::error::Error for JsonError {}

/// How many bytes of protobuf a document can become at most: the permit to take before [`to_protobuf`].
///
/// Names, times and ids get shorter; only small numbers in lists get longer. `0,` in a list of doubles becomes eight bytes,
/// so each comma counts for that many. Documents of SDKs become a third of their length.
#[must_use]
pub fn most_bytes(json: &[u8]) -> usize {
    json.len() + 8 * (json.iter().filter(|byte| **byte == b',').count() + 1)
}

/// Translates an OTLP/JSON export request to protobuf.
///
/// # Errors
/// When the document is not JSON, or a value does not fit its field. Nothing is left out in silence but fields that the
/// schema does not know.
pub fn to_protobuf(signal: Signal, json: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::request(signal.request(), json)
}

/// Writes an export request as the Collector's OTLP/JSON, in one line.
#[must_use]
pub fn from_protobuf(signal: Signal, request: &Chain) -> Vec<u8> {
    write::request(signal.request(), &request.contiguous())
}

/// Writes the same piece by piece, some 64 KiB at a time, so that the text is never in memory as a whole.
///
/// # Errors
/// When `to` does not take a piece; it gets no more then.
pub fn write(signal: Signal, request: &Chain, to: &mut dyn io::Write) -> io::Result<()> {
    write::request_to(signal.request(), &request.contiguous(), to)
}
