//! Who sends what: items by sender, series by sender and by metric name, so that the source of a flood or of too many
//! series is found on the node where it is.
//!
//! Every request is counted by its peer: a look-up and a few additions. What costs more, reading names and attributes, is
//! done for some requests only: a look that took a millisecond is followed by none for a hundred, so that it never costs
//! more than a hundredth of one core, however much comes in. With little traffic that is every request. Memory is bounded
//! by tables that keep the heaviest and by sketches of a fixed size.

mod hash;
mod heavy;
mod look;
mod names;
mod page;
mod senders;
mod sketch;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use wire::Signal;

use super::metrics::{Metrics, Sink};
use super::settings::SendersConfig;
use super::table;
use names::Names;
use senders::Senders;

/// A look that took some time is followed by none for so many times as long.
const REST: u64 = 100;
/// Sketches tell of between one and two turns.
const TURN: Duration = Duration::from_secs(600);

/// Who sends what to this agent. Clones are the same.
#[derive(Clone)]
pub struct Who(Arc<Inner>);

struct Inner {
    settings: ArcSwap<SendersConfig>,
    started: Instant,
    /// No look before this time, in nanoseconds since the start. `u64::MAX`: one is being taken.
    next_look: AtomicU64,
    looked: Looked,
    senders: Mutex<Senders>,
    names: Mutex<Names>,
    pods: ArcSwapOption<PodNames>,
}

/// What looks have covered and cost.
#[derive(Default)]
struct Looked {
    points: AtomicU64,
    of_points: AtomicU64,
    nanoseconds: AtomicU64,
}

struct PodNames(Box<dyn Fn(IpAddr) -> Option<String> + Send + Sync>);

/// Why a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// The agent had no memory for it.
    Memory,
    /// Its sender had more than its share of what was short.
    Share,
    /// Its sender had used up a fixed limit.
    Limit,
}

impl Away {
    /// All of them.
    pub const ALL: [Away; 3] = [Away::Memory, Away::Share, Away::Limit];

    /// How it is called in labels.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Away::Memory => "memory",
            Away::Share => "share",
            Away::Limit => "limit",
        }
    }
}

/// One request, as it is known when the pipelines have said yes or no.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    /// Who sent it; none over a unix socket.
    pub peer: Option<SocketAddr>,
    /// What it carried.
    pub signal: Signal,
    /// How many items.
    pub items: usize,
    /// How many bytes of protobuf, not compressed.
    pub bytes: usize,
    /// Whether it was taken.
    pub taken: bool,
}

impl Who {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Who {
        let now = Instant::now();
        Who(Arc::new(Inner {
            settings: ArcSwap::from_pointee(SendersConfig::default()),
            started: now,
            next_look: AtomicU64::new(0),
            looked: Looked::default(),
            senders: Mutex::new(Senders::new(now)),
            names: Mutex::new(Names::new(now)),
            pods: ArcSwapOption::empty(),
        }))
    }

    /// Takes other settings; what was counted stays.
    pub fn configure(&self, settings: &SendersConfig) {
        self.0.settings.store(Arc::new(settings.clone()));
    }

    /// Names senders by the pod that has their address. Those that it does not know are named by what they say of
    /// themselves.
    pub fn name_pods(&self, pod: impl Fn(IpAddr) -> Option<String> + Send + Sync + 'static) {
        self.0.pods.store(Some(Arc::new(PodNames(Box::new(pod)))));
    }

    /// Shows the largest in `metrics`.
    pub fn register(&self, metrics: &Metrics) {
        let who = self.clone();
        metrics.on_collect(move |sink| who.collect(sink));
    }

    /// Counts a request by its sender.
    pub fn count(&self, passed: Passed) {
        if self.0.settings.load().enabled {
            lock(&self.0.senders).count(passed);
        }
    }

    /// Counts a request that was turned away for the sake of others, whether or not anything of it was read.
    pub fn turn_away(&self, peer: Option<SocketAddr>, why: Away) {
        if self.0.settings.load().enabled {
            lock(&self.0.senders).turn_away(peer, why);
        }
    }

