//! `otel-agent validate`: every problem of a configuration, with place and remedy, and what it makes of the memory that
//! there is.

use std::io::Write;
use std::process::ExitCode;

use super::memory;
use crate::config::{Loaded, Request, load, render};
use crate::telemetry::cgroup::Limits;

/// Checks a configuration. Exit code 1 if it has errors; warnings alone leave it at 0.
#[must_use]
pub fn main(request: &Request) -> ExitCode {
    let loaded = load(request);
    print_problems(&loaded);
    let Some(plan) = &loaded.plan else { return ExitCode::FAILURE };
    // Whoever has closed standard output does not want to know.
    let _closed = std::io::stdout().write_all(memory::text(plan, Limits::of_this_process()).as_bytes());
    ExitCode::SUCCESS
}

/// Writes the problems of a configuration to standard error, in colour if that is a terminal that wants it.
pub fn print_problems(loaded: &Loaded) {
    let text = render::render(&loaded.problems, &loaded.sources, true);
    // The stream takes the colours out again where they are not wanted: no terminal, NO_COLOR.
    // A standard error that is closed leaves nobody to tell; the exit code still does.
    let _closed = anstream::stderr().write_all(text.as_bytes());
}
