//! What a series says: the last values, and how a new data point changes them.
//!
//! Cumulative points replace what is there. Points of a delta are added up as long as each begins where the one before
//! has ended; where one does not, a sum begins anew and a histogram begins anew or, if it overlaps, is refused.

use std::sync::Arc;

use wire::view::{Exemplar as ExemplarView, HistogramPoint, Number, NumberPoint, SummaryPoint};

use super::exponential::Exponential;
use super::refusal::Refusal;
use crate::exporters::series::points::{Temporality, to_f64};

/// The last value of a series.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Of a counter or a gauge.
    Number(Number),
    /// Of a histogram with bounds.
    Histogram(Arc<Histogram>),
    /// Of an exponential histogram.
    Exponential(Arc<Exponential>),
    /// Of a summary.
    Summary(Arc<Summary>),
}

/// A histogram with bounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Upper bounds as they came; series of one metric share them.
    pub(super) bounds: Arc<[f64]>,
    /// Not cumulative. One more than there are bounds, or none.
    pub(super) counts: Box<[u64]>,
}

/// A summary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Quantiles with their values, ascending, each once.
    pub(super) quantiles: Box<[(f64, f64)]>,
}

/// A single measurement that went into a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub(super) value: f64,
    /// Nanoseconds since 1970; 0 if unknown.
    pub(super) time: u64,
    pub(super) trace_id: Option<[u8; 16]>,
    pub(super) span_id: Option<[u8; 8]>,
}

/// The last exemplars of a series, if it has any.
pub(super) type Exemplars = Option<Arc<[Exemplar]>>;

/// What a data point says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Start of what it covers, in nanoseconds since 1970; 0 if unknown.
    pub(super) start: u64,
    /// When it was taken, in nanoseconds since 1970.
    pub(super) time: u64,
}

/// How a data point goes on from what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It says all by itself.
    Replace,
    /// It is added to what is there.
    Add,
}

/// How many exemplars a series keeps at most: one for each bucket of a usual histogram.
const MOST_EXEMPLARS: usize = 32;

impl Step {
    /// How a point of a sum goes on.
    ///
    /// # Errors
    ///
    /// It is older than what is there.
    pub(super) fn of_sum(before: Span, point: Span, temporality: Temporality) -> Result<Step, Refusal> {
        if point.time < before.time {
            return Err(Refusal::OutOfOrder);
        }
        let follows = temporality == Temporality::Delta && point.start == before.time;
        Ok(if follows { Step::Add } else { Step::Replace })
    }

    /// How a point of a histogram goes on.
    ///
    /// # Errors
    ///
    /// It is older than what is there, or a delta that overlaps it.
    pub(super) fn of_histogram(before: Span, point: Span, temporality: Temporality) -> Result<Step, Refusal> {
        let overlaps = temporality == Temporality::Delta && point.start < before.time;
        if point.time < before.time || overlaps {
            return Err(Refusal::OutOfOrder);
        }
        let follows = temporality == Temporality::Delta && point.start == before.time;
        Ok(if follows { Step::Add } else { Step::Replace })
    }
}

impl Value {
    /// Bytes that it takes outside of its series.
    pub(super) fn size(&self) -> usize {
        match self {
            Value::Number(_) => 0,
            Value::Histogram(histogram) => size_of::<Histogram>() + 16 + 8 * histogram.counts.len(),
            Value::Exponential(exponential) => exponential.size(),
            Value::Summary(summary) => size_of::<Summary>() + 16 + 16 * summary.quantiles.len(),
        }
    }
}

/// Adds up two numbers; whole ones stay whole.
pub(super) fn add(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => {
            a.checked_add(b).map_or_else(|| Number::Double(float(a) + float(b)), Number::Int)
        }
        (a, b) => Number::Double(to_f64(Some(a)) + to_f64(Some(b))),
    }
}

/// Whether one number is less than another.
pub(super) fn is_less(a: Number, b: Number) -> bool {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a < b,
        (a, b) => to_f64(Some(a)) < to_f64(Some(b)),
    }
}

