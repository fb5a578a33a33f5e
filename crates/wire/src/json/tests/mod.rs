//! Tests of OTLP/JSON: what is read as what, what is refused with which words, and that nothing is lost on the way.

mod documents;
mod properties;
mod refusals;
mod written;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{from_protobuf, to_protobuf};
use crate::Signal;

/// Where a fragment of a test stands: the signal, and the text around it as it is written.
pub(super) struct Frame(Signal, &'static str, &'static str);

/// In a metric.
pub(super) const METRIC: Frame =
    Frame(Signal::Metrics, r#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"#, "}]}]}]}");

/// In a number data point.
pub(super) const POINT: Frame = Frame(
    Signal::Metrics,
    r#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"gauge":{"dataPoints":[{"#,
    "}]}}]}]}]}",
);

/// In a span.
pub(super) const SPAN: Frame =
    Frame(Signal::Traces, r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"#, "}]}]}]}");

/// In a log record.
pub(super) const LOG: Frame =
    Frame(Signal::Logs, r#"{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[{"#, "}]}]}]}");

/// In the body of a log record: any value.
pub(super) const BODY: Frame = Frame(
    Signal::Logs,
    r#"{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[{"body":{"#,
    "}}]}]}]}",
);

/// In a resource.
pub(super) const RESOURCE: Frame = Frame(Signal::Traces, r#"{"resourceSpans":[{"resource":{"#, "}}]}");

impl Frame {
    pub(super) fn document(&self, fragment: &str) -> String {
        format!("{}{fragment}{}", self.1, self.2)
    }

    /// Reads the fragment in its place, asks the full decoder whether it is a request, and writes it again.
    #[track_caller]
    pub(super) fn reads(&self, fragment: &str, expected: &str) {
        let document = self.document(fragment);
        let protobuf = to_protobuf(self.0, document.as_bytes()).unwrap_or_else(|error| panic!("{fragment}: {error}"));
        reencode(self.0, &protobuf);
        let written = String::from_utf8(from_protobuf(self.0, &protobuf.into())).unwrap();
        assert_eq!(written, self.document(expected), "{fragment}");
    }

    /// Reads the fragment and gives the error without its place.
    #[track_caller]
    pub(super) fn refuses(&self, fragment: &str, field: &str, what: &str) {
        let document = self.document(fragment);
        let error = to_protobuf(self.0, document.as_bytes()).expect_err(fragment);
        assert_eq!(error.what, what, "{fragment}");
        assert!(error.path.ends_with(field), "{fragment}: {}", error.path);
    }
}

/// Decodes with the full decoder and encodes again.
#[track_caller]
pub(super) fn reencode(signal: Signal, protobuf: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
    }
}
