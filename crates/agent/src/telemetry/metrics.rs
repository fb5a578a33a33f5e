//! The registry: which series exist, and the handles that count into them.
//!
//! A handle is a few atomics behind an `Arc`; counting takes no lock. Asking for the same row and labels again gives the
//! same series. A series is present, at 0, from the moment it is asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::metric::{Kind, Level, Metric};

/// The metrics of one agent. Clones are the same registry.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
    collectors: Arc<Collectors>,
}

#[derive(Default)]
struct Shared {
    families: Mutex<BTreeMap<&'static str, Stored>>,
    /// The collectors of this registry and of what is [scoped](Metrics::scoped) from it, as long as they live.
    scopes: Mutex<Vec<Weak<Collectors>>>,
}

type Collectors = Mutex<Vec<Collector>>;

type Collector = Box<dyn Fn(&mut Sink) + Send + Sync>;

struct Stored {
    metric: &'static Metric,
    series: BTreeMap<Labels, Handle>,
}

#[derive(Clone)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// The labels of a series in the order of their names.
pub type Labels = Vec<(&'static str, String)>;

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// Observations by size.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [u64],
    /// One more than there are bounds; the last takes what lies above all.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

/// What a series says at one moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter's or a gauge's.
    Number(f64),
    /// A histogram's. `counts` are not cumulative and have one more entry than there are bounds.
    Buckets {
        /// Observations per bucket.
        counts: Vec<u64>,
        /// Sum of all observations.
        sum: u64,
    },
}

/// All series of one row at one moment.
#[derive(Debug)]
pub struct Family {
    /// The row.
    pub metric: &'static Metric,
    /// Its series by labels.
    pub series: BTreeMap<Labels, Value>,
}

/// Takes the values that are read at the moment of a scrape; see [`Metrics::on_collect`].
#[derive(Default)]
pub struct Sink {
    families: BTreeMap<&'static str, Family>,
}

