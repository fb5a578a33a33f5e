//! The text formats: 0.0.4 and OpenMetrics 1.0.0.
//!
//! An exponential histogram has no form here; it is shown as a histogram with the one bucket that holds everything, which
//! is what the Collector does, and without its exemplars. Exemplars are in OpenMetrics only.

use std::fmt::Write as _;

use wire::view::Number;

use super::super::escape;
use super::super::labels::Pairs;
use super::super::value::{Exemplar, Value};
use super::super::walk::{Head, Row};
use super::Style;
use crate::exporters::series::points::{Kind, to_f64};
use crate::telemetry::exposition::text::{self, Dialect};

/// A line in the making.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    dialect: Dialect,
    style: Style,
    head: &'a Head,
    row: &'a Row,
    /// The labels, if they cannot stay as they are.
    escaped: Option<Vec<(String, String)>>,
}

/// Writes help and type.
pub(super) fn head(out: &mut Vec<u8>, dialect: Dialect, head: &Head) {
    let (name, kind) = match (dialect, head.kind) {
        // In OpenMetrics the family of a counter is named without `_total`; what does not end so is no counter there, nor can
        // it be one if something else is called that.
        (Dialect::OpenMetrics, Kind::Counter) => match head.name.strip_suffix("_total").filter(|_| !head.base_is_taken)
        {
            Some(name) => (name, "counter"),
            None => (&*head.name, "unknown"),
        },
        (_, kind) => (&*head.name, kind.name()),
    };
    text::head(out, dialect, name, kind, &head.help);
}

/// Writes the family of `target_info`.
pub(super) fn targets<'a>(
    out: &mut Vec<u8>,
    dialect: Dialect,
    style: Style,
    of: &Head,
    targets: impl Iterator<Item = &'a Pairs>,
) {
    head(out, dialect, of);
    for labels in targets {
        let mut separator = open(out, &of.name, "");
        let set = [(labels, true)].into_iter();
        write_labels(out, &mut separator, set.clone(), escape::labels(set, style.escaping).as_deref());
        close(out, separator);
        out.push(b' ');
        text::number(out, dialect, 1.0);
        out.push(b'\n');
    }
}

/// Writes the lines of a series.
pub(super) fn row(out: &mut Vec<u8>, dialect: Dialect, style: Style, head: &Head, row: &Row) {
    let escaped = escape::labels(row.labels(), style.escaping);
    let mut line = Line { out, dialect, style, head, row, escaped };
    let exemplars = match (dialect, &row.exemplars) {
        (Dialect::OpenMetrics, Some(exemplars)) => &**exemplars,
        _ => &[],
    };
    match &row.value {
        Value::Number(number) => line.sample("", None, Said::Number(to_f64(Some(*number))), exemplars.last()),
        Value::Histogram(histogram) => {
            let buckets = histogram.cumulative();
            let (count, sum) = (histogram.count, histogram.sum);
            line.histogram(&buckets, count, sum, exemplars);
        }
        Value::Exponential(histogram) => line.histogram(&[], histogram.count, histogram.sum, &[]),
        Value::Summary(summary) => {
            for (quantile, value) in &summary.quantiles {
                line.sample("", Some(("quantile", *quantile)), Said::Number(*value), None);
            }
            line.sample("_sum", None, Said::Number(summary.sum), None);
            line.sample("_count", None, Said::Count(summary.count), None);
        }
    }
}

/// What a line says.
#[derive(Clone, Copy)]
enum Said {
    Number(f64),
    Count(u64),
}

