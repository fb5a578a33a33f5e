//! The check at the door: is this a valid request, and how many items does it hold?
//!
//! One walk over every byte that has a meaning: lengths within their parent, wire types as the schema has them, UTF-8,
//! the length of ids, a bound on nesting. It is the agent's largest cost of its own, so it is written for speed: what to
//! do with a field is looked up by its tag byte in tables that the compiler made from the schema ([`plan`]), and the
//! shape in which nearly all attributes come is recognised as a whole ([`text`]). What is promised is in
//! [`skim()`]; why it goes this deep is in `docs/decisions/0001-check-at-the-door.md`.

mod plan;
mod text;
mod walk;

use crate::Signal;

/// How many messages may stand inside one another, the request included. The official decoders stop at 100 too.
pub const MAX_DEPTH: usize = 100;

/// What the walk found out about a valid request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skim {
    /// Spans, data points or log records.
    pub items: usize,
    /// Resources, each with what came from it.
    pub resources: usize,
}

/// Why a request is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Where in the request, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub what: Fault,
}

/// What can be wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// A varint is cut off, longer than ten bytes, or above 64 bits.
    Varint,
    /// A field reaches beyond the message that holds it.
    Length,
    /// A tag with field number zero or a wire type that is no more or not yet in use (groups are such).
    Tag,
    /// A known field with the wire type of another.
    WireType,
    /// Text that is not UTF-8.
    Utf8,
    /// A trace or span id of a length that no id has.
    Id,
    /// Messages nested deeper than [`MAX_DEPTH`].
    Depth,
}

/// Checks a request and counts its items.
///
/// A request that passes is decoded by every protobuf decoder. Unknown fields are taken as they are; their structure is
/// checked, the inside of length-delimited ones is not, since it has no meaning here.
///
/// # Errors
///
/// The first thing that makes the request invalid; the sender's request is to be refused for good.
pub fn skim(signal: Signal, request: &[u8]) -> Result<Skim, Malformed> {
    walk::request(signal, request)
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for Malformed {}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fault::Varint => "a number is cut off or too long",
            Fault::Length => "a field reaches beyond the message around it",
            Fault::Tag => "not a protobuf field",
            Fault::WireType => "a field has the wrong wire type",
            Fault::Utf8 => "text is not UTF-8",
            Fault::Id => "a trace id must have 16 bytes and a span id 8",
            Fault::Depth => "values are nested too deep",
        })
    }
}

#[cfg(test)]
mod tests;
