//! The format `normal`: a line for each resource, scope and item.

use std::fmt::Write;

use wire::Signal;
use wire::view::{
    AnyValue, Attributes, Data, ExponentialHistogramPoint, HistogramPoint, LogRecord, Metric, Number, NumberPoint,
    Point, Request, ResourceGroup, ScopeGroup, Span, SummaryPoint,
};

use super::text::{Fixed, Pairs, Short, id};

/// What the headers of a signal say.
struct Words {
    resource: &'static str,
    scope: &'static str,
}

/// Writes a request.
pub(super) fn request(out: &mut dyn Write, signal: Signal, request: Request<'_>) {
    let words = match signal {
        Signal::Traces => Words { resource: "ResourceTraces", scope: "ScopeTraces" },
        Signal::Metrics => Words { resource: "ResourceMetrics", scope: "ScopeMetrics" },
        Signal::Logs => Words { resource: "ResourceLog", scope: "ScopeLog" },
    };
    for (index, group) in request.resources().enumerate() {
        resource(out, &words, index, group);
        for (index, group) in group.scopes().enumerate() {
            scope(out, &words, index, group);
            match signal {
                Signal::Traces => group.spans().for_each(|item| span(out, item)),
                Signal::Metrics => group.metrics().for_each(|item| metric(out, item)),
                Signal::Logs => group.log_records().for_each(|item| log_record(out, item)),
            }
        }
    }
}

fn resource(out: &mut dyn Write, words: &Words, index: usize, group: ResourceGroup<'_>) {
    let _ = write!(out, "{} #{index}", words.resource);
    if !group.schema_url().is_empty() {
        let _ = write!(out, " [{}]", group.schema_url());
    }
    spaced(out, group.resource().attributes());
    let _ = out.write_char('\n');
}

fn scope(out: &mut dyn Write, words: &Words, index: usize, group: ScopeGroup<'_>) {
    let scope = group.scope();
    let mut details = scope.name().to_owned();
    if !scope.version().is_empty() {
        let _ = write!(details, "@{}", scope.version());
    }
    if !group.schema_url().is_empty() {
        let _ = write!(details, "{}[{}]", if details.is_empty() { "" } else { " " }, group.schema_url());
    }
    let _ = write!(out, "{} #{index}{}{details}", words.scope, if details.is_empty() { "" } else { " " });
    spaced(out, scope.attributes());
    let _ = out.write_char('\n');
}

fn spaced(out: &mut dyn Write, attributes: Attributes<'_>) {
    if attributes.clone().next().is_some() {
        let _ = write!(out, " {}", Pairs(attributes, " "));
    }
}

fn span(out: &mut dyn Write, span: Span<'_>) {
    let _ = write!(out, "{} {} {}", span.name(), id(span.trace_id()), id(span.span_id()));
    spaced(out, span.attributes());
    let _ = out.write_char('\n');
}

fn log_record(out: &mut dyn Write, record: LogRecord<'_>) {
    let body: AnyValue<'_> = record.body();
    let _ = writeln!(out, "{body} {}", Pairs(record.attributes(), " "));
}

fn metric(out: &mut dyn Write, metric: Metric<'_>) {
    let data: Data<'_> = metric.data();
    for point in data.points() {
        let _ = write!(out, "{}{{{}}} ", metric.name(), Pairs(point.attributes(), ","));
        match point {
            Point::Number(point) => number(out, point),
            Point::Histogram(point) => histogram(out, point),
            Point::ExponentialHistogram(point) => exponential_histogram(out, point),
            Point::Summary(point) => summary(out, point),
        }
        let _ = out.write_char('\n');
    }
}

fn number(out: &mut dyn Write, point: NumberPoint<'_>) {
    let _ = match point.value() {
        Some(Number::Int(value)) => write!(out, "{value}"),
        Some(Number::Double(value)) => write!(out, "{}", Short(value)),
        None => Ok(()),
    };
}

fn totals(out: &mut dyn Write, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
    let _ = write!(out, "count={count}");
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            let _ = write!(out, " {name}={}", Short(value));
        }
    }
}

fn histogram(out: &mut dyn Write, point: HistogramPoint<'_>) {
    totals(out, point.count(), point.sum(), point.min(), point.max());
    let mut bounds = point.explicit_bounds();
    for count in point.bucket_counts() {
        let _ = match bounds.next() {
            Some(bound) => write!(out, " le{}={count}", Short(bound)),
            None => write!(out, " {count}"),
        };
    }
}

fn exponential_histogram(out: &mut dyn Write, point: ExponentialHistogramPoint<'_>) {
    totals(out, point.count(), point.sum(), point.min(), point.max());
    let factor = std::f64::consts::LN_2 * (-f64::from(point.scale())).exp2();
    let bound = |offset: i32, index: usize| ((f64::from(offset) + index as f64) * factor).exp();
    let negative: Vec<u64> = point.negative().bucket_counts().collect();
    for (index, count) in negative.iter().enumerate().rev() {
        let _ = write!(out, " le{}={count}", Short(-bound(point.negative().offset(), index)));
    }
    if point.zero_count() != 0 {
        let _ = write!(out, " zero={}", point.zero_count());
    }
    for (index, count) in point.positive().bucket_counts().enumerate() {
        let _ = write!(out, " le{}={count}", Short(bound(point.positive().offset(), index + 1)));
    }
}

fn summary(out: &mut dyn Write, point: SummaryPoint<'_>) {
    let _ = write!(out, "count={} sum={}", point.count(), Fixed(point.sum()));
    for quantile in point.quantiles() {
        let _ = write!(out, " q{}={}", Short(quantile.quantile()), Short(quantile.value()));
    }
}
