//! What the two Prometheus exporters have in common: how OTLP metrics and attributes are named, which labels a series
//! has, and what its data points say.
//!
//! The rules are those of OpenTelemetry's specification for Prometheus in the form in which the Collector 0.161 has
//! them. Nothing here knows a wire format: `points` reads the request in place, `names` and `labels` say what a
//! series is called, `resource` what of the resource and the scope goes to each of its series.

/// Which resource attributes become labels of every series: settings and matching.
pub mod conversion;

/// Labels: sorted, each name once, whatever attributes collapse to.
pub mod labels;

/// Names of metrics and labels.
pub mod names;

/// Metrics of a request and what they are in Prometheus.
pub mod points;

/// Resource and scope: `job`, `instance`, `target_info`, and the labels that all their series share.
pub mod resource;

/// Units as suffixes of names.
mod units;

#[cfg(test)]
mod tests;
