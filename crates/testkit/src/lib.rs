//! What tests and benchmarks share: generators, fake peers, a reference decoder, `AgentProcess`.

pub mod backend;
/// Requests to test and measure with.
pub mod generate;

pub mod pki;

/// The agent as a child process.
pub mod process;

pub use process::{AgentProcess, free_address};
