//! The agent's own log: one line per event on standard error, readable by people or as JSON.
//!
//! A subscriber of our own for `tracing`, because of what the lines must do: look like the Collector's, be safe to print
//! on a terminal whatever a stranger sent, and say once how often something was repeated instead of repeating it. Spans
//! are not kept; what a line needs to say stands in its fields.

/// One line and its two encodings.
mod line;

/// Where lines go.
mod output;

/// Which lines are left out, and the count of them.
mod sampling;

/// Catches log lines in tests.
#[cfg(test)]
pub mod capture;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, SetGlobalDefaultError};
use tracing::{Event, Level, Metadata, Subscriber};

use super::metrics::Metrics;
pub use super::settings::LogEncoding as Encoding;
use super::table;
use line::Line;
pub use output::Output;
use output::Outputs;
use sampling::Sampler;
pub use sampling::Sampling;

/// Everything that can be chosen about the log.
#[derive(Debug, Clone)]
pub struct Options {
    /// The least severe lines that are written.
    pub level: LevelFilter,
    /// For people or for programs.
    pub encoding: Encoding,
    /// Leaves out what is repeated; `None` writes everything.
    pub sampling: Option<Sampling>,
    /// Fields of every line.
    pub initial_fields: Map<String, Value>,
    /// Where lines go.
    pub outputs: Vec<Output>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: LevelFilter::INFO,
            encoding: Encoding::Console,
            sampling: Some(Sampling::default()),
            initial_fields: Map::new(),
            outputs: vec![Output::Stderr],
        }
    }
}

/// The running log. Clones are the same log.
#[derive(Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

struct Shared {
    /// What decides whether an event is built at all; read for each event without a lock.
    active: ArcSwap<Active>,
    writer: Mutex<Writer>,
    /// Lines and left-out lines by level, in the order of [`LEVELS`].
    counts: [(AtomicU64, AtomicU64); 4],
}

struct Active {
    level: LevelFilter,
    encoding: Encoding,
    initial_fields: Map<String, Value>,
}

struct Writer {
    sampler: Option<Sampler>,
    outputs: Outputs,
}

/// Target of events that show what passes through the agent: people asked for it, so nothing of it is left out as
/// repeated, and its line breaks stay.
pub const VERBATIM: &str = concat!(env!("CARGO_CRATE_NAME"), "::verbatim");

/// Names of the levels in the log and as the label of its metrics.
const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// Starts logging for the whole process.
///
/// # Errors
///
/// An output cannot be opened, or the process logs already.
pub fn init(options: &Options) -> anyhow::Result<Logs> {
    let logs = Logs::new(options)?;
    tracing::subscriber::set_global_default(logs.subscriber())
        .map_err(|error: SetGlobalDefaultError| anyhow::anyhow!("cannot start the log: {error}"))?;
    Ok(logs)
}

// === impl Logs ===

impl Logs {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let shared = Shared {
            active: ArcSwap::from_pointee(Active::from(options)),
            writer: Mutex::new(Writer::new(options)?),
            counts: Default::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        Tap { shared: Arc::clone(&self.shared) }
    }

    /// Goes on with other options, as a new configuration asks for.
    ///
    /// # Errors
    ///
    /// An output cannot be opened; the log goes on as before.
    pub fn apply(&self, options: &Options) -> anyhow::Result<()> {
        let writer = Writer::new(options)?;
        self.sweep_at(Instant::now() + Duration::from_secs(3600));
        *self.shared.writer() = writer;
        self.shared.active.store(Arc::new(Active::from(options)));
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Writes how often lines were repeated in the window that has passed. A line that comes later does it too; calling
    /// this each few seconds and at the end makes sure that the last repeats are told as well.
    pub fn sweep(&self) {
        self.sweep_at(Instant::now());
    }

    /// Tells all repeats that have not been told, at the end of the program.
    pub fn finish(&self) {
        self.sweep_at(Instant::now() + Duration::from_secs(3600));
    }

    /// Shows in `metrics` how many lines were written and left out.
    pub fn register(&self, metrics: &Metrics) {
        let shared = Arc::clone(&self.shared);
        metrics.on_collect(move |sink| {
            for (level, (lines, left_out)) in LEVELS.into_iter().zip(&shared.counts) {
                sink.set(&table::LOG_LINES, &[("level", level)], lines.load(Relaxed));
                sink.set(&table::LOG_LINES_LEFT_OUT, &[("level", level)], left_out.load(Relaxed));
            }
        });
    }

    fn sweep_at(&self, now: Instant) {
        let mut writer = self.shared.writer();
        writer.tell_repeats(now, &self.shared.active.load());
    }
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl From<&Options> for Active {
    fn from(options: &Options) -> Self {
        Self { level: options.level, encoding: options.encoding, initial_fields: options.initial_fields.clone() }
    }
}

// === impl Shared, Writer ===

impl Shared {
    /// What a poisoned lock guards is output and counts: both are usable whatever happened to the holder.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Libraries talk about single frames below `info`, which helps nobody who runs the agent. The client of Kubernetes warns
    /// of every watch that is cut, which is told in our own words where it matters.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let most = match metadata.target() {
            ours if ours.starts_with(env!("CARGO_CRATE_NAME")) => LevelFilter::TRACE,
            client if client.starts_with("kube_client") => LevelFilter::ERROR,
            _ => LevelFilter::INFO,
        };
        let level = self.active.load().level.min(most);
        metadata.is_event() && *metadata.level() <= level
    }

    fn write(&self, line: Line) {
        let (lines, left_out) = match line.level {
            Level::ERROR => &self.counts[0],
            Level::WARN => &self.counts[1],
            Level::INFO => &self.counts[2],
            _ => &self.counts[3],
        };
        lines.fetch_add(1, Relaxed);
        let now = Instant::now();
        let active = self.active.load();
        let mut writer = self.writer();
        writer.tell_repeats(now, &active);
        match &mut writer.sampler {
            Some(sampler) if !line.verbatim => match sampler.admit(line, now) {
                Some(line) => writer.outputs.write(&line, &active),
                None => drop(left_out.fetch_add(1, Relaxed)),
            },
            _ => writer.outputs.write(&line, &active),
        }
    }
}

impl Writer {
    fn new(options: &Options) -> anyhow::Result<Self> {
        Ok(Self {
            sampler: options.sampling.map(|sampling| Sampler::new(sampling, Instant::now())),
            outputs: Outputs::open(&options.outputs)?,
        })
    }

    fn tell_repeats(&mut self, now: Instant, active: &Active) {
        let Some(sampler) = &mut self.sampler else { return };
        for line in sampler.repeats(now) {
            self.outputs.write(&line, active);
        }
    }
}

// === impl Tap ===

/// What `tracing` sees of the log.
struct Tap {
    shared: Arc<Shared>,
}

impl Subscriber for Tap {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.shared.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.shared.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.shared.active.load().level)
    }

    fn event(&self, event: &Event<'_>) {
        self.shared.write(Line::of(event));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests;
