//! The runs: which program, which load, in which order; every finished run is printed at once.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::load::{self, Load};
use crate::process::Subject;
use crate::report::{Report, Run};
use crate::sink::Sink;

/// Attributes that every program under test adds to every resource.
pub(crate) const ADDED_ATTRIBUTES: &[(&str, &str)] = &[
    ("k8s.cluster.name", "bench"),
    ("k8s.namespace.name", "fastapi-metrics"),
    ("k8s.deployment.name", "fastapi-metrics"),
    ("k8s.pod.name", "fastapi-metrics-5d4f8c7b9-x2x7k"),
    ("k8s.node.name", "node-1"),
];
/// Items of a batch, and how long a batch waits for them: the Collector's defaults.
pub(crate) const BATCH_ITEMS: usize = 8192;
/// See [`BATCH_ITEMS`].
pub(crate) const BATCH_TIMEOUT: Duration = Duration::from_millis(200);

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The agent's release binary.
    #[arg(long, default_value = "target/release/otel-agent")]
    agent: PathBuf,
    /// Seconds of load in a run.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Runs of each program and load.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Agent,
    Reencode,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Agent => "otel-agent",
            Program::Reencode => "decode+edit+encode",
        }
    }
}

/// Runs everything and prints it.
pub(crate) async fn run(options: Options) -> Result<()> {
    pin_to_processor_1();
    let size = std::fs::metadata(&options.agent)
        .with_context(|| format!("{}: build it with `cargo build --release`", options.agent.display()))?
        .len();
    println!("# binary {:.1} MB, {} rounds of {} s", size as f64 / 1e6, options.rounds, options.seconds);
    idle(&options).await?;
    let duration = Duration::from_secs_f64(options.seconds);
    let loads = [
        ("saturation, 200 points a request", Load { points: 200, duration, rate: None }),
        ("saturation, 1000 points a request", Load { points: 1000, duration, rate: None }),
        ("saturation, 10 points a request", Load { points: 10, duration, rate: None }),
        ("50 000 points/s, 200 points a request", Load { points: 200, duration, rate: Some(50_000.0) }),
        ("10 000 points/s, 200 points a request", Load { points: 200, duration, rate: Some(10_000.0) }),
    ];
    let mut report = Report::default();
    for (name, load) in loads {
        for round in 0..options.rounds {
            // The order turns round by round, so that a drift of the machine's speed hits both alike.
            let mut programs = [Program::Agent, Program::Reencode];
            programs.rotate_left(round % 2);
            for program in programs {
                let run = measure(&options, program, load).await?;
                report.add(name, program.name(), run);
            }
        }
    }
    report.print(Program::Agent.name(), Program::Reencode.name());
    Ok(())
}

/// Keeps load and sink off the processor of the program under test.
fn pin_to_processor_1() {
    let own = std::process::id().to_string();
    let _where_there_is_only_one =
        std::process::Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", "1", &own]).output();
}

async fn idle(options: &Options) -> Result<()> {
    let sink = Sink::start().await?;
    let started = Instant::now();
    let (subject, _, _config) = start(options, Program::Agent, sink.address).await?;
    let ready = started.elapsed();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = subject.cpu()?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let cpu = subject.cpu()?.saturating_sub(before);
    println!(
        "# idle: start to first accepted connection {} ms, RSS {:.1} MiB, CPU {:.3} % of a core",
        ready.as_millis(),
        subject.rss()? as f64 / 1_048_576.0,
        cpu.as_secs_f64() / 5.0 * 100.0
    );
    Ok(())
}

async fn measure(options: &Options, program: Program, load: Load) -> Result<Run> {
    let sink = Sink::start().await?;
    let (subject, address, _config) = start(options, program, sink.address).await?;
    let requests = Arc::new(load::requests(load.points));
    let warm_up = Load { duration: Duration::from_millis(300), ..load };
    let warm = load::send(address, warm_up, requests.clone()).await?;
    sink.wait_for(warm.items).await?;
    let before = subject.cpu()?;
    let start = Instant::now();
    let sent = load::send(address, load, requests).await?;
    sink.wait_for(warm.items + sent.items).await?;
    let cpu = subject.cpu()?.saturating_sub(before);
    let arrived = sink.counts.items.load(Ordering::Relaxed);
    ensure!(arrived == warm.items + sent.items, "{arrived} items arrived, {} sent", warm.items + sent.items);
    ensure!(sink.counts.without_attribute.load(Ordering::Relaxed) == 0, "the added attribute is missing");
    Ok(Run {
        cpu_per_million: cpu.as_secs_f64() / sent.items as f64 * 1e6,
        items_per_second: sent.items as f64 / start.elapsed().as_secs_f64(),
        peak_rss: subject.peak_rss()?,
        p50: percentile(&sent.latencies, 0.50),
        p99: percentile(&sent.latencies, 0.99),
        refused: sent.refused,
        points: load.points,
    })
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Starts the program and waits until it takes connections.
async fn start(
    options: &Options,
    program: Program,
    sink: SocketAddr,
) -> Result<(Subject, SocketAddr, tempfile::NamedTempFile)> {
    let address = free_address()?;
    let config = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    std::fs::write(config.path(), agent_config(address, sink, free_address()?))?;
    let subject = match program {
        Program::Agent => {
            Subject::start(&options.agent, &["--config".to_owned(), config.path().display().to_string()])?
        }
        Program::Reencode => Subject::start(
            &std::env::current_exe()?,
            &["reencode".into(), format!("--listen={address}"), format!("--to={sink}")],
        )?,
    };
    for _ in 0..5000 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok((subject, address, config));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    anyhow::bail!("{} does not listen on {address} after 5 s", program.name());
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn agent_config(listen: SocketAddr, sink: SocketAddr, metrics: SocketAddr) -> String {
    let attributes: String = ADDED_ATTRIBUTES
        .iter()
        .map(|(key, value)| format!("      - {{key: {key}, value: {value}, action: upsert}}\n"))
        .collect();
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '{listen}'}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 400, spike_limit_mib: 80}}
  resource:
    attributes:
{attributes}  batch: {{timeout: {}ms, send_batch_size: {BATCH_ITEMS}}}
exporters:
  otlp:
    endpoint: '{sink}'
    compression: none
    tls: {{insecure: true}}
service:
  telemetry:
    metrics:
      readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {}}}}}}}}}]
  pipelines:
    metrics: {{receivers: [otlp], processors: [memory_limiter, resource, batch], exporters: [otlp]}}
",
        BATCH_TIMEOUT.as_millis(),
        metrics.port()
    )
}
