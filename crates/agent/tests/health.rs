//! What the program itself answers on the health port while its destination stalls, comes back, and while it drains.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::time::{Duration, Instant};

use testkit::AgentProcess;
use testkit::backend::{Answer, Backend};
use testkit::generate::sdk;

const BINARY: &str = env!("CARGO_BIN_EXE_otel-agent");
const WAIT: Duration = Duration::from_secs(30);

fn config(backend: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: 'GRPC'}}, http: {{endpoint: 'HTTP'}}}}}}
processors:
  batch: {{timeout: 50ms}}
exporters:
  otlp_http/stalls:
    endpoint: '{backend}'
    timeout: 300ms
    retry_on_failure: {{initial_interval: 50ms, max_interval: 100ms, max_elapsed_time: 0s}}
    sending_queue: {{queue_size: 1}}
extensions:
  health_check: {{endpoint: 'HEALTH', stuck_after: 1s}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: METRICS_PORT}}}}}}}}]}}}}
  pipelines:
    logs/app: {{receivers: [otlp], processors: [batch], exporters: [otlp_http/stalls]}}
"
    )
}

fn status(agent: &AgentProcess, path: &str) -> u16 {
    agent.ask_health(path).unwrap().status
}

fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WAIT, "it does not come: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_backend_shows_as_stuck_and_neither_ready_nor_live_is_lowered() {
    let backend = Backend::start().await.unwrap();
    let agent = AgentProcess::start(BINARY, &config(&backend.url())).unwrap();
    assert_eq!((status(&agent, "/live"), status(&agent, "/ready"), status(&agent, "/moving")), (200, 200, 200));
    backend.answer(Answer::Stall);
    let request = sdk::logs(1, 70);
    let post = || agent.post("/v1/logs", "application/x-protobuf", &request.encode()).unwrap().status;
    assert_eq!(post(), 200);
    until("stuck", || status(&agent, "/moving") == 503);
    let text = agent.ask_health("/moving").unwrap().text;
    for expected in [
        "\"pipeline\": \"logs/app\"",
        "\"exporter\": \"otlp_http/stalls\"",
        "\"heldItems\": 70",
        "no answer from 127.0.0.1:",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(agent.sum("otel_agent_exporter_stalled_seconds").unwrap() >= 1.0);
    assert_eq!((status(&agent, "/live"), status(&agent, "/ready"), status(&agent, "/")), (200, 200, 200));
    assert_eq!(agent.sum("otel_agent_ready").unwrap(), 1.0);

    backend.answer(Answer::Accept);
    until("moving again", || status(&agent, "/moving") == 200);
    until("nothing is held", || agent.sum("otel_agent_ledger_held_items").is_ok_and(|held| held == 0.0));
    assert_eq!(agent.sum("otel_agent_exporter_stalled_seconds").unwrap(), 0.0);
    agent.ledger_balances().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_not_ready_and_live_to_its_end() {
    let backend = Backend::start().await.unwrap();
    let agent = AgentProcess::start(BINARY, &config(&backend.url()).replace("timeout: 300ms", "timeout: 20s")).unwrap();
    backend.answer(Answer::Slow(Duration::from_secs(3)));
    let request = sdk::logs(1, 70);
    assert_eq!(agent.post("/v1/logs", "application/x-protobuf", &request.encode()).unwrap().status, 200);
    until("a request on its way", || {
        agent.sum("otelcol_exporter_in_flight_requests").is_ok_and(|flying| flying == 1.0)
    });
    agent.begin_to_stop().unwrap();
    until("not ready", || status(&agent, "/ready") == 503);
    let mut live = 0;
    // The port closes when the drain is over.
    while let Ok(answer) = agent.ask_health("/live") {
        assert_eq!(answer.status, 200, "{}", answer.text);
        live += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(live > 10, "{live} answers in a drain of three seconds");
    let (exit, log) = agent.terminate().unwrap();
    assert!(exit.success() && backend.items_total() == 70, "{log}");
}
