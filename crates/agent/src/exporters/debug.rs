//! `debug`: writes what passes to the log or to standard output, in the Collector's formats.

mod detailed;
mod normal;
mod output;
mod pieces;
mod text;

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use wire::{Signal, view};

use crate::component::{About, Component, HostPath, Needs, Status};
use crate::pipeline::{Deliver, Fault, Outcome, Parcel, Policy, queue};
use crate::settings::{ComponentId, GoDuration, Reader, Toggle, settings, words};
use crate::telemetry::logs;
use output::Output;
use pieces::Pieces;

settings! {
    /// Writes what passes to the log, for finding out what is going on.
    pub struct Config {
        /// How much is written: `basic` a line with counts for each request, `normal` a line for each item, `detailed`
        /// every field.
        pub verbosity: Verbosity = Verbosity::Basic,
        /// How many requests are written in each second before sampling starts.
        pub sampling_initial: u64 = 2,
        /// After these, each so-manieth request of the second is written; 1 writes all, 0 none.
        pub sampling_thereafter: u64 = 1,
        /// Writes to the agent's log. `false`: writes plain text to `output_paths`.
        pub use_internal_logger: bool = true,
        /// Where plain text goes: `stdout`, `stderr` or files. With `use_internal_logger: false` only; `stdout` if it
        /// is not written.
        pub output_paths: Option<Vec<String>> = None,
        /// What waits to be written. Without it the pipeline waits for the writing.
        pub sending_queue: Toggle<queue::Settings> = Toggle::Off,
    }
    check Config::check
}

words! {
    /// How much is written.
    #[derive(Default)]
    pub enum Verbosity {
        /// A line with counts for each request.
        #[default]
        Basic = "basic",
        /// A line for each item.
        Normal = "normal",
        /// Every field.
        Detailed = "detailed",
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        match &self.output_paths {
            Some(_) if self.use_internal_logger => {
                let what = "output_paths is not supported when use_internal_logger is true";
                cx.error_at("output_paths", what, "add `use_internal_logger: false`, or remove `output_paths`");
            }
            Some(paths) if paths.is_empty() => {
                let what = "output_paths must not be empty when use_internal_logger is false";
                cx.error_at("output_paths", what, "write `[stdout]`, or remove `output_paths`");
            }
            _ => {}
        }
    }

    /// No second attempt and no timeout.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy { queue: self.sending_queue.clone(), retry: Toggle::Off, timeout: GoDuration::ZERO }
    }

    fn paths(&self) -> Vec<String> {
        self.output_paths.clone().unwrap_or_else(|| vec!["stdout".to_owned()])
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "debug",
        formerly: None,
        summary: "writes what passes to the log or to standard output",
        status: Status::Beta,
        signals: &Signal::ALL,
    };

    fn needs(&self) -> Needs {
        let file = |path: &String| HostPath { path: path.into(), writes: true, key: "output_paths" };
        let paths = self.output_paths.iter().flatten().filter(|path| !matches!(path.as_str(), "stdout" | "stderr"));
        let extensions = super::needed_storage(&self.sending_queue).into_iter().collect();
        Needs { paths: paths.map(file).collect(), extensions, ..Needs::default() }
    }
}

/// The exporter.
#[derive(Debug)]
pub struct Debug {
    id: String,
    verbosity: Verbosity,
    sampler: Sampler,
    /// None: the agent's log.
    output: Option<Arc<tokio::sync::Mutex<Output>>>,
}

/// What is said of a request: its name, and counts by name.
struct Line {
    message: &'static str,
    counts: Vec<(&'static str, usize)>,
}

/// Lets the first few of each second through, and then one in so many.
#[derive(Debug)]
struct Sampler {
    initial: u64,
    thereafter: u64,
    /// When the second began, and how many came in it.
    second: Mutex<(Instant, u64)>,
}

// === impl Debug ===

impl Debug {
    /// Makes it ready; opens its files.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub fn new(config: &Config, id: &ComponentId) -> anyhow::Result<Debug> {
        let output = if config.use_internal_logger { None } else { Some(Output::open(&config.paths())?) };
        Ok(Debug {
            id: id.to_string(),
            verbosity: config.verbosity,
            sampler: Sampler::new(config.sampling_initial, config.sampling_thereafter),
            output: output.map(|output| Arc::new(tokio::sync::Mutex::new(output))),
        })
    }

