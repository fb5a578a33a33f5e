use serde_json::{Value, json};

use crate::doctor::Finding;
use crate::doctor::played::{find, healthy, ids, parsed, seen};
use crate::snapshot::Snapshot;
use crate::snapshot::controllers::Controller;
use crate::snapshot::services::Service;

/// A deployment with these variables, and more in the spec of its pods.
fn deployment(env: &[(&str, &str)], spec: &Value) -> Controller {
    let env: Vec<Value> = env
        .iter()
        .map(|(name, value)| match value.strip_prefix('@') {
            Some(field) => json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}),
            None => json!({"name": name, "value": value}),
        })
        .collect();
    let mut pod = json!({"containers": [{"name": "app", "image": "shop/web:1", "env": env}]});
    pod.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    Controller {
        kind: "Deployment",
        ..parsed(json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {"spec": pod}}}))
    }
}

fn with(env: &[(&str, &str)], spec: &Value) -> Snapshot {
    let mut snapshot = healthy();
    seen(&mut snapshot.deployments).push(deployment(env, spec));
    let namespaces = ["shop", "open-telemetry"].map(|name| parsed(json!({"metadata": {"name": name}})));
    seen(&mut snapshot.namespaces).extend(namespaces);
    let more: [Service; 2] = [
        parsed(json!({
            "metadata": {"name": "otel-agent-headless", "namespace": "open-telemetry"},
            "spec": {"clusterIP": "None", "selector": {"app.kubernetes.io/name": "otel-agent"},
                     "ports": [{"name": "otlp-grpc", "port": 4317}, {"name": "otlp-http", "port": 4318}]},
        })),
        parsed(json!({
            "metadata": {"name": "old-collector", "namespace": "open-telemetry"},
            "spec": {"clusterIP": "10.0.0.9", "selector": {"app": "old"}, "ports": [{"name": "otlp", "port": 4317}]},
        })),
    ];
    seen(&mut snapshot.services).extend(more);
    snapshot
}

fn found(env: &[(&str, &str)]) -> Vec<Finding> {
    find(&with(env, &json!({})))
}

/// The id of what is found, and what the first command sets.
fn check(env: &[(&str, &str)], id: &str, value: &str) {
    let found = found(env);
    assert_eq!(ids(&found), [id], "{env:?}");
    let (variable, _) = env[env.len() - 1];
    let expected = format!("kubectl --namespace=shop set env deployment/web --containers=app '{variable}={value}'");
    assert_eq!(found[0].remedy[0].command.as_deref(), Some(expected.as_str()));
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const GRPC: &str = "http://otel-agent.open-telemetry.svc:4317";
const HTTP: &str = "http://otel-agent.open-telemetry.svc:4318";

#[test]
fn what_is_right_is_left_alone() {
    for endpoint in [
        HTTP,
        GRPC,
        "http://otel-agent.open-telemetry:4318",
        "http://otel-agent.open-telemetry.svc.cluster.local:4318/",
        "https://ingest.example.com",
        "http://localhost:4318",
        "http://10.1.2.3:4318",
        "http://$(SOMETHING):4318",
        "",
    ] {
        assert_eq!(found(&[(ENDPOINT, endpoint)]), [], "{endpoint}");
    }
    assert_eq!(found(&[(PROTOCOL, "grpc"), (ENDPOINT, GRPC)]), []);
    assert_eq!(found(&[(PROTOCOL, "http/protobuf"), (ENDPOINT, HTTP)]), []);
}

#[test]
fn port_and_protocol_belong_together() {
    check(&[(PROTOCOL, "grpc"), (ENDPOINT, HTTP)], "app-protocol", GRPC);
    check(&[(PROTOCOL, "http/protobuf"), (ENDPOINT, GRPC)], "app-protocol", HTTP);
    // The path tells, where no variable does.
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    check(&[(traces, &format!("{GRPC}/v1/traces"))], "app-protocol", &format!("{HTTP}/v1/traces"));
    // What is set for a signal goes before what is set for all.
    let (protocol, logs) = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT");
    assert_eq!(found(&[(PROTOCOL, "grpc"), (protocol, "http/json"), (logs, HTTP)]), []);
}

#[test]
fn a_name_that_is_none_is_told_with_the_right_one() {
    check(&[(ENDPOINT, "http://otel-agent:4318")], "app-unknown-service", HTTP);
    let found = found(&[(ENDPOINT, "http://otel-agnet.open-telemetry.svc:4317")]);
    assert_eq!(ids(&found), ["app-unknown-service"]);
    assert!(found[0].cause.contains("Is otel-agent.open-telemetry.svc meant?"), "{}", found[0].cause);
}

#[test]
fn ports_tls_headless_and_old_collectors_are_told_apart() {
    check(&[(ENDPOINT, "http://otel-agent.open-telemetry.svc:55681")], "app-no-port", HTTP);
    check(&[(ENDPOINT, "https://otel-agent.open-telemetry.svc:4318")], "app-tls", HTTP);
    check(&[(ENDPOINT, "http://otel-agent-headless.open-telemetry.svc:4317")], "app-headless", GRPC);
    check(&[(ENDPOINT, "http://old-collector.open-telemetry:4317")], "app-other-collector", GRPC);
}

#[test]
fn the_nodes_address_needs_a_host_port() {
    let env = [("NODE_IP", "@status.hostIP"), (ENDPOINT, "http://$(NODE_IP):4318")];
    check(&env, "app-host-port", HTTP);
    let mut snapshot = with(&env, &json!({}));
    snapshot.agents[0].controller.spec.template.spec.containers[0].ports[1].host_port = 4318;
    assert_eq!(find(&snapshot), []);
}

#[test]
fn the_host_network_has_another_dns() {
    let env = [(ENDPOINT, HTTP)];
    let found = find(&with(&env, &json!({"hostNetwork": true, "dnsPolicy": "ClusterFirst"})));
    assert_eq!(ids(&found), ["app-dns-policy"]);
    assert_eq!(
        found[0].remedy[0].command.as_deref().unwrap(),
        "kubectl --namespace=shop patch deployment/web --type=strategic \
         --patch='{\"spec\":{\"template\":{\"spec\":{\"dnsPolicy\":\"ClusterFirstWithHostNet\"}}}}'"
    );
    assert_eq!(find(&with(&env, &json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}))), []);
}

#[test]
fn a_config_map_is_changed_where_the_value_comes_from() {
    let spec =
        json!({"containers": [{"name": "app", "image": "a", "envFrom": [{"configMapRef": {"name": "settings"}}]}]});
    let mut snapshot = with(&[], &spec);
    assert_eq!(find(&snapshot), []);
    let data = [(ENDPOINT.to_owned(), "http://otel-agent.open-telemetry.svc:9".to_owned())];
    snapshot.config_maps.insert(("shop".to_owned(), "settings".to_owned()), Some(data.into()));
    let found = find(&snapshot);
    assert_eq!(ids(&found), ["app-no-port"]);
    assert_eq!(
        found[0].remedy[0].command.as_deref().unwrap(),
        "kubectl --namespace=shop patch configmap settings --type=merge \
         --patch='{\"data\":{\"OTEL_EXPORTER_OTLP_ENDPOINT\":\"http://otel-agent.open-telemetry.svc:4318\"}}'\n\
         kubectl --namespace=shop rollout restart deployment/web"
    );
}
