//! What SDKs send: one resource with 8 attributes, 2 scopes; metrics from 9 instruments (44 % sums, 33 % histograms with
//! 12 buckets, 22 % gauges, 4 to 6 attributes a point, about 250 bytes a point); spans with 12 attributes and 2 events
//! (about 800 bytes); logs with a body of 200 bytes and 6 attributes (about 480 bytes).

pub use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event};

use super::{Random, Request};

/// Start of all times.
const EPOCH: u64 = 1_760_000_000_000_000_000;
/// Upper bounds of the SDKs' default histogram buckets, without the last ones.
const BOUNDS: [f64; 11] = [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0];
const ROUTES: [&str; 6] = ["/items", "/items/{id}", "/users/{id}/orders", "/health", "/api/v1/checkout", "/login"];

/// Metrics with this many data points.
#[must_use]
pub fn metrics(seed: u64, points: usize) -> Request {
    let mut random = Random::new(seed);
    let mut metrics: Vec<Metric> = (0..9).map(|index| metric(&mut random, index, share(points, 9, index))).collect();
    let second = metrics.split_off(5);
    let scope_metrics = [metrics, second]
        .into_iter()
        .enumerate()
        .map(|(index, metrics)| ScopeMetrics { scope: Some(scope(index)), metrics, schema_url: String::new() })
        .collect();
    let group = ResourceMetrics { resource: Some(resource(&mut random)), scope_metrics, schema_url: schema_url() };
    Request::Metrics(ExportMetricsServiceRequest { resource_metrics: vec![group] })
}

/// Traces with this many spans.
#[must_use]
pub fn traces(seed: u64, spans: usize) -> Request {
    let mut random = Random::new(seed);
    let scope_spans = (0..2)
        .map(|index| ScopeSpans {
            scope: Some(scope(index)),
            spans: (0..share(spans, 2, index)).map(|_| span(&mut random)).collect(),
            schema_url: String::new(),
        })
        .collect();
    let group = ResourceSpans { resource: Some(resource(&mut random)), scope_spans, schema_url: schema_url() };
    Request::Traces(ExportTraceServiceRequest { resource_spans: vec![group] })
}

/// Logs with this many records.
#[must_use]
pub fn logs(seed: u64, records: usize) -> Request {
    let mut random = Random::new(seed);
    let scope_logs = (0..2)
        .map(|index| ScopeLogs {
            scope: Some(scope(index)),
            log_records: (0..share(records, 2, index)).map(|_| log_record(&mut random)).collect(),
            schema_url: String::new(),
        })
        .collect();
    let group = ResourceLogs { resource: Some(resource(&mut random)), scope_logs, schema_url: schema_url() };
    Request::Logs(ExportLogsServiceRequest { resource_logs: vec![group] })
}

/// The share of one of `of` when `all` are dealt out evenly.
fn share(all: usize, of: usize, index: usize) -> usize {
    all / of + usize::from(index < all % of)
}

