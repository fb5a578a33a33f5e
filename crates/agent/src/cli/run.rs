//! Runs the agent until it is told to stop: signals, watching the configuration, exit code.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::validate::print_problems;
use super::{Sources, report};
use crate::agent::{Agent, Identity};
use crate::config::{self, Loaded, Plan, Request};
use crate::settings::GoDuration;
use crate::telemetry::cgroup;
use crate::telemetry::logs::{self, Logs};

/// How to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    sources: Sources,
    /// Load the configuration again when a file of it changes (as SIGHUP does); a bad one is refused
    #[arg(long)]
    watch_config: bool,
    /// Time for sending what is held after SIGTERM; less than the pod's terminationGracePeriodSeconds
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration)]
    drain_timeout: Duration,
}

/// A duration that is more than nothing, as an argument.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = GoDuration::parse(text).map_err(|error| error.to_string())?;
    parsed.positive().ok_or_else(|| "must be greater than zero".to_owned())
}

/// A file that changes is seen after this long; the kubelet itself takes up to a minute to bring a new ConfigMap.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Repeats of log lines are told at least this often.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// More threads than this bring nothing to an agent of one node.
const MOST_WORKERS: usize = 4;
/// Threads for what blocks: looking up names, files, packing large requests. Each keeps what compressing takes (some
/// 300 KiB), and tokio would make up to 512 of them.
const MOST_BLOCKING: usize = 16;

/// Runs and returns the exit code: 0 after a clean stop, 1 when it could not start.
pub(crate) fn main(options: &Options) -> ExitCode {
    let request = options.sources.request();
    let loaded = config::load(&request);
    print_problems(&loaded);
    match start(loaded, options, &request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(loaded: Loaded, options: &Options, request: &Request) -> Result<()> {
    let Some(plan) = &loaded.plan else { bail!("the configuration has errors; nothing was started") };
    let logs = logs::init(&plan.telemetry.logs.options())?;
    raise_open_files();
    let result = runtime()?.block_on(run(loaded, options, request, logs.clone()));
    logs.finish();
    result
}

/// The runtime of the agent, sized by the CPU quota of the container.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cgroup::worker_threads(cgroup::Limits::of_this_process(), available, MOST_WORKERS);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).max_blocking_threads(MOST_BLOCKING).thread_name("otel-agent").enable_all();
    builder.build().context("cannot start the runtime")
}

/// Each connection is an open file; the soft limit of many systems is 1024.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        warn!(%error, limit = ?limit.current, "The number of open files stays as it is; it bounds the connections.");
    }
}

/// What the agent is told from outside.
enum Event {
    Stop(&'static str),
    Reload(&'static str),
}

struct Events {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Events {
    fn listen() -> Result<Events> {
        let of = |kind| signal(kind).context("cannot listen for signals");
        Ok(Events {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Stop("terminated"),
            _ = self.interrupt.recv() => Event::Stop("interrupt"),
            _ = self.hangup.recv() => Event::Reload("SIGHUP"),
        }
    }
}

async fn run(loaded: Loaded, options: &Options, request: &Request, logs: Logs) -> Result<()> {
    // Signals are listened for before anything is started, so that none is missed.
    let mut events = Events::listen()?;
    let mut seen = loaded.sources.fingerprint();
    let checksums = loaded.sources.checksums(request);
    let plan = loaded.plan.context("a configuration with errors is not run")?;
    let mut agent = Agent::start(plan, Identity::new(Some(logs.clone()))).await?;
    agent.identity().show_config(&checksums);
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweep = interval(SWEEP_EVERY);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Event::Stop(signal) => {
                    info!(signal, "Received signal from OS");
                    break;
                }
                Event::Reload(reason) => seen = reload(&mut agent, config::load(request), request, reason).await,
            },
            _ = look.tick(), if options.watch_config => {
                let loaded = config::load(request);
                if loaded.sources.fingerprint() != seen {
                    seen = reload(&mut agent, loaded, request, "its text has changed").await;
                }
            }
            _ = sweep.tick() => logs.sweep(),
        }
    }
    stop(agent, events, options.drain_timeout).await;
    Ok(())
}

/// Stops; a second signal ends the waiting for what is held.
async fn stop(agent: Agent, mut events: Events, timeout: Duration) {
    let mut stopping = std::pin::pin!(agent.stop(Instant::now() + timeout));
    loop {
        tokio::select! {
            _ = &mut stopping => return,
            event = events.next() => if let Event::Stop(signal) = event {
                error!(signal, "Received a second signal: what has not been delivered is lost.");
                return;
            },
        }
    }
}

async fn change_over(agent: &mut Agent, plan: Plan) -> bool {
    let Err(error) = agent.reload(plan).await else { return true };
    let error = format!("{error:#}");
    error!(error, "The new configuration cannot be started; the running one stays in force.");
    false
}

/// Changes over to what was loaded, if it is good and something else. Returns its fingerprint.
async fn reload(agent: &mut Agent, loaded: Loaded, request: &Request, reason: &str) -> u64 {
    info!(reason, "Loading the configuration");
    let fingerprint = loaded.sources.fingerprint();
    let checksums = loaded.sources.checksums(request);
    report::log_problems(&loaded);
    let applied = match loaded.plan {
        None => {
            error!("The new configuration has errors; the running one stays in force.");
            false
        }
        Some(plan) if plan == *agent.plan() => {
            info!("The configuration means the same as before; nothing changes.");
            true
        }
        Some(plan) => change_over(agent, plan).await,
    };
    agent.identity().count_reload(applied);
    if applied {
        agent.identity().show_config(&checksums);
    }
    fingerprint
}
