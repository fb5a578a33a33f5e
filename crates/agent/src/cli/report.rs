//! How errors are told at the end, and problems of a configuration while the agent runs: in its log.

use crate::config::Loaded;
use crate::settings::Severity;

/// Prints why the program ends.
pub(crate) fn error(error: &anyhow::Error) {
    anstream::eprintln!("Error: {error:#}");
}

/// Writes every problem to the log, a line each.
pub(crate) fn log_problems(loaded: &Loaded) {
    for problem in loaded.problems.iter() {
        let place = loaded.sources.describe(problem.place);
        match problem.severity {
            Severity::Error => tracing::error!(path = problem.path, place, remedy = problem.remedy, "{}", problem.what),
            Severity::Warning => {
                tracing::warn!(path = problem.path, place, remedy = problem.remedy, "{}", problem.what);
            }
            Severity::Note => tracing::info!(path = problem.path, place, remedy = problem.remedy, "{}", problem.what),
        }
    }
}