fn float(value: i64) -> f64 {
    to_f64(Some(Number::Int(value)))
}

impl Histogram {
    /// Reads a data point. `bounds` are those of the series or metric before; they are shared if they are the same.
    pub(super) fn read(point: &HistogramPoint<'_>, bounds: Option<&Arc<[f64]>>) -> Histogram {
        let same = bounds.filter(|bounds| point.explicit_bounds().eq(bounds.iter().copied()));
        Histogram {
            count: point.count(),
            sum: point.sum().unwrap_or_default(),
            bounds: same.cloned().unwrap_or_else(|| point.explicit_bounds().collect()),
            counts: point.bucket_counts().collect(),
        }
    }

    /// Adds what came before. With other bounds, or with another number of buckets, only the new one counts.
    pub(super) fn add(&mut self, before: &Histogram) {
        if self.bounds != before.bounds || self.counts.len() != before.counts.len() {
            return;
        }
        self.count = self.count.saturating_add(before.count);
        self.sum += before.sum;
        for (count, earlier) in self.counts.iter_mut().zip(&before.counts) {
            *count = count.saturating_add(*earlier);
        }
    }

    /// Upper bounds, ascending and each once, with how many values are at or below them. The last bucket, up to
    /// infinity, is left to the reader: it is the count.
    pub(super) fn cumulative(&self) -> Vec<(f64, u64)> {
        let counts = self.counts.iter().copied().chain(std::iter::repeat(0));
        let mut buckets: Vec<(f64, u64)> = self.bounds.iter().map(|bound| as_written(*bound)).zip(counts).collect();
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        buckets.dedup_by(|(later, _), (earlier, _)| later.total_cmp(earlier).is_eq());
        let mut total = 0_u64;
        for (_, count) in &mut buckets {
            total = total.saturating_add(*count);
            *count = total;
        }
        buckets
    }
}

/// A bound or a quantile in the one form of those that are written the same: there is one zero, and one NaN, which sorts
/// before all others, so that infinity is the last.
fn as_written(number: f64) -> f64 {
    if number.is_nan() { f64::NAN.copysign(-1.0) } else { number + 0.0 }
}

impl Summary {
    /// Reads a data point.
    pub(super) fn read(point: &SummaryPoint<'_>) -> Summary {
        let quantiles = point.quantiles().map(|quantile| (as_written(quantile.quantile()), quantile.value()));
        let mut quantiles: Vec<(f64, f64)> = quantiles.collect();
        quantiles.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        quantiles.dedup_by(|(later, value), (earlier, kept)| {
            let again = later.total_cmp(earlier).is_eq();
            if again {
                *kept = *value;
            }
            again
        });
        Summary { count: point.count(), sum: point.sum(), quantiles: quantiles.into() }
    }
}

impl Exemplar {
    /// The exemplars of a data point of a counter: the last one is shown.
    pub(super) fn of_counter(point: &NumberPoint<'_>) -> Exemplars {
        point.exemplars().last().map(|exemplar| Arc::from([Exemplar::read(&exemplar)]))
    }

    /// The exemplars of a data point of a histogram: the last ones.
    pub(super) fn of_histogram<'a>(exemplars: impl Iterator<Item = ExemplarView<'a>>) -> Exemplars {
        let mut read: Vec<Exemplar> = exemplars.map(|exemplar| Exemplar::read(&exemplar)).collect();
        read.drain(..read.len().saturating_sub(MOST_EXEMPLARS));
        (!read.is_empty()).then(|| read.into())
    }

    fn read(exemplar: &ExemplarView<'_>) -> Exemplar {
        Exemplar {
            value: to_f64(exemplar.value()),
            time: exemplar.time_unix_nano(),
            trace_id: id(exemplar.trace_id()),
            span_id: id(exemplar.span_id()),
        }
    }
}

/// An id, unless it is empty or all zero.
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok().filter(|id: &[u8; N]| id.iter().any(|byte| *byte != 0))
}