impl Line<'_> {
    fn histogram(&mut self, buckets: &[(f64, u64)], count: u64, sum: f64, exemplars: &[Exemplar]) {
        let mut lower = f64::NEG_INFINITY;
        let ends_at_infinity = buckets.last().is_some_and(|(bound, _)| *bound == f64::INFINITY);
        let rest = (!ends_at_infinity).then_some((f64::INFINITY, count));
        for (bound, count) in buckets.iter().copied().chain(rest) {
            let within = |exemplar: &&Exemplar| exemplar.value > lower && exemplar.value <= bound;
            let exemplar = exemplars.iter().rev().find(within);
            self.sample("_bucket", Some(("le", bound)), Said::Count(count), exemplar);
            lower = bound;
        }
        self.sample("_sum", None, Said::Number(sum), None);
        self.sample("_count", None, Said::Count(count), None);
    }

    fn sample(&mut self, suffix: &str, extra: Option<(&str, f64)>, said: Said, exemplar: Option<&Exemplar>) {
        let Line { out, dialect, style, head, row, escaped } = self;
        let mut separator = open(out, &head.name, suffix);
        write_labels(out, &mut separator, row.labels(), escaped.as_deref());
        if let Some((name, value)) = extra {
            out.push(std::mem::replace(&mut separator, b','));
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            text::number(out, *dialect, value);
            out.push(b'"');
        }
        close(out, separator);
        out.push(b' ');
        match (said, *dialect) {
            (Said::Number(value), dialect) => text::number(out, dialect, value),
            (Said::Count(count), Dialect::OpenMetrics) => text::count(out, count),
            (Said::Count(count), Dialect::Prometheus) => text::number(out, *dialect, as_number(count)),
        }
        if style.timestamps {
            timestamp(out, *dialect, row.span.time);
        }
        if let Some(exemplar) = exemplar {
            write_exemplar(out, exemplar);
        }
        out.push(b'\n');
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus itself keeps 64-bit floats")]
fn as_number(count: u64) -> f64 {
    count as f64
}

/// Writes the name, or begins the braces with it in quotes. Returns what stands before the next label.
fn open(out: &mut Vec<u8>, name: &str, suffix: &str) -> u8 {
    if text::is_classic_name(name) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        return b'{';
    }
    out.extend_from_slice(b"{\"");
    text::escaped(out, name, true);
    out.extend_from_slice(suffix.as_bytes());
    out.push(b'"');
    b','
}

fn close(out: &mut Vec<u8>, separator: u8) {
    if separator == b',' {
        out.push(b'}');
    }
}

/// Writes labels: as they are, or as the client takes them.
fn write_labels<'a>(
    out: &mut Vec<u8>,
    separator: &mut u8,
    sets: impl Iterator<Item = (&'a Pairs, bool)>,
    escaped: Option<&[(String, String)]>,
) {
    if let Some(labels) = escaped {
        return labels.iter().for_each(|(name, value)| text::label(out, separator, name, value));
    }
    for (pairs, odd) in sets {
        for (name, value) in pairs.iter() {
            if odd {
                text::label(out, separator, name, value);
                continue;
            }
            out.push(std::mem::replace(separator, b','));
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            text::escaped(out, value, true);
            out.push(b'"');
        }
    }
}

/// Milliseconds in the text format, seconds in OpenMetrics.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium are exact")]
fn timestamp(out: &mut Vec<u8>, dialect: Dialect, nanos: u64) {
    out.push(b' ');
    match dialect {
        Dialect::Prometheus => text::count(out, nanos / 1_000_000),
        Dialect::OpenMetrics => text::number(out, dialect, (nanos / 1_000_000) as f64 / 1000.0),
    }
}

/// An exemplar without a trace says nothing that the format could hold.
#[expect(clippy::cast_precision_loss, reason = "a microsecond more or less is all the same for an exemplar")]
fn write_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    let mut labels = String::new();
    for (name, id) in ids(exemplar) {
        let _ = write!(labels, "{}{name}=\"{id}\"", if labels.is_empty() { "" } else { "," });
    }
    if labels.is_empty() {
        return;
    }
    out.extend_from_slice(b" # {");
    out.extend_from_slice(labels.as_bytes());
    out.extend_from_slice(b"} ");
    text::number(out, Dialect::OpenMetrics, to_f64(Some(Number::Double(exemplar.value))));
    if exemplar.time > 0 {
        out.push(b' ');
        text::number(out, Dialect::OpenMetrics, exemplar.time as f64 / 1e9);
    }
}

/// The labels of an exemplar.
pub(super) fn ids(exemplar: &Exemplar) -> impl Iterator<Item = (&'static str, String)> {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let trace = exemplar.trace_id.map(|id| ("trace_id", hex(&id)));
    let span = exemplar.span_id.map(|id| ("span_id", hex(&id)));
    trace.into_iter().chain(span)
}
