//! Translating and sending, seen by a receiver that decodes.

mod messages;
mod model;
mod sending;
mod translating;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exponential_histogram_data_point::Buckets,
    metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::config::Config;
use super::request::{Message, Requests};
use super::translate::Untranslated;
use crate::settings::read_text;
use messages::{Request2, WriteRequest};

fn config(more: &str) -> Config {
    read_text(&format!("endpoint: http://localhost:1/api/v1/write\n{more}")).unwrap()
}

/// What a request becomes: the write requests, each with its size, and what is left out.
fn translate(config: &Config, request: &ExportMetricsServiceRequest) -> (Vec<(WriteRequest, usize)>, Untranslated) {
    let mut bodies = Vec::new();
    let mut requests =
        Requests::new(config.message(), config.most_bytes(), config.send_metadata, |body: Vec<u8>| bodies.push(body));
    let untranslated = config.translator().unwrap().translate(&request.encode_to_vec(), &mut requests);
    requests.finish();
    let read = |body: Vec<u8>| {
        let size = body.len();
        match config.message() {
            Message::V1 => (WriteRequest::decode(&*body).unwrap(), size),
            Message::V2 => (Request2::decode(&*body).unwrap().resolved().0, size),
        }
    };
    (bodies.into_iter().map(read).collect(), untranslated)
}

/// The series by their labels as one text, `{a="1",b="2"}` behind the name.
fn by_labels(requests: Vec<(WriteRequest, usize)>) -> BTreeMap<String, messages::TimeSeries> {
    let mut all: BTreeMap<String, messages::TimeSeries> = BTreeMap::new();
    for series in requests.into_iter().flat_map(|(request, _)| request.timeseries) {
        assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{:?}", series.labels);
        let of = |name: &str| series.labels.iter().find(|label| label.name == name).map(|label| label.value.clone());
        let others = series.labels.iter().filter(|label| label.name != "__name__");
        let others: Vec<String> = others.map(|label| format!("{}={:?}", label.name, label.value)).collect();
        let key = format!("{}{{{}}}", of("__name__").unwrap(), others.join(","));
        let known = all.entry(key).or_default();
        known.samples.extend(series.samples);
        known.histograms.extend(series.histograms);
        known.exemplars.extend(series.exemplars);
    }
    all
}

/// Every sample as a line: `name{labels} value @time`.
fn lines(config: &Config, request: &ExportMetricsServiceRequest) -> Vec<String> {
    let series = by_labels(translate(config, request).0);
    let line = |(key, series): (&String, &messages::TimeSeries)| {
        let samples = series.samples.iter().map(|sample| format!("{key} {} @{}", sample.value, sample.timestamp));
        samples.collect::<Vec<_>>()
    };
    series.iter().flat_map(line).collect()
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let value = |text: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) });
    pairs
        .iter()
        .map(|(key, text)| KeyValue { key: (*key).to_owned(), value: value(text), ..KeyValue::default() })
        .collect()
}

fn request(resource: &[(&str, &str)], metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope = InstrumentationScope { name: "meter".to_owned(), ..InstrumentationScope::default() };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    let resource = Some(Resource { attributes: attributes(resource), ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn point(pairs: &[(&str, &str)], milliseconds: u64, value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(pairs),
        time_unix_nano: milliseconds * 1_000_000,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn sum(temporality: i32, points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum { data_points: points, aggregation_temporality: temporality, is_monotonic: true })
}

const CUMULATIVE: i32 = 2;
const DELTA: i32 = 1;
