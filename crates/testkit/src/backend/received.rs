//! What a backend keeps of a request: how it came, its bytes, and the decoded message.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;

/// Which signal a request carries. (`wire::Signal` is not used: the testkit must not lean on what it tests.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignalKind {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

impl SignalKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP, protobuf.
    HttpProto,
    /// OTLP/HTTP, JSON.
    HttpJson,
}

/// A request, decoded.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Metrics.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
    /// OTLP/JSON, as it is.
    Json(serde_json::Value),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Received {
    /// Which signal.
    pub signal: SignalKind,
    /// How it came.
    pub protocol: Protocol,
    /// Path of the request.
    pub path: String,
    /// Headers of the request.
    pub headers: HeaderMap,
    /// Length of the body as it came over the wire, compressed and with its frame.
    pub wire_bytes: usize,
    /// The message: inflated, without the gRPC frame.
    pub body: Bytes,
    /// The message, decoded.
    pub payload: Payload,
    /// Spans, data points or log records in it.
    pub items: usize,
}

impl Received {
    pub(super) fn read(path: &str, headers: HeaderMap, body: &Bytes) -> anyhow::Result<Self> {
        let protocol = protocol(&headers)?;
        let signal = signal(path).with_context(|| format!("path {path}"))?;
        let message = match protocol {
            Protocol::Grpc => grpc_message(&headers, body)?,
            _ => inflate(&text(&headers, "content-encoding"), body, false)?,
        };
        let payload = Payload::decode(signal, protocol, &message)?;
        let items = payload.items();
        Ok(Self {
            signal,
            protocol,
            path: path.to_owned(),
            headers,
            wire_bytes: body.len(),
            body: message,
            payload,
            items,
        })
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn protocol(headers: &HeaderMap) -> anyhow::Result<Protocol> {
    let content_type = text(headers, "content-type");
    match content_type.as_str() {
        "application/grpc" | "application/grpc+proto" => Ok(Protocol::Grpc),
        "application/x-protobuf" => Ok(Protocol::HttpProto),
        "application/json" => Ok(Protocol::HttpJson),
        other => bail!("content type {other:?}"),
    }
}

/// The signal by the path: the gRPC services, or any HTTP path with the name of the signal in it.
fn signal(path: &str) -> Option<SignalKind> {
    match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => return Some(SignalKind::Traces),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => return Some(SignalKind::Metrics),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => return Some(SignalKind::Logs),
        _ => {}
    }
    [("trace", SignalKind::Traces), ("metric", SignalKind::Metrics), ("log", SignalKind::Logs)]
        .into_iter()
        .find(|(word, _)| path.contains(word))
        .map(|(_, signal)| signal)
}

fn grpc_message(headers: &HeaderMap, body: &Bytes) -> anyhow::Result<Bytes> {
    let (Some(flag), Some(length)) = (body.first(), body.get(1..5)) else { bail!("no gRPC frame") };
    let length = u32::from_be_bytes(length.try_into().context("four bytes")?) as usize;
    let message = body.slice(5..);
    if message.len() != length {
        bail!("the gRPC frame says {length} bytes, {} came", message.len());
    }
    match flag {
        0 => Ok(message),
        1 => inflate(&text(headers, "grpc-encoding"), &message, true),
        other => bail!("gRPC compression flag {other}"),
    }
}

fn inflate(encoding: &str, body: &Bytes, grpc: bool) -> anyhow::Result<Bytes> {
    let mut out = Vec::new();
    match encoding {
        "" | "identity" => return Ok(body.clone()),
        "gzip" => flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut out),
        "deflate" | "zlib" => flate2::read::ZlibDecoder::new(&body[..]).read_to_end(&mut out),
        "zstd" => zstd::Decoder::new(&body[..]).and_then(|mut decoder| decoder.read_to_end(&mut out)),
        "snappy" if grpc => snap::read::FrameDecoder::new(&body[..]).read_to_end(&mut out),
        "x-snappy-framed" => snap::read::FrameDecoder::new(&body[..]).read_to_end(&mut out),
        "snappy" => return Ok(snap::raw::Decoder::new().decompress_vec(body)?.into()),
        "lz4" => lz4_flex::frame::FrameDecoder::new(&body[..]).read_to_end(&mut out),
        other => bail!("encoding {other:?}"),
    }
    .with_context(|| format!("inflating {encoding}"))?;
    Ok(out.into())
}

impl Payload {
    fn decode(signal: SignalKind, protocol: Protocol, message: &Bytes) -> anyhow::Result<Self> {
        if protocol == Protocol::HttpJson {
            return Ok(Self::Json(serde_json::from_slice(message)?));
        }
        Ok(match signal {
            SignalKind::Traces => Self::Traces(ExportTraceServiceRequest::decode(message.clone())?),
            SignalKind::Metrics => Self::Metrics(ExportMetricsServiceRequest::decode(message.clone())?),
            SignalKind::Logs => Self::Logs(ExportLogsServiceRequest::decode(message.clone())?),
        })
    }

    /// Spans, data points or log records in it.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Self::Traces(request) => {
                request.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum()
            }
            Self::Logs(request) => {
                request.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum()
            }
            Self::Metrics(request) => {
                let scopes = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics);
                scopes.flat_map(|s| &s.metrics).map(|metric| points(metric.data.as_ref())).sum()
            }
            Self::Json(value) => json_items(value),
        }
    }
}

fn points(data: Option<&Data>) -> usize {
    match data {
        None => 0,
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
    }
}

/// In OTLP/JSON the items are the members of these lists, wherever they stand.
fn json_items(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Array(values) => values.iter().map(json_items).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("spans" | "dataPoints" | "logRecords", Value::Array(items)) => items.len(),
                _ => json_items(value),
            })
            .sum(),
        _ => 0,
    }
}
