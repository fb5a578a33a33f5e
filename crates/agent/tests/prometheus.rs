//! The exporter `prometheus` in the program: fetched over HTTP, over reloads, until the end.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use testkit::generate::sdk;
use testkit::{AgentProcess, free_address};

const BINARY: &str = env!("CARGO_BIN_EXE_otel-agent");

/// An agent that shows metrics at this port.
fn config(port: u16, more: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: 'GRPC'}}, http: {{endpoint: 'HTTP'}}}}}}
exporters:
  prometheus: {{endpoint: '127.0.0.1:{port}', {more}}}
extensions:
  health_check: {{endpoint: 'HEALTH'}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: METRICS_PORT}}}}}}}}]}}}}
  pipelines:
    metrics: {{receivers: [otlp], exporters: [prometheus]}}
"
    )
}

/// The lines that hold samples.
fn fetch(port: u16) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: agent\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    body.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn post(agent: &AgentProcess) {
    let answer = agent.post("/v1/metrics", "application/x-protobuf", &sdk::metrics(1, 100).encode()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[test]
fn a_reload_keeps_the_series_unless_the_exporter_changes() {
    let port = free_address().unwrap().port();
    let agent = AgentProcess::start(BINARY, &config(port, "")).unwrap();
    post(&agent);
    let before = fetch(port);
    assert!(before.len() > 20, "{before:?}");
    let more = config(port, "").replace("receivers: [otlp]", "processors: [batch], receivers: [otlp]");
    agent.reload(&more.replace("extensions:\n  health", "processors: {batch: }\nextensions:\n  health")).unwrap();
    agent.wait_for_log("Config updated").unwrap();
    assert_eq!(fetch(port), before);
    agent.reload(&config(port, "namespace: mine")).unwrap();
    agent.wait_for_log_times("Config updated", 2).unwrap();
    assert_eq!(fetch(port), Vec::<String>::new(), "other settings, other series");
    post(&agent);
    assert!(fetch(port).iter().all(|line| line.starts_with("mine_")));
    agent.ledger_balances().unwrap();
    assert_eq!(agent.sum("otel_agent_prometheus_scrapes").unwrap() as u64, 2, "only the exporter in force counts");
    let (status, log) = agent.terminate().unwrap();
    assert!(status.success() && log.contains("Shutdown complete."), "{log}");
}

#[test]
fn a_port_in_use_ends_the_start_and_names_the_exporter() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = AgentProcess::start(BINARY, &config(port, "")).err().unwrap().to_string();
    assert!(error.contains("cannot start exporter `prometheus`") && error.contains("in use"), "{error}");
}

#[test]
fn what_is_not_kept_is_in_the_ledger_with_a_reason() {
    let port = free_address().unwrap().port();
    let agent = AgentProcess::start(BINARY, &config(port, "max_series: 5")).unwrap();
    post(&agent);
    agent.ledger_balances().unwrap();
    assert!(fetch(port).iter().any(|line| !line.starts_with("target_info")));
    let dropped = agent.sum("otel_agent_ledger_dropped_items").unwrap();
    assert!(dropped > 0.0);
    assert_eq!(agent.sum("otel_agent_prometheus_dropped_points").unwrap(), dropped);
    assert_eq!(agent.sum("otel_agent_prometheus_refused_points").unwrap(), dropped);
    assert_eq!(agent.sum("otel_agent_ledger_accepted_items").unwrap(), 100.0);
}
