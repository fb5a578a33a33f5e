//! What a metric is in Prometheus, and what its data points say.

use wire::view::{Data, Exemplar, Metric, Number};

use super::names::NameKind;

/// The type of a family of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down; also sums that do.
    Gauge,
    /// Counts by size, in buckets with bounds or in exponential ones.
    Histogram,
    /// Quantiles.
    Summary,
}

impl Kind {
    /// The word for it in the formats.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        }
    }
}

/// What a data point of a sum or histogram covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// The time since the point before.
    Delta,
    /// The time since the start of the series. What has no temporality is taken as this.
    Cumulative,
    /// The sender did not say, where it has to.
    Unspecified,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Its type.
    pub kind: Kind,
    /// What decides the suffix of its name.
    pub name_kind: NameKind,
    /// What its points cover.
    pub temporality: Temporality,
}

impl Shape {
    /// Reads it; `None` for a metric without data or of an unknown kind.
    #[must_use]
    pub fn of(data: &Data<'_>) -> Option<Shape> {
        let shape = |kind, name_kind, temporality| Some(Shape { kind, name_kind, temporality });
        match data {
            Data::None => None,
            Data::Gauge(_) => shape(Kind::Gauge, NameKind::Gauge, Temporality::Cumulative),
            Data::Sum(sum) if sum.is_monotonic() => {
                shape(Kind::Counter, NameKind::MonotonicSum, temporality(sum.aggregation_temporality()))
            }
            Data::Sum(sum) => shape(Kind::Gauge, NameKind::Other, temporality(sum.aggregation_temporality())),
            Data::Histogram(data) => {
                shape(Kind::Histogram, NameKind::Other, temporality(data.aggregation_temporality()))
            }
            Data::ExponentialHistogram(data) => {
                shape(Kind::Histogram, NameKind::Other, temporality(data.aggregation_temporality()))
            }
            Data::Summary(_) => shape(Kind::Summary, NameKind::Other, Temporality::Cumulative),
        }
    }

    /// Of a metric.
    #[must_use]
    pub fn of_metric(metric: &Metric<'_>) -> Option<Shape> {
        Shape::of(&metric.data())
    }
}

fn temporality(value: i32) -> Temporality {
    match value {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    }
}

/// Bit 0 of a data point's flags: the series has no value any more.
pub const NO_RECORDED_VALUE: u32 = 1;

/// The NaN that says in Prometheus that a series has ended.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// A number as Prometheus keeps it.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "Prometheus itself keeps 64-bit floats")]
pub fn to_f64(number: Option<Number>) -> f64 {
    match number {
        Some(Number::Double(value)) => value,
        Some(Number::Int(value)) => value as f64,
        None => 0.0,
    }
}

/// The labels of an exemplar: the trace and the span, as far as it has them.
#[must_use]
pub fn exemplar_labels(exemplar: &Exemplar<'_>) -> Vec<(&'static str, String)> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let given = |bytes: &[u8]| bytes.iter().any(|byte| *byte != 0);
    let ids = [("trace_id", exemplar.trace_id()), ("span_id", exemplar.span_id())];
    ids.into_iter().filter(|(_, id)| given(id)).map(|(name, id)| (name, hex(id))).collect()
}
