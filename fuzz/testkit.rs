//! The generators of the crate `testkit`, without the rest of it.

#[path = "../crates/testkit/src/generate/mod.rs"]
pub mod generate;
