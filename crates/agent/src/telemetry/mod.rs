//! The agent's own metrics, logs and figures of its process.

/// What `service::telemetry` takes.
pub mod settings;

/// What a row of the metrics table is.
pub mod metric;

/// Every metric there is: the one table that `/metrics` and the reference page come from.
pub mod table;

/// Counters, gauges and histograms by name and labels.
pub mod metrics;

/// The Prometheus text format.
pub mod exposition;

/// `GET /metrics`.
pub mod page;

/// Who sends what: by sender and by metric name.
pub mod who;

/// The reference page of the metrics, from the table.
pub mod reference;

/// Memory, CPU time, uptime, heap and open files of this process.
pub mod process;

/// Memory limit and CPU quota of the container.
pub mod cgroup;

/// Whether the agent takes data.
pub mod health;

/// The own log: lines, sampling, outputs.
pub mod logs;

mod cut;

pub use cut::cut;
pub use health::Health;
pub use metric::Level;
pub use metrics::{Counter, Gauge, Histogram, Metrics};
pub use who::Who;
