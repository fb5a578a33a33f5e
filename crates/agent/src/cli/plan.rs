//! `otel-agent plan`: what a load costs as a DaemonSet, beside central pools, and which to take.

use std::io::Write as _;
use std::process::ExitCode;

use cluster::sizing::{self, Choices, Load, Signal};

/// The arguments of `plan`.
#[derive(clap::Args)]
#[command(after_help = "Example: otel-agent plan --nodes 50 --rate 2000 --items-per-request 50")]
pub(crate) struct Arguments {
    /// Nodes with applications
    #[arg(long)]
    nodes: u32,
    /// Items (spans, data points, log records) a second, each node
    #[arg(long, value_name = "ITEMS")]
    rate: f64,
    /// Bytes of an item on the wire
    #[arg(long, value_name = "BYTES", default_value_t = 250.0)]
    item_bytes: f64,
    /// Items that applications put into one request
    #[arg(long, value_name = "ITEMS", default_value_t = 50.0)]
    items_per_request: f64,
    /// What is sent, in equal parts
    #[arg(long, value_enum, value_delimiter = ',', default_value = "traces,metrics,logs")]
    signals: Vec<Kind>,
    /// How long the backend may be away while the agents keep everything in memory
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    outage: f64,
    /// Replicas of the central pool that is compared with [default: as many as the load takes, two at least]
    #[arg(long, value_name = "COUNT")]
    pool_replicas: Option<u32>,
    /// Processor seconds of your Collectors for a million items [default: a published figure]
    #[arg(long, value_name = "SECONDS")]
    collector_cpu_per_million: Option<f64>,
    /// The senders are outside of the cluster
    #[arg(long)]
    external_senders: bool,
    /// All data has to be seen in one place, for tail sampling for instance
    #[arg(long)]
    central_processing: bool,
    /// How the answer is written
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Traces,
    Metrics,
    Logs,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Answers, or tells every argument that cannot be used (exit code 2).
pub(crate) fn main(arguments: &Arguments) -> ExitCode {
    let (load, choices) = arguments.question();
    let problems = sizing::problems(&load, &choices);
    if !problems.is_empty() {
        for problem in problems {
            anstream::eprintln!("error: {problem}");
        }
        return ExitCode::from(2);
    }
    let report = sizing::plan(&load, &choices);
    let text = match arguments.output {
        Output::Text => report.text(),
        Output::Json => match serde_json::to_string_pretty(&report) {
            Ok(text) => text + "\n",
            Err(error) => {
                anstream::eprintln!("Error: the answer cannot be written as JSON: {error}");
                return ExitCode::FAILURE;
            }
        },
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

impl Arguments {
    fn question(&self) -> (Load, Choices) {
        let mut signals: Vec<Signal> = Vec::new();
        for kind in &self.signals {
            let signal = match kind {
                Kind::Traces => Signal::Traces,
                Kind::Metrics => Signal::Metrics,
                Kind::Logs => Signal::Logs,
            };
            if !signals.contains(&signal) {
                signals.push(signal);
            }
        }
        let load = Load {
            nodes: self.nodes,
            items_per_second: self.rate,
            bytes_per_item: self.item_bytes,
            items_per_request: self.items_per_request,
            signals,
            outage_seconds: self.outage,
        };
        let choices = Choices {
            pool_replicas: self.pool_replicas,
            collector_cpu_per_million: self.collector_cpu_per_million,
            external_senders: self.external_senders,
            central_processing: self.central_processing,
        };
        (load, choices)
    }
}
