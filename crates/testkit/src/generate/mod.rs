//! Requests to test and measure with, the same for the same seed.
//!
//! [`sdk`](crate::generate::sdk) makes what SDKs send in production; [`wild`](crate::generate::wild) makes what the protocol allows, with every field, kind and corner.

pub mod random;
pub mod sdk;
pub mod wild;

pub use random::Random;

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::Message;

/// A decoded request of any signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Data points.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

impl Request {
    /// The request as it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Request::Traces(request) => request.encode_to_vec(),
            Request::Metrics(request) => request.encode_to_vec(),
            Request::Logs(request) => request.encode_to_vec(),
        }
    }

    /// How many spans, data points or log records it holds.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Request::Traces(request) => {
                request.resource_spans.iter().flat_map(|group| &group.scope_spans).map(|scope| scope.spans.len()).sum()
            }
            Request::Metrics(request) => request
                .resource_metrics
                .iter()
                .flat_map(|group| &group.scope_metrics)
                .flat_map(|scope| &scope.metrics)
                .map(points)
                .sum(),
            Request::Logs(request) => request
                .resource_logs
                .iter()
                .flat_map(|group| &group.scope_logs)
                .map(|scope| scope.log_records.len())
                .sum(),
        }
    }
}

/// How many data points a metric holds.
#[must_use]
pub fn points(metric: &opentelemetry_proto::tonic::metrics::v1::Metric) -> usize {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    }
}
