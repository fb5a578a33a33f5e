//! What a person writes in the configuration, as types: places, problems, durations, sizes, endpoints.
//!
//! A component's settings are one `settings!` listing: a struct, its defaults, how it is read from YAML with every
//! problem collected, and its page in the reference. This room knows YAML text and single values; it leaves files,
//! environment and merging to `config`.

/// Where in which source a piece of configuration stands.
pub mod place;

/// The YAML tree with places.
pub mod node;

/// From YAML text to the tree.
pub mod parse;

/// What is wrong, where, and what to do about it.
pub mod problem;

/// What a value of the configuration can do: be read, be written, describe itself.
pub mod setting;

/// The macros `settings!` and `words!`.
pub mod section;

mod basic;
mod collections;
mod value;

/// Durations in Go's grammar.
pub mod duration;

/// Numbers of bytes.
pub mod size;

/// Text that is never printed.
pub mod secret;

/// Sections that are absent, on, or off.
pub mod toggle;

/// Component ids: `type` or `type/name`.
pub mod id;

/// `host:port` pairs.
pub mod endpoint;

mod nearest;
mod scalar;

pub use duration::GoDuration;
pub use endpoint::Endpoint;
pub use id::ComponentId;
pub use nearest::nearest;
pub use node::{Entry, Expansion, Node, Yaml};
pub use parse::parse;
pub use place::{FileId, Place};
pub use problem::{Problem, Problems, Severity};
pub use scalar::resolve as resolve_scalar;
pub use secret::Secret;
pub use section::Listing;
pub(crate) use section::{settings, words};
pub use setting::{FieldDoc, Reader, SectionDoc, Setting, Shape};
pub use size::ByteSize;
pub use toggle::Toggle;

/// Reads settings from a piece of YAML text; the problems as lines of text otherwise. For tests and embedded defaults.
///
/// # Errors
/// Every problem, one a line, as `path: what; remedy`.
pub fn read_text<T: Setting>(yaml: &str) -> Result<T, String> {
    let mut problems = Problems::default();
    let node = parse(FileId(0), yaml, &mut problems);
    let value = node.and_then(|node| T::read(&node, &mut Reader::new(&mut problems, &node)));
    match value {
        Some(value) if !problems.any_errors() => Ok(value),
        _ => Err(problems.lines()),
    }
}

#[cfg(test)]
mod tests;
