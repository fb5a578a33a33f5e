//! The program with `k8s_attributes` and pods from a file: each pod sends from its own address.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use testkit::backend::{Backend, Payload};
use testkit::generate::{Request, sdk};
use testkit::{AgentProcess, free_address};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

const BINARY: &str = env!("CARGO_BIN_EXE_otel-agent");
const WAIT: Duration = Duration::from_secs(20);

fn config(backend: &str, pods: &Path, wait: &str, cluster: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: 'GRPC'}}, http: {{endpoint: 'HTTP'}}}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 400}}
  k8sattributes: {{source: file, pods_file: '{}', new_pod_wait: {wait}}}
  resource: {{attributes: [{{key: k8s.cluster.name, value: {cluster}, action: upsert}}]}}
exporters:
  otlp_http: {{endpoint: '{backend}'}}
extensions:
  health_check: {{endpoint: 'HEALTH'}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: METRICS_PORT}}}}}}}}]}}}}
  pipelines:
    metrics: &all {{receivers: [otlp], processors: [memory_limiter, k8sattributes, resource], exporters: [otlp_http]}}
    traces: *all
    logs: *all
",
        pods.display()
    )
}

/// A list of pods with these last bytes of their addresses.
fn write_pods(path: &Path, numbers: &[u8]) {
    let mut text = "items:\n".to_owned();
    for number in numbers {
        writeln!(
            text,
            "  - metadata: {{name: web-{number}, namespace: shop, uid: uid-{number}}}
    spec: {{nodeName: node-a}}
    status: {{podIP: 127.0.7.{number}, phase: Running}}"
        )
        .unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// Sends a request from this address; the status of the answer.
async fn post(to: SocketAddr, number: u8, request: &Request) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((IpAddr::from([127, 0, 7, number]), 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let path = match request {
        Request::Traces(_) => "traces",
        Request::Metrics(_) => "metrics",
        Request::Logs(_) => "logs",
    };
    let body = request.encode();
    let head = format!(
        "POST /v1/{path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The attributes of every resource that arrived.
fn resources(backend: &Backend) -> Vec<BTreeMap<String, String>> {
    let of = |payload: &Payload| -> Vec<Option<Resource>> {
        match payload {
            Payload::Metrics(m) => m.resource_metrics.iter().map(|group| group.resource.clone()).collect(),
            Payload::Traces(t) => t.resource_spans.iter().map(|group| group.resource.clone()).collect(),
            Payload::Logs(l) => l.resource_logs.iter().map(|group| group.resource.clone()).collect(),
            Payload::Json(_) => vec![],
        }
    };
    let texts = |resource: Resource| {
        let text = |value: Value| match value {
            Value::StringValue(text) => Some(text),
            _ => None,
        };
        let attributes = resource.attributes.into_iter();
        attributes.filter_map(|entry| Some((entry.key, text(entry.value?.value?)?))).collect()
    };
    backend.received().iter().flat_map(|received| of(&received.payload)).flatten().map(texts).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_says_which_pod_it_came_from_also_after_a_reload() {
    let backend = Backend::start().await.unwrap();
    let pods = tempfile::NamedTempFile::new().unwrap();
    write_pods(pods.path(), &[1, 2]);
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), pods.path(), "1s", "before")).unwrap();
    let mut items = 0;
    for cluster in ["before", "after"] {
        if cluster == "after" {
            agent.reload(&config(&backend.url(), pods.path(), "1s", cluster)).unwrap();
            agent.wait_for_log("Config updated").unwrap();
        }
        for request in [sdk::metrics(1, 20), sdk::traces(1, 10), sdk::logs(1, 5)] {
            for number in [1, 2] {
                assert_eq!(post(agent.http, number, &request).await, 200);
                items += request.items();
            }
        }
        backend.wait_for(items, WAIT).await.unwrap();
    }
    let resources = resources(&backend);
    assert_eq!(resources.len(), 12);
    for (cluster, part) in [("before", &resources[..6]), ("after", &resources[6..])] {
        for number in [1, 2] {
            let of_pod = part.iter().filter(|resource| {
                resource.get("k8s.pod.name") == Some(&format!("web-{number}"))
                    && resource.get("k8s.pod.uid") == Some(&format!("uid-{number}"))
                    && resource.get("k8s.namespace.name").map(String::as_str) == Some("shop")
                    && resource.get("k8s.node.name").map(String::as_str) == Some("node-a")
                    && resource.get("k8s.cluster.name").map(String::as_str) == Some(cluster)
            });
            assert_eq!(of_pod.count(), 3, "{cluster} {number}: {part:?}");
        }
    }
    agent.ledger_balances().unwrap();
    let (status, log) = agent.terminate().unwrap();
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_a_pod_that_is_not_known_yet_waits_for_it() {
    let backend = Backend::start().await.unwrap();
    let pods = tempfile::NamedTempFile::new().unwrap();
    write_pods(pods.path(), &[1]);
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), pods.path(), "15s", "c")).unwrap();
    let (http, request) = (agent.http, sdk::logs(1, 5));
    let sending = tokio::spawn(async move { post(http, 9, &request).await });
    let waiting = Instant::now();
    while agent.sum("otel_agent_k8s_waiting_requests").unwrap() < 1.0 {
        assert!(waiting.elapsed() < WAIT, "it never waited");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(backend.requests(), 0, "what waits is not sent");
    write_pods(pods.path(), &[1, 9]);
    assert_eq!(sending.await.unwrap(), 200);
    backend.wait_for(5, WAIT).await.unwrap();
    assert_eq!(resources(&backend)[0].get("k8s.pod.uid").map(String::as_str), Some("uid-9"));
    assert_eq!(agent.sum("otel_agent_k8s_waiting_requests").unwrap(), 0.0);
    assert_eq!(agent.sum("otel_agent_k8s_association_misses").unwrap_or_default(), 0.0);
    agent.ledger_balances().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_the_agent_stops_goes_on_at_once_and_arrives() {
    let backend = Backend::start().await.unwrap();
    let pods = tempfile::NamedTempFile::new().unwrap();
    write_pods(pods.path(), &[1]);
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), pods.path(), "60s", "c")).unwrap();
    let (http, request) = (agent.http, sdk::logs(1, 5));
    let sending = tokio::spawn(async move { post(http, 9, &request).await });
    let waiting = Instant::now();
    while agent.sum("otel_agent_k8s_waiting_requests").unwrap() < 1.0 {
        assert!(waiting.elapsed() < WAIT, "it never waited");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stopping = Instant::now();
    let (status, log) = tokio::task::spawn_blocking(|| agent.terminate()).await.unwrap().unwrap();
    assert!(status.success(), "{log}");
    assert!(stopping.elapsed() < Duration::from_secs(20), "{:?}", stopping.elapsed());
    assert_eq!(sending.await.unwrap(), 200);
    assert_eq!(backend.items_total(), 5);
    assert_eq!(resources(&backend)[0].get("k8s.pod.uid"), None);
    assert!(log.contains("Telemetry from 127.0.7.9 cannot be associated with a pod"), "{log}");
}

#[test]
fn without_a_name_of_the_node_nothing_is_started_and_the_remedy_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.yaml");
    let yaml = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
processors: {k8sattributes: }
exporters: {debug: }
service:
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [otlp], processors: [k8sattributes], exporters: [debug]}}
";
    std::fs::write(&file, yaml).unwrap();
    let unset = ["-u", "KUBE_NODE_NAME", "-u", "K8S_NODE_NAME", "-u", "NODE_NAME", BINARY];
    let run = |arguments: &[&str]| {
        let arguments = [&unset[..], arguments, &["--config", file.to_str().unwrap()]].concat();
        testkit::process::run("env", &arguments, folder.path()).unwrap()
    };
    let remedy = "{name: KUBE_NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}";
    let (code, _, stderr) = run(&[]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("cannot build processor `k8sattributes`") && stderr.contains(remedy), "{stderr}");
    // Where it is checked need not be where it runs.
    let (code, _, stderr) = run(&["validate"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("warning") && stderr.contains(remedy), "{stderr}");
}

#[test]
fn the_start_fails_when_the_pods_do_not_become_known_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let nobody = free_address().unwrap();
    let cluster = format!(
        "apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{server: 'http://{nobody}'}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
"
    );
    std::fs::write(path("kubeconfig"), cluster).unwrap();
    let yaml = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
processors:
  k8s_attributes:
    {auth_type: kubeConfig, filter: {node: node-a}, wait_for_metadata: true, wait_for_metadata_timeout: 500ms}
exporters: {debug: }
service:
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [otlp], processors: [k8s_attributes], exporters: [debug]}}
";
    std::fs::write(path("agent.yaml"), yaml).unwrap();
    let kubeconfig = format!("KUBECONFIG={}", path("kubeconfig"));
    let arguments = [kubeconfig.as_str(), BINARY, "--config", &path("agent.yaml")];
    let (code, _, stderr) = testkit::process::run("env", &arguments, folder.path()).unwrap();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("failed to wait for caches to sync: the pods were not known after 500ms"), "{stderr}");
}
