//! OTLP as bytes.
//!
//! An OTLP export request stays the protobuf bytes it arrived in. This crate checks and counts them, rewrites resource
//! attributes inside them, puts requests together and takes them apart, reads them through borrowing views, and
//! translates OTLP/JSON. No async, no I/O, no configuration, no `unsafe`; unknown fields survive every operation.

// What a request is.
mod chain;
pub mod schema;
mod signal;
mod value;

// Checking and reading it.
mod count;
pub mod fields;
mod skim;
pub mod view;

// Changing it, taking it apart.
mod assemble;
mod cursor;
mod edit;
mod patch;
mod split;

// Other forms, and the answers to it.
pub mod json;
pub mod rpc;
pub mod write;

pub use chain::Chain;
pub use count::count;
pub use edit::{Action, AttributeEditor, Edits, Item, Level, edit, splice};
pub use signal::Signal;
pub use skim::{Fault, MAX_DEPTH, Malformed, Skim, skim};
pub use split::{Limits, Piece, split, split_at};
pub use value::Value;
