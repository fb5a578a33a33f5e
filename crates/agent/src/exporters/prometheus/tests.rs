//! The rules of the table, and what comes out in each format.

mod conflicts;
mod formats;
mod parse;
mod property;
mod rules;
mod served;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::Config;
use super::encode::{Answer, Style};
use super::negotiate::{Escaping, Format};
use super::rules::Rules;
use super::table::Table;
use crate::net::compression::Encoding;
use crate::settings::read_text;
use crate::telemetry::exposition::text::Dialect;

const TEXT: Format = Format::Text(Dialect::Prometheus);
const OPEN: Format = Format::Text(Dialect::OpenMetrics);
const SECOND: u64 = 1_000_000_000;
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn config(settings: &str) -> Config {
    read_text(&format!("{{endpoint: 'localhost:0', {settings}}}")).unwrap()
}

fn table(settings: &str) -> Arc<Table> {
    Arc::new(Table::new("prometheus", Rules::of(&config(settings))))
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let value = |text: &str| Some(AnyValue { value: Some(Any::StringValue(text.to_owned())) });
    let pair =
        |(key, text): &(&str, &str)| KeyValue { key: (*key).to_owned(), value: value(text), ..KeyValue::default() };
    pairs.iter().map(pair).collect()
}

fn request(resource: &[(&str, &str)], metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope = InstrumentationScope { name: "meter".to_owned(), ..InstrumentationScope::default() };
    let scope = ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() };
    let resource = Resource { attributes: attributes(resource), ..Resource::default() };
    let group = ResourceMetrics { resource: Some(resource), scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }
}

fn take(table: &Table, resource: &[(&str, &str)], metrics: Vec<Metric>) -> u64 {
    table.take(&request(resource, metrics).encode_to_vec())
}

fn point(pairs: &[(&str, &str)], time: u64, value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(pairs),
        time_unix_nano: time * SECOND,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), data: Some(data), ..Metric::default() }
}

fn gauge(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    metric(name, Data::Gauge(Gauge { data_points: points }))
}

fn sum(name: &str, aggregation_temporality: i32, is_monotonic: bool, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
}

fn histogram(name: &str, aggregation_temporality: i32, data_points: Vec<HistogramDataPoint>) -> Metric {
    metric(name, Data::Histogram(Histogram { data_points, aggregation_temporality }))
}

fn exponential(name: &str, aggregation_temporality: i32, data_points: Vec<ExponentialHistogramDataPoint>) -> Metric {
    metric(name, Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
}

fn scrape_in(table: &Arc<Table>, format: Format, escaping: Escaping, timestamps: bool) -> Vec<u8> {
    let style = Style { format, escaping, timestamps };
    let mut answer = Answer::new(table, &[], style, Encoding::Identity).unwrap();
    let mut whole = Vec::new();
    while let Some(part) = answer.next_part().unwrap() {
        whole.extend_from_slice(&part);
    }
    whole
}

/// The lines without comments and without `target_info`, sorted.
fn lines(table: &Arc<Table>) -> Vec<String> {
    let text = String::from_utf8(scrape_in(table, TEXT, Escaping::Underscores, false)).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("target_info"));
    let mut lines: Vec<_> = kept.map(str::to_owned).collect();
    lines.sort();
    lines
}
