//! What a row of the metrics table is: name, kind, unit, help, labels, level.

use wire::Signal;

use crate::settings::words;

/// What a value does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl Kind {
    /// The word of the Prometheus text format.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

words! {
    /// How much of the table is shown; each level includes the ones before it.
    #[derive(Default, PartialOrd, Ord)]
    pub enum Level {
        /// Nothing, not even the port.
        None = "none",
        /// What every installation should watch.
        Basic = "basic",
        /// Also what explains the figures of `basic`.
        #[default]
        Normal = "normal",
        /// Also what costs something to keep.
        Detailed = "detailed",
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Metric {
    /// The name as it is exposed, without the suffixes that a reader may ask for.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The unit in UCUM, as OpenTelemetry writes it: `By`, `s`, `{spans}`.
    pub unit: &'static str,
    /// From which level on it is shown.
    pub level: Level,
    /// The labels that a series may have. A series may leave some out.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
    /// Upper bounds of a histogram's buckets, ascending; empty otherwise.
    pub bounds: &'static [u64],
}

/// Three rows that differ only in what they count: `…_spans`, `…_metric_points`, `…_log_records`.
#[derive(Debug)]
pub struct PerSignal([Metric; 3]);

impl PerSignal {
    /// Three rows in the order of [`Signal::ALL`].
    #[must_use]
    pub(super) const fn new(rows: [Metric; 3]) -> Self {
        Self(rows)
    }

    /// The row of one signal.
    #[must_use]
    pub fn of(&'static self, signal: Signal) -> &'static Metric {
        let [traces, metrics, logs] = &self.0;
        match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        }
    }
}

/// Rows under one heading of the reference page.
#[derive(Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// Rows that exist three times.
    pub per_signal: &'static [&'static PerSignal],
    /// Rows that exist once.
    pub single: &'static [&'static Metric],
}

impl Section {
    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &'static Metric> + use<> {
        self.per_signal.iter().flat_map(|rows| rows.0.iter()).chain(self.single.iter().copied())
    }
}

/// Declares the rows and the list of sections from one listing, so that no row can be left out of the list.
macro_rules! table {
    (@bounds) => { &[] };
    (@bounds $bounds:tt) => { &$bounds };
    ($($title:literal {
        per signal { $($each:ident: $each_kind:ident $each_level:ident $each_name:literal $each_labels:tt
            $before:literal $after:literal;)* }
        $($row:ident: $kind:ident $level:ident $name:literal $unit:literal $labels:tt $help:literal $(bounds $bounds:tt)?;)*
    })*) => {
        $($(
            #[doc = concat!("`", $each_name, "_*`: ", $before, "items", $after)]
            pub static $each: PerSignal = PerSignal::new([
                Metric { name: concat!($each_name, "_spans"), kind: Kind::$each_kind, unit: "{spans}",
                    level: Level::$each_level, labels: &$each_labels, help: concat!($before, "spans", $after), bounds: &[] },
                Metric { name: concat!($each_name, "_metric_points"), kind: Kind::$each_kind, unit: "{datapoints}",
                    level: Level::$each_level, labels: &$each_labels, help: concat!($before, "metric points", $after), bounds: &[] },
                Metric { name: concat!($each_name, "_log_records"), kind: Kind::$each_kind, unit: "{records}",
                    level: Level::$each_level, labels: &$each_labels, help: concat!($before, "log records", $after), bounds: &[] },
            ]);
        )*
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub static $row: Metric = Metric { name: $name, kind: Kind::$kind, unit: $unit, level: Level::$level,
                labels: &$labels, help: $help, bounds: table!(@bounds $($bounds)?) };
        )*)*

        /// All rows under their headings.
        pub static SECTIONS: &[Section] = &[$(Section {
            title: $title,
            per_signal: &[$(&$each),*],
            single: &[$(&$row),*],
        }),*];
    };
}
pub(super) use table;
