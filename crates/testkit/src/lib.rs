//! What tests and benchmarks share: generators, fake peers, a reference decoder, `AgentProcess`.

pub mod backend;

pub mod pki;
