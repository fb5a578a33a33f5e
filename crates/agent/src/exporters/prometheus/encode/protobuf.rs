//! The protobuf format: `io.prometheus.client.MetricFamily`s, each behind its length.
//!
//! The only one in which exponential histograms are what they are: native histograms. It also says since when counters,
//! histograms and summaries count.

use super::super::escape;
use super::super::exponential::{Exponential, Spans};
use super::super::labels::{Pairs, push, varint};
use super::super::value::{Exemplar, Histogram, Summary, Value};
use super::super::walk::{Head, Row};
use super::{Style, text};
use crate::exporters::series::points::{Kind, to_f64};

/// A family in the making.
pub(super) struct Family {
    style: Style,
    kind: Kind,
    out: Vec<u8>,
    metric: Vec<u8>,
    inner: Vec<u8>,
    is_empty: bool,
}

/// Writes the family of `target_info`.
pub(super) fn targets<'a>(out: &mut Vec<u8>, style: Style, head: &Head, targets: impl Iterator<Item = &'a Pairs>) {
    let mut family = Family::new(style, head);
    for labels in targets {
        family.labels([(labels, true)].into_iter());
        family.inner.clear();
        double(&mut family.inner, 1, 1.0);
        bytes(&mut family.metric, GAUGE, &family.inner);
        family.end_metric();
    }
    family.finish(out);
}

// Fields of `Metric`.
const GAUGE: u32 = 2;
const COUNTER: u32 = 3;
const SUMMARY: u32 = 4;
const TIMESTAMP_MS: u32 = 6;
const HISTOGRAM: u32 = 7;

impl Family {
    pub(super) fn new(style: Style, head: &Head) -> Family {
        let mut out = Vec::new();
        bytes(&mut out, 1, head.name.as_bytes());
        bytes(&mut out, 2, head.help.as_bytes());
        let kind = match head.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Summary => 2,
            Kind::Histogram => 4,
        };
        number(&mut out, 3, kind);
        Family { style, kind: head.kind, out, metric: Vec::new(), inner: Vec::new(), is_empty: true }
    }

    /// Adds a series.
    pub(super) fn row(&mut self, row: &Row) {
        self.labels(row.labels());
        self.inner.clear();
        let exemplars = row.exemplars.as_deref().unwrap_or_default();
        let (field, created) = match &row.value {
            Value::Number(value) => {
                double(&mut self.inner, 1, to_f64(Some(*value)));
                if self.kind == Kind::Counter { (COUNTER, Some(3)) } else { (GAUGE, None) }
            }
            Value::Histogram(histogram) => {
                write_histogram(&mut self.inner, histogram, exemplars);
                (HISTOGRAM, Some(15))
            }
            Value::Exponential(histogram) => {
                write_native(&mut self.inner, histogram, exemplars);
                (HISTOGRAM, Some(15))
            }
            Value::Summary(summary) => {
                write_summary(&mut self.inner, summary);
                (SUMMARY, Some(4))
            }
        };
        if field == COUNTER
            && let Some(exemplar) = exemplars.last()
        {
            write_exemplar(&mut self.inner, 2, exemplar);
        }
        if let Some(created) = created.filter(|_| row.span.start >= NANOS) {
            timestamp(&mut self.inner, created, row.span.start);
        }
        bytes(&mut self.metric, field, &self.inner);
        if self.style.timestamps {
            number(&mut self.metric, TIMESTAMP_MS, row.span.time / 1_000_000);
        }
        self.end_metric();
    }

    fn labels<'a>(&mut self, sets: impl Iterator<Item = (&'a Pairs, bool)> + Clone) {
        match escape::labels(sets.clone(), self.style.escaping) {
            Some(labels) => labels.iter().for_each(|(name, value)| push(&mut self.metric, name, value)),
            None => sets.for_each(|(pairs, _)| self.metric.extend_from_slice(pairs.packed())),
        }
    }

    fn end_metric(&mut self) {
        bytes(&mut self.out, 4, &self.metric);
        self.metric.clear();
        self.is_empty = false;
    }

    /// Writes the family behind its length, if it has any series.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        if !self.is_empty {
            varint(out, self.out.len() as u64);
            out.extend_from_slice(&self.out);
        }
    }
}

