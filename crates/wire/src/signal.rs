//! The three signals, as a value.

use crate::schema::{self, Message};

/// Which kind of telemetry a request carries. Traces, metrics and logs share the outer shape of OTLP; what differs is a
/// row in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics; counted in data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All signals, in the order in which they are listed to people.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// Name in pipeline ids and labels: `traces`, `metrics`, `logs`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// What is counted, as it stands in metric names: `spans`, `metric_points`, `log_records`.
    #[must_use]
    pub fn items_name(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Metrics => "metric_points",
            Signal::Logs => "log_records",
        }
    }

    /// Position in [`Signal::ALL`]; for tables with a column for each signal.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The export request of this signal.
    #[must_use]
    pub fn request(self) -> &'static Message {
        match self {
            Signal::Traces => &schema::EXPORT_TRACE_SERVICE_REQUEST,
            Signal::Metrics => &schema::EXPORT_METRICS_SERVICE_REQUEST,
            Signal::Logs => &schema::EXPORT_LOGS_SERVICE_REQUEST,
        }
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