    /// Writes a line of counts to the log, or a piece of text below it.
    fn log(&self, signal: Signal, line: &Line, text: Option<&str>) {
        let id = self.id.as_str();
        let [first, second, third] =
            [0, 1, 2].map(|index| line.counts.get(index).map_or(0, |(_, count)| *count as u64));
        // Names of fields are fixed when the program is built, so each signal has a line of its own.
        macro_rules! line {
            ($message:literal $(, $name:literal = $count:expr)*) => {
                tracing::info!(
                    target: logs::VERBATIM,
                    {
                        "otelcol.component.id" = id,
                        "otelcol.component.kind" = "exporter",
                        "otelcol.signal" = signal.name()
                        $(, $name = $count)*
                    },
                    $message
                )
            };
        }
        match (text, signal) {
            (Some(text), _) => line!("{text}"),
            (None, Signal::Traces) => line!("Traces", "resource spans" = first, "spans" = second),
            (None, Signal::Metrics) => {
                line!("Metrics", "resource metrics" = first, "metrics" = second, "data points" = third);
            }
            (None, Signal::Logs) => line!("Logs", "resource logs" = first, "log records" = second),
        }
    }
}

impl Deliver for Debug {
    async fn deliver(&self, parcel: Parcel<'_>) -> Outcome {
        if !self.sampler.admit(Instant::now()) {
            return Outcome::Sent;
        }
        let (verbosity, signal, items) = (self.verbosity, parcel.signal, parcel.items);
        let Some(output) = self.output.clone() else {
            let body = parcel.in_one_piece().await;
            let request = view::Request::new(&body);
            let line = Line::of(signal, request, items);
            self.log(signal, &line, None);
            let mut log = |piece: &str| self.log(signal, &line, Some(piece));
            let mut pieces = Pieces::new(&mut log);
            verbosity.write(&mut pieces, signal, request);
            pieces.finish();
            return Outcome::Sent;
        };
        // Whoever waits for a turn waits here, and neither with a thread nor after its request was given up.
        let mut output = output.lock_owned().await;
        let body = parcel.in_one_piece().await;
        // A pipe that nobody reads from must not hold up a thread of the runtime.
        let write = move || verbosity.write_to(&mut output, signal, items, view::Request::new(&body));
        match AbortOnDropHandle::new(tokio::task::spawn_blocking(write)).await {
            Ok(Ok(())) => Outcome::Sent,
            Ok(Err(error)) => Outcome::Refused { error: error.to_string(), fault: Fault::Elsewhere },
            Err(_) => Outcome::Retry { error: "the agent is stopping".to_owned(), after: None },
        }
    }
}

// === impl Verbosity ===

impl Verbosity {
    /// Writes what stands below the line with the counts.
    fn write(self, out: &mut dyn fmt::Write, signal: Signal, request: view::Request<'_>) {
        match self {
            Verbosity::Basic => {}
            Verbosity::Normal => normal::request(out, signal, request),
            Verbosity::Detailed => detailed::request(out, signal, request),
        }
    }

    /// Writes everything as plain text; what follows a piece that could not be written is left out.
    fn write_to(
        self,
        output: &mut Output,
        signal: Signal,
        items: usize,
        request: view::Request<'_>,
    ) -> anyhow::Result<()> {
        let mut result = Ok(());
        let mut write = |piece: &str| {
            if result.is_ok() {
                result = output.write(piece.as_bytes());
            }
        };
        let mut pieces = Pieces::new(&mut write);
        let _ = writeln!(pieces, "{}", Line::of(signal, request, items));
        self.write(&mut pieces, signal, request);
        if self != Verbosity::Basic {
            let _ = writeln!(pieces);
        }
        pieces.finish();
        result
    }
}

// === impl Line ===

impl Line {
    fn of(signal: Signal, request: view::Request<'_>, items: usize) -> Line {
        let resources = request.resources();
        let count = resources.clone().count();
        match signal {
            Signal::Traces => Line { message: "Traces", counts: vec![("resource spans", count), ("spans", items)] },
            Signal::Logs => Line { message: "Logs", counts: vec![("resource logs", count), ("log records", items)] },
            Signal::Metrics => {
                let scopes = resources.flat_map(|resource| resource.scopes());
                let metrics = scopes.map(|scope| scope.metrics().count()).sum();
                let counts = vec![("resource metrics", count), ("metrics", metrics), ("data points", items)];
                Line { message: "Metrics", counts }
            }
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.counts.iter().map(|(name, count)| format!("\"{name}\": {count}")).collect();
        write!(f, "{}\t{{{}}}", self.message, counts.join(", "))
    }
}

// === impl Sampler ===

impl Sampler {
    fn new(initial: u64, thereafter: u64) -> Sampler {
        Sampler { initial, thereafter, second: Mutex::new((Instant::now(), 0)) }
    }

    fn admit(&self, now: Instant) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(second.0) >= Duration::from_secs(1) {
            *second = (now, 0);
        }
        second.1 += 1;
        let beyond = second.1.saturating_sub(self.initial);
        // 0 is a multiple of everything, and the only multiple of 0.
        beyond.is_multiple_of(self.thereafter)
    }
}