fn write_histogram(out: &mut Vec<u8>, histogram: &Histogram, exemplars: &[Exemplar]) {
    number(out, 1, histogram.count);
    double(out, 2, histogram.sum);
    let buckets = histogram.cumulative();
    let mut lower = f64::NEG_INFINITY;
    let above = |exemplar: &&Exemplar| buckets.last().is_none_or(|(bound, _)| exemplar.value > *bound);
    // The bucket up to infinity is left out, unless it has an exemplar.
    let last = exemplars.iter().rev().find(above).map(|_| (f64::INFINITY, histogram.count));
    let mut bucket = Vec::new();
    for (bound, count) in buckets.iter().copied().chain(last) {
        bucket.clear();
        number(&mut bucket, 1, count);
        double(&mut bucket, 2, bound);
        let within = |exemplar: &&Exemplar| exemplar.value > lower && exemplar.value <= bound;
        if let Some(exemplar) = exemplars.iter().rev().find(within) {
            write_exemplar(&mut bucket, 3, exemplar);
        }
        bytes(out, 3, &bucket);
        lower = bound;
    }
}

fn write_native(out: &mut Vec<u8>, histogram: &Exponential, exemplars: &[Exemplar]) {
    let native = histogram.native();
    number(out, 1, histogram.count);
    double(out, 2, histogram.sum);
    number(out, 5, zigzag(i64::from(native.schema)));
    double(out, 6, native.zero_threshold);
    number(out, 7, histogram.zero_count);
    write_spans(out, (9, 10), &native.negative);
    write_spans(out, (12, 13), &native.positive);
    // Here exemplars must have a time.
    exemplars.iter().filter(|exemplar| exemplar.time > 0).for_each(|exemplar| write_exemplar(out, 16, exemplar));
}

fn write_spans(out: &mut Vec<u8>, (spans, deltas): (u32, u32), buckets: &Spans) {
    let mut inner = Vec::new();
    for (offset, length) in &buckets.spans {
        inner.clear();
        number(&mut inner, 1, zigzag(i64::from(*offset)));
        number(&mut inner, 2, u64::from(*length));
        bytes(out, spans, &inner);
    }
    inner.clear();
    buckets.deltas.iter().for_each(|delta| varint(&mut inner, zigzag(*delta)));
    if !inner.is_empty() {
        bytes(out, deltas, &inner);
    }
}

fn write_summary(out: &mut Vec<u8>, summary: &Summary) {
    number(out, 1, summary.count);
    double(out, 2, summary.sum);
    let mut inner = Vec::new();
    for (quantile, value) in &summary.quantiles {
        inner.clear();
        double(&mut inner, 1, *quantile);
        double(&mut inner, 2, *value);
        bytes(out, 3, &inner);
    }
}

fn write_exemplar(out: &mut Vec<u8>, field: u32, exemplar: &Exemplar) {
    let mut inner = Vec::new();
    text::ids(exemplar).for_each(|(name, id)| push(&mut inner, name, &id));
    double(&mut inner, 2, exemplar.value);
    if exemplar.time > 0 {
        timestamp(&mut inner, 3, exemplar.time);
    }
    bytes(out, field, &inner);
}

const NANOS: u64 = 1_000_000_000;

/// A `google.protobuf.Timestamp`.
fn timestamp(out: &mut Vec<u8>, field: u32, nanos: u64) {
    let mut inner = Vec::new();
    number(&mut inner, 1, nanos / NANOS);
    number(&mut inner, 2, nanos % NANOS);
    bytes(out, field, &inner);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field << 3));
    varint(out, value);
}

fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    varint(out, u64::from(field << 3 | 1));
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(out, u64::from(field << 3 | 2));
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}
