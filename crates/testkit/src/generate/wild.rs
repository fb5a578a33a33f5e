//! What the protocol allows: any field may be there or not, values nest, lists may be empty, text may be anything.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link},
};

use super::{Random, Request};

/// Keys that tests edit; they come up often.
pub const KEYS: [&str; 6] = ["service.name", "k8s.pod.name", "host", "a", "", "ключ"];
/// How deep values nest at most.
const DEPTH: usize = 4;

/// Any traces.
#[must_use]
pub fn traces(random: &mut Random) -> Request {
    let resource_spans = random.some(3, |random| ResourceSpans {
        resource: maybe(random, resource),
        scope_spans: random.some(3, |random| ScopeSpans {
            scope: maybe(random, scope),
            spans: random.some(5, span),
            schema_url: text(random),
        }),
        schema_url: text(random),
    });
    Request::Traces(ExportTraceServiceRequest { resource_spans })
}

/// Any metrics.
#[must_use]
pub fn metrics(random: &mut Random) -> Request {
    let resource_metrics = random.some(3, |random| ResourceMetrics {
        resource: maybe(random, resource),
        scope_metrics: random.some(3, |random| ScopeMetrics {
            scope: maybe(random, scope),
            metrics: random.some(4, metric),
            schema_url: text(random),
        }),
        schema_url: text(random),
    });
    Request::Metrics(ExportMetricsServiceRequest { resource_metrics })
}

/// Any logs.
#[must_use]
pub fn logs(random: &mut Random) -> Request {
    let resource_logs = random.some(3, |random| ResourceLogs {
        resource: maybe(random, resource),
        scope_logs: random.some(3, |random| ScopeLogs {
            scope: maybe(random, scope),
            log_records: random.some(5, log_record),
            schema_url: text(random),
        }),
        schema_url: text(random),
    });
    Request::Logs(ExportLogsServiceRequest { resource_logs })
}

fn maybe<T>(random: &mut Random, make: impl FnOnce(&mut Random) -> T) -> Option<T> {
    if random.once_in(4) { None } else { Some(make(random)) }
}

fn text(random: &mut Random) -> String {
    match random.below(6) {
        0 => String::new(),
        1 => "grüße, 世界 🎉".into(),
        2 => "a plain sentence".into(),
        3 => "x".repeat(random.below(300)),
        _ => (0..random.below(40)).map(|_| char::from(b'a' + random.below(26) as u8)).collect(),
    }
}

fn number(random: &mut Random) -> u64 {
    match random.below(5) {
        0 => 0,
        1 => 1,
        2 => random.below(300) as u64,
        3 => u64::MAX,
        _ => random.number(),
    }
}

fn double(random: &mut Random) -> f64 {
    // No NaN: it is not equal to itself.
    random.pick(&[0.0, -0.0, 1.5, -2.25, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324])
}

fn id(random: &mut Random, len: usize) -> Vec<u8> {
    if random.once_in(4) { Vec::new() } else { random.bytes(len) }
}

fn value(random: &mut Random, depth: usize) -> AnyValue {
    let scalars_only = if depth == 0 { 6 } else { 8 };
    let value = match random.below(scalars_only) {
        0 => None,
        1 => Some(Value::BoolValue(random.once_in(2))),
        2 => Some(Value::IntValue(number(random).cast_signed())),
        3 => Some(Value::DoubleValue(double(random))),
        4 => {
            let len = random.below(20);
            Some(Value::BytesValue(random.bytes(len)))
        }
        5 => Some(Value::StringValue(text(random))),
        6 => Some(Value::ArrayValue(ArrayValue { values: random.some(4, |random| value(random, depth - 1)) })),
        _ => Some(Value::KvlistValue(KeyValueList { values: random.some(4, |random| key_value(random, depth - 1)) })),
    };
    AnyValue { value }
}

fn key_value(random: &mut Random, depth: usize) -> KeyValue {
    let key = if random.once_in(2) { random.pick(&KEYS).to_owned() } else { text(random) };
    KeyValue { key, value: maybe(random, |random| value(random, depth)), ..KeyValue::default() }
}

fn attributes(random: &mut Random) -> Vec<KeyValue> {
    random.some(6, |random| key_value(random, DEPTH))
}

fn resource(random: &mut Random) -> Resource {
    Resource {
        attributes: attributes(random),
        dropped_attributes_count: number(random) as u32,
        entity_refs: random.some(2, |random| EntityRef {
            schema_url: text(random),
            r#type: text(random),
            id_keys: random.some(2, text),
            description_keys: random.some(2, text),
        }),
    }
}

fn scope(random: &mut Random) -> InstrumentationScope {
    InstrumentationScope {
        name: text(random),
        version: text(random),
        attributes: attributes(random),
        dropped_attributes_count: number(random) as u32,
    }
}

