//! The program `otel-agent`: an allocator that gives memory back, and the command line.

use std::process::ExitCode;

/// With the two settings in `.cargo/config.toml` it returns what a burst used within a second or two.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    otel_agent::cli::main()
}
