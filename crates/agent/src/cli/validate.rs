//! `otel-agent validate`: every problem of a configuration, with place and remedy. Prints nothing when there is none.

use std::io::Write;
use std::process::ExitCode;

use crate::config::{Loaded, Request, load, render};

/// Checks a configuration. Exit code 1 if it has errors; warnings alone leave it at 0.
#[must_use]
pub fn main(request: &Request) -> ExitCode {
    let loaded = load(request);
    print_problems(&loaded);
    if loaded.plan.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the problems of a configuration to standard error, in colour if that is a terminal that wants it.
pub fn print_problems(loaded: &Loaded) {
    let text = render::render(&loaded.problems, &loaded.sources, true);
    // The stream takes the colours out again where they are not wanted: no terminal, NO_COLOR.
    // A standard error that is closed leaves nobody to tell; the exit code still does.
    let _closed = anstream::stderr().write_all(text.as_bytes());
}