fn span(random: &mut Random) -> Span {
    Span {
        trace_id: id(random, 16),
        span_id: id(random, 8),
        trace_state: text(random),
        parent_span_id: id(random, 8),
        flags: number(random) as u32,
        name: text(random),
        kind: number(random) as i32,
        start_time_unix_nano: number(random),
        end_time_unix_nano: number(random),
        attributes: attributes(random),
        dropped_attributes_count: number(random) as u32,
        events: random.some(3, |random| Event {
            time_unix_nano: number(random),
            name: text(random),
            attributes: attributes(random),
            dropped_attributes_count: number(random) as u32,
        }),
        dropped_events_count: number(random) as u32,
        links: random.some(2, |random| Link {
            trace_id: id(random, 16),
            span_id: id(random, 8),
            trace_state: text(random),
            attributes: attributes(random),
            dropped_attributes_count: number(random) as u32,
            flags: number(random) as u32,
        }),
        dropped_links_count: number(random) as u32,
        status: maybe(random, |random| Status { message: text(random), code: number(random) as i32 }),
    }
}

fn log_record(random: &mut Random) -> LogRecord {
    LogRecord {
        time_unix_nano: number(random),
        observed_time_unix_nano: number(random),
        severity_number: number(random) as i32,
        severity_text: text(random),
        body: maybe(random, |random| value(random, DEPTH)),
        attributes: attributes(random),
        dropped_attributes_count: number(random) as u32,
        flags: number(random) as u32,
        trace_id: id(random, 16),
        span_id: id(random, 8),
        event_name: text(random),
    }
}

fn metric(random: &mut Random) -> Metric {
    let aggregation_temporality = number(random) as i32;
    let data = match random.below(6) {
        0 => None,
        1 => Some(Data::Gauge(Gauge { data_points: random.some(4, number_point) })),
        2 => Some(Data::Sum(Sum {
            data_points: random.some(4, number_point),
            aggregation_temporality,
            is_monotonic: random.once_in(2),
        })),
        3 => Some(Data::Histogram(Histogram { data_points: random.some(4, histogram_point), aggregation_temporality })),
        4 => Some(Data::ExponentialHistogram(ExponentialHistogram {
            data_points: random.some(4, exponential_point),
            aggregation_temporality,
        })),
        _ => Some(Data::Summary(Summary { data_points: random.some(4, summary_point) })),
    };
    Metric { name: text(random), description: text(random), unit: text(random), metadata: attributes(random), data }
}

fn number_point(random: &mut Random) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(random),
        start_time_unix_nano: number(random),
        time_unix_nano: number(random),
        exemplars: random.some(2, exemplar),
        flags: number(random) as u32,
        value: maybe(random, |random| match random.below(2) {
            0 => number_data_point::Value::AsInt(number(random).cast_signed()),
            _ => number_data_point::Value::AsDouble(double(random)),
        }),
    }
}

fn histogram_point(random: &mut Random) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(random),
        start_time_unix_nano: number(random),
        time_unix_nano: number(random),
        count: number(random),
        sum: maybe(random, double),
        bucket_counts: random.some(12, number),
        explicit_bounds: random.some(12, double),
        exemplars: random.some(2, exemplar),
        flags: number(random) as u32,
        min: maybe(random, double),
        max: maybe(random, double),
    }
}

fn exponential_point(random: &mut Random) -> ExponentialHistogramDataPoint {
    let buckets =
        |random: &mut Random| Buckets { offset: number(random) as i32, bucket_counts: random.some(9, number) };
    ExponentialHistogramDataPoint {
        attributes: attributes(random),
        start_time_unix_nano: number(random),
        time_unix_nano: number(random),
        count: number(random),
        sum: maybe(random, double),
        scale: number(random) as i32,
        zero_count: number(random),
        positive: maybe(random, buckets),
        negative: maybe(random, buckets),
        flags: number(random) as u32,
        exemplars: random.some(2, exemplar),
        min: maybe(random, double),
        max: maybe(random, double),
        zero_threshold: double(random),
    }
}

fn summary_point(random: &mut Random) -> SummaryDataPoint {
    SummaryDataPoint {
        attributes: attributes(random),
        start_time_unix_nano: number(random),
        time_unix_nano: number(random),
        count: number(random),
        sum: double(random),
        quantile_values: random.some(4, |random| ValueAtQuantile { quantile: double(random), value: double(random) }),
        flags: number(random) as u32,
    }
}

fn exemplar(random: &mut Random) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(random),
        time_unix_nano: number(random),
        span_id: id(random, 8),
        trace_id: id(random, 16),
        value: maybe(random, |random| match random.below(2) {
            0 => exemplar::Value::AsInt(number(random).cast_signed()),
            _ => exemplar::Value::AsDouble(double(random)),
        }),
    }
}