fn schema_url() -> String {
    "https://opentelemetry.io/schemas/1.28.0".into()
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn resource(random: &mut Random) -> Resource {
    let pod = format!("fastapi-metrics-{:08x}-{:05x}", random.number() as u32, random.below(1 << 20));
    let attributes = vec![
        text("service.name", "fastapi-metrics"),
        text("service.version", "1.4.2"),
        text("service.instance.id", format!("{:016x}-{:016x}", random.number(), random.number())),
        text("telemetry.sdk.language", "python"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "1.45.2"),
        text("host.name", pod),
        int("process.pid", 1 + random.below(30_000) as i64),
    ];
    Resource { attributes, ..Resource::default() }
}

fn scope(index: usize) -> InstrumentationScope {
    let (name, version) = [("opentelemetry.instrumentation.fastapi", "0.66b2"), ("app.custom", "")][index % 2];
    InstrumentationScope { name: name.into(), version: version.into(), ..InstrumentationScope::default() }
}

fn metric(random: &mut Random, index: usize, points: usize) -> Metric {
    let data = match index {
        0 | 2 | 5 | 7 => Data::Sum(Sum {
            data_points: (0..points).map(|_| number_point(random)).collect(),
            aggregation_temporality: 2,
            is_monotonic: true,
        }),
        1 | 4 | 8 => Data::Histogram(Histogram {
            data_points: (0..points).map(|_| histogram_point(random)).collect(),
            aggregation_temporality: 2,
        }),
        _ => Data::Gauge(Gauge { data_points: (0..points).map(|_| number_point(random)).collect() }),
    };
    Metric {
        name: format!("http.server.instrument_{index}.duration"),
        description: "Duration of HTTP server requests.".into(),
        unit: "ms".into(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn point_attributes(random: &mut Random) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("http.request.method", random.pick(&["GET", "POST", "PUT", "DELETE"])),
        text("http.route", random.pick(&ROUTES)),
        int("http.response.status_code", random.pick(&[200, 201, 204, 301, 400, 404, 500, 503])),
        text("network.protocol.version", "1.1"),
        text("url.scheme", "http"),
        text("customer.tier", format!("tier-{}", random.below(10))),
    ];
    attributes.truncate(4 + random.below(3));
    attributes
}

fn number_point(random: &mut Random) -> NumberDataPoint {
    let value = match random.below(2) {
        0 => number_data_point::Value::AsInt(random.below(1_000_000) as i64),
        _ => number_data_point::Value::AsDouble(random.fraction() * 1000.0),
    };
    NumberDataPoint {
        attributes: point_attributes(random),
        start_time_unix_nano: EPOCH,
        time_unix_nano: EPOCH + random.number() % 60_000_000_000,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn histogram_point(random: &mut Random) -> HistogramDataPoint {
    let bucket_counts: Vec<u64> = (0..12).map(|_| random.below(1000) as u64).collect();
    HistogramDataPoint {
        attributes: point_attributes(random),
        start_time_unix_nano: EPOCH,
        time_unix_nano: EPOCH + random.number() % 60_000_000_000,
        count: bucket_counts.iter().sum(),
        sum: Some(random.fraction() * 100_000.0),
        bucket_counts,
        explicit_bounds: BOUNDS.to_vec(),
        min: Some(random.fraction()),
        max: Some(random.fraction() * 1000.0),
        ..HistogramDataPoint::default()
    }
}

fn span_attributes(random: &mut Random) -> Vec<KeyValue> {
    let route = random.pick(&ROUTES);
    vec![
        text("http.request.method", random.pick(&["GET", "POST"])),
        text("http.route", route),
        text("url.path", format!("{route}/{}", random.below(100_000))),
        text("url.scheme", "http"),
        text("server.address", "fastapi-metrics.default.svc.cluster.local"),
        int("server.port", 8000),
        text("client.address", format!("10.244.{}.{}", random.below(256), random.below(256))),
        int("http.response.status_code", random.pick(&[200, 404, 500])),
        text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
        text("network.protocol.version", "1.1"),
        attribute("http.resend", Value::BoolValue(random.once_in(10))),
        attribute("app.load", Value::DoubleValue(random.fraction())),
    ]
}

fn span(random: &mut Random) -> Span {
    let start = EPOCH + random.number() % 60_000_000_000;
    Span {
        trace_id: random.bytes(16),
        span_id: random.bytes(8),
        parent_span_id: random.bytes(8),
        flags: 0x101,
        name: "GET /items/{id}".into(),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + random.number() % 1_000_000_000,
        attributes: span_attributes(random),
        events: vec![event(start, "request received"), event(start, "response sent")],
        status: Some(Status::default()),
        ..Span::default()
    }
}

fn event(time: u64, name: &str) -> Event {
    let attributes = vec![text("http.event.stage", "middleware"), int("http.event.bytes", 4096)];
    Event { time_unix_nano: time, name: name.into(), attributes, ..Event::default() }
}

fn log_record(random: &mut Random) -> LogRecord {
    let time = EPOCH + random.number() % 60_000_000_000;
    let mut body = format!("order {} was refused by the payment provider: ", random.number());
    while body.len() < 200 {
        body.push_str("the card has expired; ");
    }
    let attributes = vec![
        text("code.function.name", "checkout.payments.charge"),
        text("code.file.path", "/app/checkout/payments.py"),
        int("code.line.number", random.below(500) as i64),
        text("log.logger", "checkout.payments"),
        text("customer.id", format!("{:012x}", random.number() & 0xffff_ffff_ffff)),
        text("thread.name", "AnyIO worker thread"),
    ];
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time + 1000,
        severity_number: 13,
        severity_text: "WARN".into(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        attributes,
        flags: 1,
        trace_id: random.bytes(16),
        span_id: random.bytes(8),
        ..LogRecord::default()
    }
}