// === impl Metrics ===

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Arc::default())
    }

    /// The same registry for something that ends before the process does, as the components of a configuration do. The
    /// collectors given to it are asked until its last clone is dropped; what was counted stays.
    #[must_use]
    pub fn scoped(&self) -> Self {
        Self::over(Arc::clone(&self.shared))
    }

    fn over(shared: Arc<Shared>) -> Self {
        let collectors = Arc::default();
        let mut scopes = lock(&shared.scopes);
        scopes.retain(|scope| scope.strong_count() > 0);
        scopes.push(Arc::downgrade(&collectors));
        drop(scopes);
        Self { shared, collectors }
    }

    /// The counter of this row and these labels.
    #[must_use]
    pub fn counter(&self, metric: &'static Metric, labels: &[(&'static str, &str)]) -> Counter {
        match self.handle(metric, labels, || Handle::Counter(Counter::default())) {
            Handle::Counter(counter) => counter,
            _ => wrong_kind(metric, Counter::default()),
        }
    }

    /// The gauge of this row and these labels.
    #[must_use]
    pub fn gauge(&self, metric: &'static Metric, labels: &[(&'static str, &str)]) -> Gauge {
        match self.handle(metric, labels, || Handle::Gauge(Gauge::default())) {
            Handle::Gauge(gauge) => gauge,
            _ => wrong_kind(metric, Gauge::default()),
        }
    }

    /// The histogram of this row and these labels.
    #[must_use]
    pub fn histogram(&self, metric: &'static Metric, labels: &[(&'static str, &str)]) -> Histogram {
        match self.handle(metric, labels, || Handle::Histogram(Histogram::new(metric.bounds))) {
            Handle::Histogram(histogram) => histogram,
            _ => wrong_kind(metric, Histogram::new(metric.bounds)),
        }
    }

    /// Calls `collector` at each scrape, for values that something else keeps anyway: the size of a queue, the ledger,
    /// the process. It must not block, and must not hold this registry, which would then never end.
    pub fn on_collect(&self, collector: impl Fn(&mut Sink) + Send + Sync + 'static) {
        lock(&self.collectors).push(Box::new(collector));
    }

    /// The value of a counter or gauge now, also of one that is read at the scrape; `None` when there is no such series.
    #[must_use]
    pub fn value(&self, metric: &'static Metric, labels: &[(&'static str, &str)]) -> Option<f64> {
        let families = self.collect(Level::Detailed);
        let family = families.iter().find(|family| family.metric.name == metric.name)?;
        match family.series.get(&own(metric, labels))? {
            Value::Number(number) => Some(*number),
            Value::Buckets { .. } => None,
        }
    }

    /// Everything that `level` shows, by name.
    #[must_use]
    pub fn collect(&self, level: Level) -> Vec<Family> {
        let mut sink = Sink::default();
        for stored in lock(&self.shared.families).values() {
            let family = sink.family(stored.metric);
            family.series.extend(stored.series.iter().map(|(labels, handle)| (labels.clone(), handle.value())));
        }
        for scope in self.scopes() {
            for collector in lock(&scope).iter() {
                collector(&mut sink);
            }
        }
        sink.families.into_values().filter(|family| family.metric.level <= level).collect()
    }

    fn scopes(&self) -> Vec<Arc<Collectors>> {
        let mut scopes = lock(&self.shared.scopes);
        scopes.retain(|scope| scope.strong_count() > 0);
        scopes.iter().filter_map(Weak::upgrade).collect()
    }

    fn handle(
        &self,
        metric: &'static Metric,
        labels: &[(&'static str, &str)],
        create: impl FnOnce() -> Handle,
    ) -> Handle {
        let mut families = lock(&self.shared.families);
        let stored = families.entry(metric.name).or_insert_with(|| Stored { metric, series: BTreeMap::new() });
        stored.series.entry(own(metric, labels)).or_insert_with(create).clone()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A counter asked for as a gauge is a mistake in our code: tests stop at it, a running agent counts into nothing.
fn wrong_kind<T>(metric: &Metric, loose: T) -> T {
    debug_assert!(false, "{} is a {}", metric.name, metric.kind.name());
    loose
}

/// The labels in the order of their names. A label that the table does not list is a mistake in our code.
fn own(metric: &Metric, labels: &[(&'static str, &str)]) -> Labels {
    for (name, _) in labels {
        debug_assert!(metric.labels.contains(name), "the table gives {} no label {name}", metric.name);
    }
    let mut labels: Labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    labels.sort_unstable();
    labels
}

/// What a poisoned lock guards here is a map of handles: it is whole whatever happened to the holder.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Sink ===

impl Sink {
    /// Gives a counter's or a gauge's value. The same row and labels given twice are added up.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus itself keeps 64-bit floats")]
    pub fn set(&mut self, metric: &'static Metric, labels: &[(&'static str, &str)], value: u64) {
        self.set_float(metric, labels, value as f64);
    }

    /// As [`Sink::set`], for a value with a fraction.
    pub fn set_float(&mut self, metric: &'static Metric, labels: &[(&'static str, &str)], value: f64) {
        debug_assert!(metric.kind != Kind::Histogram, "{} is a histogram", metric.name);
        let series = self.family(metric).series.entry(own(metric, labels)).or_insert(Value::Number(0.0));
        if let Value::Number(number) = series {
            *number += value;
        }
    }

    fn family(&mut self, metric: &'static Metric) -> &mut Family {
        self.families.entry(metric.name).or_insert_with(|| Family { metric, series: BTreeMap::new() })
    }
}

// === impl Handle, Counter, Gauge, Histogram ===

impl Handle {
    #[expect(clippy::cast_precision_loss, reason = "Prometheus itself keeps 64-bit floats")]
    fn value(&self) -> Value {
        match self {
            Handle::Counter(counter) => Value::Number(counter.get() as f64),
            Handle::Gauge(gauge) => Value::Number(gauge.get() as f64),
            Handle::Histogram(histogram) => histogram.value(),
        }
    }
}

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts one observation. A value that equals a bound belongs to that bound's bucket.
    pub fn record(&self, value: u64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.0.sum.fetch_add(value, Relaxed);
    }

    /// Number of observations so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    fn value(&self) -> Value {
        Value::Buckets {
            counts: self.0.counts.iter().map(|count| count.load(Relaxed)).collect(),
            sum: self.0.sum.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
