//! `otel-agent print-config`: the configuration in force, every default filled in, and where each value comes from.

use std::io::Write;
use std::process::ExitCode;

use crate::cli::validate::print_problems;
use crate::config::effective::{self, Mode};
use crate::config::{Request, load};

/// How the configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// With the origin of each value in a comment.
    Yaml,
    /// Without origins.
    Json,
}

/// Prints a configuration. With `validate`, one with errors is not printed and the exit code is 1; without it, whatever
/// could be read is printed.
#[must_use]
pub fn main(request: &Request, format: Format, mode: Mode, validate: bool) -> ExitCode {
    let loaded = load(request);
    if loaded.problems.any_errors() {
        print_problems(&loaded);
        if validate || loaded.config.tree.is_null() {
            return ExitCode::FAILURE;
        }
    }
    let text = match format {
        Format::Yaml => effective::yaml(&loaded.config, &loaded.sources, mode),
        Format::Json => effective::json(&loaded.config, mode),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
