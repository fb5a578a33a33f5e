//! A receiver on a port of its own, real bytes in, and what came out at both ends.

mod bad_input;
mod grpc;
mod http;
mod settings;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::net::auth::{AuthInfo, Denied};
use crate::pipeline::testing::{Capture, Captured};
use crate::settings::read_text;

const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A receiver with a pipeline for logs and for traces, none for metrics.
struct Bench {
    running: Running,
    logs: Arc<Capture>,
    metrics: Metrics,
}

/// Lets in who says `authorization: yes`.
struct Yes;

impl Authenticate for Yes {
    fn authenticate(&self, headers: &HeaderMap) -> Result<AuthInfo, Denied> {
        match headers.get("authorization") {
            Some(value) if value == "yes" => Ok(AuthInfo { attributes: vec![("user".to_owned(), "me".to_owned())] }),
            _ => Err(Denied::because("missing or wrong credentials")),
        }
    }
}

const BOTH: &str = "{protocols: {grpc: {endpoint: 'localhost:0'}, http: {endpoint: 'localhost:0'}}}";

impl Bench {
    fn start(yaml: &str) -> Self {
        Self::with_budget(yaml, 64 << 20)
    }

    fn with_budget(yaml: &str, budget: usize) -> Self {
        let config: Config = read_text(yaml).unwrap();
        let metrics = Metrics::new();
        let (intake, logs) = Capture::intake(Signal::Logs, budget);
        let (traces, _) = Capture::intake(Signal::Traces, budget);
        let inputs = Inputs {
            intakes: [Some(traces), None, Some(intake)],
            authenticator: &|_| Some(Arc::new(Yes)),
            metrics: &metrics,
        };
        let running = start(&ComponentId::of("otlp"), &config, inputs).unwrap();
        Self { running, logs, metrics }
    }

    /// The first port: gRPC's, if it is on.
    fn first(&self) -> u16 {
        port(self.running.addresses().next().unwrap())
    }

    /// The last port: HTTP's, if it is on.
    fn last(&self) -> u16 {
        port(self.running.addresses().last().unwrap())
    }

    fn taken(&self) -> Vec<Captured> {
        self.logs.take()
    }

    fn counted(&self, metric: &'static crate::telemetry::metric::Metric, labels: &[(&'static str, &str)]) -> f64 {
        let labels = [&[("receiver", "otlp")], labels].concat();
        self.metrics.value(metric, &labels).unwrap()
    }
}

fn port(address: &Address) -> u16 {
    match address {
        Address::Tcp(endpoint) => endpoint.port,
        Address::Unix(_) => 0,
    }
}

/// A request with this many log records.
fn request(items: usize) -> Vec<u8> {
    let body = Some(AnyValue { value: Some(any_value::Value::StringValue("an event".to_owned())) });
    let log_records = vec![LogRecord { body, time_unix_nano: 17, ..LogRecord::default() }; items];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
        .encode_to_vec()
}

/// What came back over HTTP/1.1, as text: status line and headers in lower case, body as it is.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn status_message(&self) -> wire::rpc::Status {
        wire::rpc::Status::decode(&self.body)
    }
}

/// Sends bytes as they are and reads to the end of the connection.
async fn raw(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The server may end before all is written: what it said counts.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("it ends");
    answer
}

/// One request over HTTP/1.1 on a connection of its own.
async fn send(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "content-length") {
        head += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let answer = raw(port, &[head.as_bytes(), b"\r\n", body].concat()).await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head[9..12].parse().unwrap();
    Answer { status, head, body: answer[end..].to_vec() }
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(port: u16, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(port, "POST", "/v1/logs", headers, body).await
}

/// One request over HTTP/2; gives the status, the headers and trailers together, and the body.
async fn send_h2(port: u16, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Bytes) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    connection.abort();
    (head.status, headers, body.to_bytes())
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn call(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://test{path}")).header("content-type", "application/grpc");
    request.header("te", "trailers").body(Full::new(body.into())).unwrap()
}

#[tokio::test]
async fn what_is_shown_of_connections_ends_with_the_receiver() {
    let Bench { running, metrics, .. } = Bench::start(BOTH);
    let open = || metrics.value(&table::CONNECTIONS, &[("receiver", "otlp"), ("transport", "grpc")]);
    assert_eq!(open(), Some(0.0));
    assert!(running.stop(Duration::from_secs(5)).await);
    assert_eq!(open(), None);
}
