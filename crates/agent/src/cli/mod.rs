//! The command line: arguments, what each subcommand does, exit codes.

/// Every problem of a configuration.
pub mod validate;

/// What this program has.
pub mod components;

/// The configuration in force, and where each value comes from.
pub mod print_config;
