//! The command line: arguments, what each subcommand does, exit codes (0 done, 1 a problem, 2 wrong arguments).

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

/// Runs the agent.
mod run;

/// OpenTelemetry agent for every Kubernetes node, configured like the OpenTelemetry Collector.
#[derive(Parser)]
#[command(name = "otel-agent", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Try it: otel-agent demo\nRun it: otel-agent --config agent.yaml")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration and print every problem of it, with place and remedy
    Validate(Sources),
    /// List the components of this program, with the state of each
    Components,
    /// Print the configuration in force, and where each value comes from
    #[command(alias = "print-initial-config")]
    PrintConfig(PrintConfig),
    /// Start the agent on loopback with a backend and a small application, and show what happens
    Demo(Demo),
    /// Print a script that completes the arguments in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sources {
    /// A file, `env:NAME`, or `yaml:key::key: value`; may be repeated, later ones win
    #[arg(long, value_name = "SOURCE")]
    pub(crate) config: Vec<String>,
    /// One value, applied after every --config: --set processors.batch.timeout=2s
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Args)]
struct PrintConfig {
    #[command(flatten)]
    sources: Sources,
    /// Whether secrets are shown
    #[arg(long, default_value = "redacted", value_parser = ["redacted", "unredacted"])]
    mode: String,
    /// How it is written
    #[arg(long, default_value = "yaml", value_parser = ["yaml", "json"])]
    format: String,
    /// Check it first
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    validate: bool,
}

#[derive(Args)]
struct Demo {
    /// Stop after one round; the exit code is 0 only if every item arrived and the ledger balances
    #[arg(long)]
    once: bool,
}

/// Reads the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are "errors" that go to standard output with exit code 0.
            let _a_closed_pipe_is_no_reason_to_fail = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match arguments.command {
        None => run::main(&arguments.run),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Arguments::command(), "otel-agent", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Some(_) => unreachable!(),
    }
}
