//! What exporters that write text need for a large request: some pieces of it, never the whole.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use testkit::AgentProcess;

const BINARY: &str = env!("CARGO_BIN_EXE_otel-agent");
const RECORDS: usize = 200_000;
/// The body in the budget, once more as it is read, and what the process needs besides.
const MOST: usize = 12 << 20;

fn config(exporter: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: 'GRPC'}}, http: {{endpoint: 'HTTP'}}}}}}
exporters:
  {exporter}
extensions:
  health_check: {{endpoint: 'HEALTH'}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: METRICS_PORT}}}}}}}}]}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [{}]}}
",
        exporter.split(':').next().unwrap()
    )
}

/// Very many records that each say next to nothing, so that what is written of them is many times as long.
fn body() -> Vec<u8> {
    let body = AnyValue { value: Some(Value::StringValue("x".to_owned())) };
    let record = LogRecord { body: Some(body), ..LogRecord::default() };
    let scope = ScopeLogs { log_records: vec![record; RECORDS], ..ScopeLogs::default() };
    let resource_logs = vec![ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// Sends it, and gives how much was written and how much memory that took.
fn send(exporter: &str) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let agent = AgentProcess::start(BINARY, &config(&exporter.replace("PATH", path.to_str().unwrap()))).unwrap();
    let before = agent.peak_memory().unwrap();
    let answer = agent.post("/v1/logs", "application/x-protobuf", &body()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    (std::fs::metadata(path).unwrap().len() as usize, agent.peak_memory().unwrap() - before)
}

#[test]
fn a_large_request_is_never_in_memory_as_text() {
    for (exporter, least) in [
        ("debug: {verbosity: detailed, use_internal_logger: false, output_paths: ['PATH']}", 30 << 20),
        ("debug: {verbosity: normal, use_internal_logger: false, output_paths: ['PATH']}", 400_000),
        ("file: {path: PATH}", 5 << 20),
        ("file: {path: PATH, compression: zstd}", 100),
        ("file: {path: PATH, rotation: {}}", 5 << 20),
    ] {
        let (written, memory) = send(exporter);
        println!("{exporter}: {written} bytes written, {memory} bytes of memory");
        assert!(written > least, "{exporter}: {written} bytes were written");
        assert!(memory < MOST, "{exporter}: it took {memory} bytes of memory");
    }
}
