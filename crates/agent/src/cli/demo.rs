//! `otel-agent demo`: the agent, an application and a backend in one process, on loopback.
//!
//! The agent is the real one, with a configuration as anyone could write it; the application is made with the
//! OpenTelemetry SDK as it comes; the backend counts what arrives. At the end all figures must agree.

/// The application.
mod application;

/// The backend.
mod backend;

/// The pods that stand for a cluster.
mod pods;

/// Counts by signal.
mod tally;

/// Ports.
mod ports;

/// What is printed.
mod show;

use std::io::Write;
use std::process::ExitCode;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::application::{Application, Load, OWN_KEYS};
use self::backend::Backend;
use self::ports::Ports;
use self::show::{Figures, Places};
use super::{report, run};
use crate::agent::{Agent, Identity};
use crate::config::{self, Plan};
use crate::pipeline::Ledger;
use crate::telemetry::logs;

/// `otel-agent demo`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Stop once everything has arrived; the exit code is 0 only if the ledger balances and nothing is missing
    #[arg(long)]
    pub(super) once: bool,
}

/// The configuration.
const CONFIG: &str = include_str!("../../../../deploy/demo/config.yaml");

/// The attributes that the configuration adds.
const ADDED: &[(&str, &str)] = &[("k8s.cluster.name", "demo"), ("deployment.environment.name", "demo")];

/// With `--once`: three seconds.
const SHORT: Load = Load { requests: Some(50), pause: Duration::from_millis(60), export_every: Duration::from_secs(1) };

/// Without: until Ctrl-C.
const ENDLESS: Load = Load { requests: None, pause: Duration::from_millis(100), export_every: Duration::from_secs(2) };

/// The backend is here and works, so this is plenty.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Plays the demo and returns the exit code: 0 if everything arrived.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let played = run::runtime().and_then(|runtime| runtime.block_on(play(arguments.once)));
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whether everything went as it should. For a process of its own: the memory limiter looks at all of its memory, and the
/// log is the process's.
async fn play(once: bool) -> anyhow::Result<bool> {
    let pods = pods::read(pods::LIST)?;
    let backend = Backend::start(ADDED, pods.clone())?;
    let ports = Ports::choose()?;
    let list = pods::File::write()?;
    let plan = plan(&ports, &backend, &list)?;
    let logs = logs::init(&plan.telemetry.logs.options())?;
    let identity = Identity::new(Some(logs));
    let agent = Agent::start(plan, identity.clone()).await?;

    let places = Places::new(&ports, &backend);
    print(&show::welcome(&pods, &places, once));
    let load = if once { SHORT } else { ENDLESS };
    let application = Application::start(&pods, &format!("http://{}", places.http), load, &Handle::current())?;
    let stage = Stage { ledger: identity.ledger, done: application.done().clone(), backend, once };
    stage.watch(&application).await?;

    print("\nStopping: first the application, then the agent, then the backend.\n");
    let stopped = tokio::task::spawn_blocking(move || application.stop()).await?;
    agent.stop(Instant::now() + DRAIN_WITHIN).await;
    let mut figures = stage.figures();
    figures.last_failure = figures.last_failure.or_else(|| stopped.err().map(|error| format!("{error:#}")));
    print(&show::summary(&figures, &stage.resource(), OWN_KEYS));
    stage.backend.stop().await;
    Ok(figures.faults().is_empty())
}

fn plan(ports: &Ports, backend: &Backend, list: &pods::File) -> anyhow::Result<Plan> {
    let backend = backend.address().to_string();
    let variable = |name: &str| match name {
        "DEMO_BACKEND" => Some(backend.clone()),
        "DEMO_PODS" => Some(list.path().to_owned()),
        name => ports.variable(name),
    };
    let request = config::Request { configs: vec![format!("yaml:{CONFIG}")], sets: Vec::new() };
    let loaded = config::load_in(&request, &config::World { variable: &variable, memory_limit: None });
    let problems = loaded.problems.lines();
    loaded.plan.with_context(|| format!("the embedded configuration: {problems}"))
}

/// All that is on stage while the demo plays.
struct Stage {
    ledger: Ledger,
    done: std::sync::Arc<application::Done>,
    backend: Backend,
    once: bool,
}

impl Stage {
    /// Prints progress until the application is done, or somebody wants to stop.
    async fn watch(&self, application: &Application) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        second.tick().await;
        let mut look = interval(Duration::from_millis(50));
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        loop {
            tokio::select! {
                _ = second.tick() => print(&show::progress(started.elapsed().as_secs_f64(), &self.figures())),
                _ = look.tick() => if application.finished() { return Ok(()) },
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
            }
        }
    }

    fn figures(&self) -> Figures {
        let got = self.backend.got();
        let last_failure = self.done.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut figures = Figures {
            made: self.done.created.counts(),
            acknowledged: self.done.acknowledged.counts(),
            arrived: got.items.counts(),
            bare_resources: got.without_attributes.load(Relaxed),
            failed_requests: self.done.failed.load(Relaxed) + got.malformed.load(Relaxed),
            last_failure,
            balanced: self.ledger.balance().is_ok(),
            open_to_others: !self.once,
            ..Figures::default()
        };
        for entry in self.ledger.entries() {
            let signal = entry.signal.index();
            figures.accepted[signal] += entry.accepted;
            figures.sent[signal] += entry.sent;
            figures.dropped += entry.dropped.iter().sum::<u64>();
            figures.held += entry.held;
        }
        figures
    }

    fn resource(&self) -> Vec<(String, String)> {
        self.backend.got().last_resource.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A reader that went away does not matter.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_configuration_has_no_problems_and_adds_what_the_backend_looks_for() {
        for (key, value) in ADDED {
            assert!(CONFIG.contains(&format!("{{key: {key}, value: {value},")), "{key}");
        }
        let request = config::Request { configs: vec![format!("yaml:{CONFIG}")], sets: Vec::new() };
        let loaded = config::load_in(&request, &config::World { variable: &|_| None, memory_limit: None });
        assert!(loaded.plan.is_some() && loaded.problems.lines().is_empty(), "{}", loaded.problems.lines());
    }
}
