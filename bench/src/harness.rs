//! The runs: which program, which load, in which order; every finished run is printed at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::free_address;

use crate::load::{self, Load, Senders};
use crate::pods;
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
    /// The agent's release binary; `scripts/release.sh` builds it and says where it is.
    #[arg(long)]
    agent: PathBuf,
    /// Seconds of load in a run.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Runs of each program and load.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only what `k8s_attributes` costs.
    #[arg(long)]
    pods_only: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Agent,
    Reencode,
    /// The agent without and with `k8s_attributes`.
    Plain,
    Enriching,
    /// And with all labels of the pods.
    Labelling,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Agent => "otel-agent",
            Program::Reencode => "decode+edit+encode",
            Program::Plain => "without k8s_attributes",
            Program::Enriching => "with k8s_attributes",
            Program::Labelling => "with k8s_attributes and labels",
        }
    }
}

/// Runs everything and prints it.
pub(crate) async fn run(options: Options) -> Result<()> {
    pin_to_processor_1();
    let size = std::fs::metadata(&options.agent)
        .with_context(|| format!("{}: build it with `scripts/release.sh`", options.agent.display()))?
        .len();
    println!("# binary {:.1} MB, {} rounds of {} s", size as f64 / 1e6, options.rounds, options.seconds);
    let duration = Duration::from_secs_f64(options.seconds);
    let few = |points, rate| Load { points, duration, rate, senders: Senders::Few };
    if !options.pods_only {
        idle(&options).await?;
        let loads = [
            ("saturation, 200 points a request", few(200, None)),
            ("saturation, 1000 points a request", few(1000, None)),
            ("saturation, 10 points a request", few(10, None)),
            ("50 000 points/s, 200 points a request", few(200, Some(50_000.0))),
            ("10 000 points/s, 200 points a request", few(200, Some(10_000.0))),
        ];
        compare(&options, [Program::Agent, Program::Reencode], &loads).await?;
    }
    let pods = |points| Load { points, duration, rate: None, senders: Senders::Pods(pods::SENDING) };
    let loads = [("200 pods, 10 points a request", pods(10)), ("200 pods, 1000 points a request", pods(1000))];
    compare(&options, [Program::Enriching, Program::Plain], &loads).await?;
    memory_of_pods(&options).await
}

/// Runs both programs under each load, and prints their figures and the ratio of the first to the second.
async fn compare(options: &Options, pair: [Program; 2], loads: &[(&'static str, Load)]) -> Result<()> {
    let mut report = Report::default();
    for (name, load) in loads {
        for round in 0..options.rounds {
            // The order turns round by round, so that a drift of the machine's speed hits both alike.
            let mut programs = pair;
            programs.rotate_left(round % 2);
            for program in programs {
                let run = measure(options, program, *load).await?;
                report.add(name, program.name(), run);
            }
        }
    }
    let [ours, theirs] = pair.map(Program::name);
    report.print(ours, theirs);
    Ok(())
}

/// What 500 pods with 20 labels each take, each of which has sent something.
async fn memory_of_pods(options: &Options) -> Result<()> {
    let requests = load::requests(10);
    let mut resident = [0.0; 2];
    for (program, resident) in [Program::Plain, Program::Labelling].into_iter().zip(&mut resident) {
        let sink = Sink::start().await?;
        let started = start(options, program, sink.address).await?;
        load::send_once(started.address, pods::KNOWN, &requests).await?;
        sink.wait_for(10 * u64::from(pods::KNOWN)).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        *resident = started.subject.rss()? as f64 / 1_048_576.0;
    }
    let [without, with] = resident;
    println!(
        "# {} pods with {} labels each, all sending once: RSS {with:.1} MiB, without k8s_attributes {without:.1} MiB, {:.1} MiB more",
        pods::KNOWN,
        pods::LABELS,
        with - without
    );
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
    let Started { subject, .. } = &start(options, Program::Agent, sink.address).await?;
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
    let started = start(options, program, sink.address).await?;
    let (subject, address) = (&started.subject, started.address);
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
    let (with_pod, all) = (sink.counts.with_pod.load(Ordering::Relaxed), sink.counts.requests.load(Ordering::Relaxed));
    match program {
        Program::Enriching | Program::Labelling => {
            ensure!(with_pod == all, "{with_pod} of {all} requests have the name of a pod");
        }
        Program::Plain => {
            ensure!(with_pod == 0, "the name of a pod came from somewhere else");
        }
        Program::Agent | Program::Reencode => {}
    }
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

/// A program that takes connections, and the files that it reads.
struct Started {
    subject: Subject,
    address: SocketAddr,
    _files: [tempfile::NamedTempFile; 2],
}

/// Starts the program and waits until it takes connections.
async fn start(options: &Options, program: Program, sink: SocketAddr) -> Result<Started> {
    let address = free_address()?;
    let file = || tempfile::Builder::new().suffix(".yaml").tempfile();
    let (config, list) = (file()?, file()?);
    std::fs::write(list.path(), pods::list())?;
    let processors = processors(program, list.path());
    std::fs::write(config.path(), agent_config(address, sink, free_address()?, &processors))?;
    let subject = match program {
        Program::Reencode => Subject::start(
            &std::env::current_exe()?,
            &["reencode".into(), format!("--listen={address}"), format!("--to={sink}")],
        )?,
        _ => Subject::start(&options.agent, &["--config".to_owned(), config.path().display().to_string()])?,
    };
    for _ in 0..5000 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(Started { subject, address, _files: [config, list] });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    anyhow::bail!("{} does not listen on {address} after 5 s", program.name());
}

/// Processors between `memory_limiter` and `batch`: their settings, and their names with a comma behind each.
fn processors(program: Program, list: &Path) -> (String, &'static str) {
    let upsert = |(key, value): &(&str, &str)| format!("      - {{key: {key}, value: {value}, action: upsert}}\n");
    let resource = |attributes: &[(&str, &str)]| {
        let attributes: String = attributes.iter().map(upsert).collect();
        format!("  resource:\n    attributes:\n{attributes}")
    };
    let cluster = || resource(&ADDED_ATTRIBUTES[..1]);
    match program {
        Program::Agent | Program::Reencode => (resource(ADDED_ATTRIBUTES), "resource, "),
        Program::Plain => (cluster(), "resource, "),
        Program::Enriching | Program::Labelling => {
            let k8s = pods::processor(list, program == Program::Labelling);
            (format!("{k8s}{}", cluster()), "k8s_attributes, resource, ")
        }
    }
}

fn agent_config(
    listen: SocketAddr,
    sink: SocketAddr,
    metrics: SocketAddr,
    (processors, names): &(String, &str),
) -> String {
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '{listen}'}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 400, spike_limit_mib: 80}}
{processors}  batch: {{timeout: {}ms, send_batch_size: {BATCH_ITEMS}}}
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
    metrics: {{receivers: [otlp], processors: [memory_limiter, {names}batch], exporters: [otlp]}}
",
        BATCH_TIMEOUT.as_millis(),
        metrics.port()
    )
}