    /// Looks into a request that has come, when it is time to. `request` is valid OTLP.
    pub fn look(&self, peer: Option<SocketAddr>, signal: Signal, items: usize, request: &[u8]) {
        let inner = &self.0;
        if !inner.settings.load().enabled {
            return;
        }
        if signal == Signal::Metrics {
            inner.looked.of_points.fetch_add(items as u64, Relaxed);
        }
        let begun = inner.now();
        let due = inner.next_look.load(Relaxed);
        if begun < due || inner.next_look.compare_exchange(due, u64::MAX, Relaxed, Relaxed).is_err() {
            return;
        }
        inner.look(address_of(peer), signal, items, request, begun);
        let took = inner.now().saturating_sub(begun);
        inner.looked.nanoseconds.fetch_add(took, Relaxed);
        inner.next_look.store(begun.saturating_add(took.saturating_mul(REST)), Relaxed);
    }

    /// The page `/who` for people.
    #[must_use]
    pub fn page(&self) -> String {
        page::text(&self.0)
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<SendersConfig> {
        self.0.settings.load_full()
    }

    fn collect(&self, sink: &mut Sink) {
        let inner = &self.0;
        let settings = inner.settings.load();
        if !settings.enabled || settings.top == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of CPU time: exact for a hundred days")]
        let seconds = inner.looked.nanoseconds.load(Relaxed) as f64 / 1e9;
        sink.set_float(&table::INSPECTION_SECONDS, &[], seconds);
        sink.set(&table::INSPECTED_POINTS, &[], inner.looked.points.load(Relaxed));
        for sender in inner.senders().into_iter().take(settings.top) {
            for signal in Signal::ALL {
                let labels = [("sender", sender.name.as_str()), ("otel_signal", signal.name())];
                let index = signal.index();
                if sender.items[index] + sender.refused[index] > 0 {
                    sink.set(&table::SENDER_ITEMS, &labels, sender.items[index]);
                    sink.set(&table::SENDER_REFUSED, &labels, sender.refused[index]);
                }
            }
            for why in Away::ALL {
                let turned_away = sender.turned_away[why as usize];
                if turned_away > 0 {
                    let labels = [("sender", sender.name.as_str()), ("reason", why.label())];
                    sink.set(&table::SENDER_REFUSED_REQUESTS, &labels, turned_away);
                }
            }
            sink.set(&table::SENDER_SERIES, &[("sender", sender.name.as_str())], sender.series);
        }
        for metric in lock(&inner.names).largest(Instant::now()).into_iter().take(settings.top) {
            let labels = [("metric_name", metric.name.as_str())];
            sink.set(&table::METRIC_SERIES, &labels, metric.series);
            sink.set(&table::METRIC_POINTS, &labels, metric.points);
        }
    }
}

impl Default for Who {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Who").finish_non_exhaustive()
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX - 1)
    }

    fn look(&self, peer: Option<IpAddr>, signal: Signal, items: usize, request: &[u8], seed: u64) {
        let seen = match signal {
            Signal::Metrics => look::at_metrics(request, items, seed, &mut lock(&self.names), peer),
            _ => look::at_resources(request),
        };
        self.looked.points.fetch_add(seen.points, Relaxed);
        lock(&self.senders).learn(peer, seen, peer.and_then(|address| self.pod_of(address)));
    }

    /// The senders with most items first, under the best names that are known.
    fn senders(&self) -> Vec<senders::Row> {
        lock(&self.senders).largest(Instant::now(), &|address| self.pod_of(address))
    }

    fn pod_of(&self, address: IpAddr) -> Option<String> {
        let pods = self.pods.load();
        pods.as_deref().and_then(|pods| (pods.0)(address))
    }
}

fn address_of(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|peer| peer.ip().to_canonical())
}

/// The tables are whole whatever happened to the holder of the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
