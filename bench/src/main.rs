//! Measures the whole agent: OTLP in, resource attributes, batch, OTLP out, on loopback.
//!
//! The program under test is pinned to one core, load and sink to the other. Beside the agent runs `reencode`, the same
//! path done the usual way (decode, edit, encode), in the same harness, alternating round by round, so that the ratio
//! survives a noisy machine. Then the agent is measured against itself: with `k8s_attributes` and 200 pods that send from
//! their own addresses, and without. What is printed is raw, one line a run, then medians with their spread.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod harness;
mod load;
mod pods;
mod process;
mod reencode;
mod report;
mod sink;

/// The agent under load.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: harness::Options,
}

#[derive(Subcommand)]
enum Command {
    /// The comparison: an OTLP gRPC forwarder that decodes, edits and encodes (started by the harness itself).
    Reencode(reencode::Options),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match arguments.command {
        Some(Command::Reencode(options)) => runtime.block_on(reencode::run(options)),
        None => runtime.block_on(harness::run(arguments.run)),
    }
}
