//! The program itself: started as a process, sent to over its ports, stopped with signals. In every test the ledger balances.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::time::Duration;

use testkit::AgentProcess;
use testkit::backend::{Answer, Backend, Payload, SignalKind};
use testkit::generate::sdk;

const BINARY: &str = env!("CARGO_BIN_EXE_otel-agent");
const WAIT: Duration = Duration::from_secs(20);

/// The Collector's format, with an exporter that sends to `backend` and adds one attribute.
fn config(backend: &str, cluster: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: 'GRPC'}}, http: {{endpoint: 'HTTP'}}}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 400}}
  resource: {{attributes: [{{key: k8s.cluster.name, value: {cluster}, action: upsert}}]}}
  batch: {{timeout: 50ms}}
exporters:
  otlp_http: {{endpoint: '{backend}', retry_on_failure: {{initial_interval: 50ms, max_interval: 100ms}}}}
extensions:
  health_check: {{endpoint: 'HEALTH'}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: METRICS_PORT}}}}}}}}]}}}}
  pipelines:
    metrics: &all {{receivers: [otlp], processors: [memory_limiter, resource, batch], exporters: [otlp_http]}}
    traces: *all
    logs: *all
"
    )
}

fn post_everything(agent: &AgentProcess) -> usize {
    let requests =
        [("/v1/metrics", sdk::metrics(1, 100)), ("/v1/traces", sdk::traces(1, 50)), ("/v1/logs", sdk::logs(1, 70))];
    for (path, request) in &requests {
        let answer = agent.post(path, "application/x-protobuf", &request.encode()).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    requests.iter().map(|(_, request)| request.items()).sum()
}

fn clusters(backend: &Backend) -> Vec<String> {
    let of_resource = |resource: Option<&opentelemetry_proto::tonic::resource::v1::Resource>| {
        let attributes = resource.map(|resource| resource.attributes.clone()).unwrap_or_default();
        attributes.iter().filter(|a| a.key == "k8s.cluster.name").map(|a| format!("{:?}", a.value)).collect::<String>()
    };
    let of = |payload: &Payload| match payload {
        Payload::Metrics(m) => m.resource_metrics.iter().map(|g| of_resource(g.resource.as_ref())).collect::<Vec<_>>(),
        Payload::Traces(t) => t.resource_spans.iter().map(|g| of_resource(g.resource.as_ref())).collect(),
        Payload::Logs(l) => l.resource_logs.iter().map(|g| of_resource(g.resource.as_ref())).collect(),
        Payload::Json(_) => vec!["json".to_owned()],
    };
    backend.received().iter().flat_map(|received| of(&received.payload)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_arrives_with_the_attribute_added_and_the_ledger_says_so() {
    let backend = Backend::start().await.unwrap();
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), "c1")).unwrap();
    let items = post_everything(&agent);
    backend.wait_for(items, WAIT).await.unwrap();
    assert_eq!((backend.items_total(), backend.items(SignalKind::Traces)), (items, 50));
    assert!(clusters(&backend).iter().all(|cluster| cluster.contains("\"c1\"")), "{:?}", clusters(&backend));
    assert_eq!(backend.complaints(), Vec::<String>::new());
    agent.ledger_balances().unwrap();
    let (status, log) = agent.terminate().unwrap();
    assert!(status.success() && log.contains("Shutdown complete."), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_refuses_for_a_while_is_tried_again_and_arrives_once() {
    let backend = Backend::start().await.unwrap();
    backend.answer(Answer::code(14, "come back later"));
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), "c1")).unwrap();
    let items = post_everything(&agent);
    backend.wait_for_requests(6, WAIT).await.unwrap();
    agent.ledger_balances().unwrap();
    assert_eq!(agent.sum("otel_agent_ledger_held_items").unwrap() as usize, items);
    backend.answer(Answer::Accept);
    backend.wait_for(items, WAIT).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(backend.items_total(), items, "nothing arrives twice");
    agent.ledger_balances().unwrap();
    assert_eq!(agent.sum("otel_agent_ledger_sent_items").unwrap() as usize, items);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_delivers_what_is_held() {
    let backend = Backend::start().await.unwrap();
    let slow = config(&backend.url(), "c1").replace("timeout: 50ms", "timeout: 60s");
    let agent = AgentProcess::start(BINARY, &slow).unwrap();
    let items = post_everything(&agent);
    assert_eq!(backend.items_total(), 0, "a batch waits for its minute");
    agent.ledger_balances().unwrap();
    let (status, log) = agent.terminate().unwrap();
    assert!(status.success(), "{log}");
    assert_eq!(backend.items_total(), items, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_delivered_before_the_end_is_counted_and_logged() {
    let agent = AgentProcess::start(BINARY, &config("http://127.0.0.1:9", "c1")).unwrap();
    let items = post_everything(&agent);
    agent.ledger_balances().unwrap();
    let (status, log) = agent.terminate().unwrap();
    assert!(status.success(), "{log}");
    assert!(log.contains("Stopped before everything was delivered") && log.contains(&items.to_string()), "{log}");
}

/// Of the file as it is now.
fn checksum(agent: &AgentProcess) -> f64 {
    f64::from(crc32fast::hash(&std::fs::read(agent.config_path()).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_loads_a_good_file_and_refuses_a_bad_one() {
    let backend = Backend::start().await.unwrap();
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), "c1")).unwrap();
    assert_eq!(agent.sum("otel_agent_config_checksum").unwrap(), checksum(&agent));
    let first = post_everything(&agent);
    agent.reload(&config(&backend.url(), "c2")).unwrap();
    agent.wait_for_log("Config updated").unwrap();
    let second = post_everything(&agent);
    backend.wait_for(first + second, WAIT).await.unwrap();
    assert_eq!(clusters(&backend).iter().filter(|cluster| cluster.contains("\"c2\"")).count(), 3);
    let good = checksum(&agent);
    agent.reload("receivers: {otlp: {protocl: {}}}\n").unwrap();
    agent.wait_for_log("the running one stays in force").unwrap();
    assert_eq!(agent.sum("otel_agent_config_checksum").unwrap(), good);
    let ago = agent.sum("otel_agent_process_clock").unwrap() - agent.sum("otel_agent_config_applied").unwrap();
    assert!((0.0..600.0).contains(&ago), "{ago}");
    let third = post_everything(&agent);
    backend.wait_for(first + second + third, WAIT).await.unwrap();
    agent.ledger_balances().unwrap();
    assert_eq!(agent.sum("otel_agent_ledger_accepted_items").unwrap() as usize, first + second + third);
    assert_eq!(agent.health().unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_configuration_holds_is_tried_on_after_a_reload() {
    let backend = Backend::start().await.unwrap();
    backend.answer(Answer::code(14, "come back later"));
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), "c1")).unwrap();
    let items = post_everything(&agent);
    backend.wait_for_requests(3, WAIT).await.unwrap();
    agent.reload(&config(&backend.url(), "c2")).unwrap();
    agent.wait_for_log("Config updated").unwrap();
    let tried = backend.requests();
    backend.wait_for_requests(tried + 6, WAIT).await.unwrap();
    backend.answer(Answer::Accept);
    backend.wait_for(items, WAIT).await.unwrap();
    agent.ledger_balances().unwrap();
    let (status, log) = agent.terminate().unwrap();
    assert!(status.success() && !log.contains("before everything was delivered"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_cannot_bind_its_port_leaves_the_old_configuration_at_work() {
    let backend = Backend::start().await.unwrap();
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), "c1")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    agent.reload(&config(&backend.url(), "c2").replace("'GRPC'", &format!("'{address}'"))).unwrap();
    agent.wait_for_log("cannot be started; the running one stays in force").unwrap();
    assert!(agent.log().unwrap().contains(&address), "the log says which port");
    let items = post_everything(&agent);
    backend.wait_for(items, WAIT).await.unwrap();
    assert!(clusters(&backend).iter().all(|cluster| cluster.contains("\"c1\"")));
    agent.ledger_balances().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_at_its_second_receiver_closes_the_first_again() {
    let backend = Backend::start().await.unwrap();
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), "c1")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap();
    let second = format!("  otlp/second: {{protocols: {{http: {{endpoint: '{busy}'}}}}}}\nprocessors:");
    let two = config(&backend.url(), "c2").replace("processors:\n", &format!("{second}\n"));
    agent.reload(&two.replace("receivers: [otlp]", "receivers: [otlp, otlp/second]")).unwrap();
    agent.wait_for_log("cannot be started; the running one stays in force").unwrap();
    let items = post_everything(&agent);
    backend.wait_for(items, WAIT).await.unwrap();
    assert!(clusters(&backend).iter().all(|cluster| cluster.contains("\"c1\"")), "{:?}", clusters(&backend));
    assert!(!agent.log().unwrap().contains("could not be opened again"), "{}", agent.log().unwrap());
    agent.ledger_balances().unwrap();
}

#[test]
fn a_port_in_use_ends_the_start_and_says_by_whom_and_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = config("http://127.0.0.1:9", "c1").replace("'HTTP'", &format!("'{address}'"));
    let error = AgentProcess::start(BINARY, &text).err().unwrap().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("in use"), "{error}");
    assert!(error.contains(&std::process::id().to_string()), "it names the process: {error}");
}

#[test]
fn configurations_that_are_none_are_told_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.yaml"), "").unwrap();
    std::fs::write(folder.path().join("tabs.yaml"), "receivers:\n\totlp:\n").unwrap();
    std::fs::write(folder.path().join("open.yaml"), "receivers: {otlp: [\n").unwrap();
    for (file, expected) in [
        ("missing.yaml", "missing.yaml"),
        ("empty.yaml", "empty configuration file"),
        ("tabs.yaml", "tab"),
        ("open.yaml", "open.yaml:"),
        (".", "directory"),
    ] {
        for arguments in [&["--config", file][..], &["validate", "--config", file]] {
            let (code, stdout, stderr) = testkit::process::run(BINARY, arguments, folder.path()).unwrap();
            assert_eq!((code, stdout.as_str()), (1, ""), "{arguments:?}: {stderr}");
            assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        }
    }
}
