//! OTLP as bytes.
//!
//! An OTLP export request stays the protobuf bytes it arrived in. This crate checks and counts them, rewrites resource
//! attributes inside them, puts requests together and takes them apart, reads them through borrowing views, and
//! translates OTLP/JSON. No async, no I/O, no configuration, no `unsafe`; unknown fields survive every operation.

mod chain;
pub mod fields;
pub mod json;
pub mod rpc;
pub mod schema;
mod signal;
mod value;
pub mod view;
pub mod write;

pub use chain::Chain;
pub use signal::Signal;
pub use value::Value;
