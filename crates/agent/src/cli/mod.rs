//! The command line: arguments, what each subcommand does, exit codes (0 done, 1 a problem, 2 wrong arguments).

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::{Request, effective};

/// Runs the agent.
mod run;

/// Every problem of a configuration.
pub mod validate;

/// What a configuration makes of the memory that there is.
pub mod memory;

/// What this program has.
pub mod components;

/// The configuration in force, and where each value comes from.
pub mod print_config;

/// Whether a running agent takes data.
mod healthcheck;

/// The program called by another name.
mod applet;

/// The objects of a deployment.
pub mod manifests;

/// What a configuration asks of its pod.
mod workload;

/// The agent, an application and a backend in one process.
mod demo;

/// From a collector to an agent on each node.
mod migrate;

/// What a load costs.
mod plan;

/// What is wrong with the agent in a cluster.
mod doctor;

/// How problems and errors are told while the agent runs.
mod report;

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
    /// Check a configuration and print every problem of it, with place and remedy, and the memory that it gives to telemetry
    Validate(Sources),
    /// List the components of this program, with the state of each
    Components,
    /// Print the configuration in force, and where each value comes from
    #[command(alias = "print-initial-config")]
    PrintConfig(PrintConfig),
    /// Ask a running agent whether it takes data: exit code 0 if it does; for exec probes
    Healthcheck(healthcheck::Arguments),
    /// Write the Kubernetes objects of a deployment: one agent on each node, or a gateway
    Manifests(Box<manifests::Arguments>),
    /// Start the agent on loopback with a backend and a small application, and show what happens
    Demo(demo::Arguments),
    /// Replace a collector by an agent on each node: report, manifests, applications to move, when the old one can go
    Migrate(Box<migrate::Arguments>),
    /// Say what a load costs as a DaemonSet, beside central pools, and which to take
    Plan(plan::Arguments),
    /// Tell what is wrong with the agent in a Kubernetes cluster, and the commands that mend it
    Doctor(doctor::Arguments),
    /// Print a script that completes the arguments in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Sources {
    /// What is to be loaded.
    pub(crate) fn request(&self) -> Request {
        Request { configs: self.config.clone(), sets: self.set.clone() }
    }
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
    #[arg(long, value_enum, default_value = "redacted")]
    mode: Mode,
    /// How it is written
    #[arg(long, value_enum, default_value = "yaml")]
    format: Format,
    /// Check it first
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    validate: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Mode {
    Redacted,
    Unredacted,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
}

impl PrintConfig {
    fn run(&self) -> ExitCode {
        let format = match self.format {
            Format::Yaml => print_config::Format::Yaml,
            Format::Json => print_config::Format::Json,
        };
        let mode = match self.mode {
            Mode::Redacted => effective::Mode::Redacted,
            Mode::Unredacted => effective::Mode::Unredacted,
        };
        print_config::main(&self.sources.request(), format, mode, self.validate)
    }
}

/// Reads the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(done) = applet::called() {
        return done;
    }
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
        Some(Command::Healthcheck(arguments)) => healthcheck::main(&arguments),
        Some(Command::Demo(arguments)) => demo::main(&arguments),
        Some(Command::Migrate(arguments)) => migrate::main(&arguments),
        Some(Command::Plan(arguments)) => plan::main(&arguments),
        Some(Command::Doctor(arguments)) => doctor::main(&arguments),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Arguments::command(), "otel-agent", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Some(Command::Validate(sources)) => validate::main(&sources.request()),
        Some(Command::Components) => components::main(),
        Some(Command::PrintConfig(options)) => options.run(),
        Some(Command::Manifests(arguments)) => manifests::main(&arguments),
    }
}
