//! Snapshots of small clusters for tests of checks: a healthy one to begin with, and what is wrong changed in it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Context, FAMILIES, Finding, Limiter, Understood};
use crate::snapshot::agents::Configuration;
use crate::snapshot::controllers::Controller;
use crate::snapshot::nodes::Node;
use crate::snapshot::pods::{Container, Pod};
use crate::snapshot::services::Service;
use crate::snapshot::{Agent, Seen, Snapshot};

/// A part of a configuration, as far as commands change it.
const CONFIG: &str = "\
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 384, spike_limit_mib: 96}
  batch: {timeout: 10s, send_batch_size: 1024}
";

/// When the tests look.
pub(super) fn now() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

/// So many seconds before.
pub(super) fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

/// A ready node.
pub(super) fn node(name: &str) -> Node {
    parsed(json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}, "creationTimestamp": ago(86_400)},
        "status": {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }))
}

/// The agent's pod on a node, ready for a day.
pub(super) fn agent_pod(node: &str) -> Pod {
    parsed(json!({
        "metadata": {
            "name": format!("otel-agent-{node}"), "namespace": "open-telemetry", "creationTimestamp": ago(86_400),
            "labels": {"app.kubernetes.io/name": "otel-agent", "controller-revision-hash": "new"},
            "ownerReferences": [{"kind": "DaemonSet", "name": "otel-agent", "uid": "1", "controller": true}],
        },
        "spec": {"nodeName": node, "containers": [container()]},
        "status": {
            "phase": "Running", "podIP": "10.0.0.1", "startTime": ago(86_400),
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(86_000)}],
            "containerStatuses": [{"name": "otel-agent", "ready": true, "restartCount": 0,
                                   "state": {"running": {"startedAt": ago(86_000)}}}],
        },
    }))
}

/// An application's pod on a node.
pub(super) fn application(name: &str, node: &str) -> Pod {
    parsed(json!({
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": ago(3_600),
                     "ownerReferences": [{"kind": "ReplicaSet", "name": name, "uid": "2", "controller": true}]},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "shop/app:1",
                                                   "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }))
}

/// The agent's container.
pub(super) fn container() -> Value {
    json!({
        "name": "otel-agent", "image": "registry.test/otel-agent:0.1.0",
        "args": ["--config=/etc/otel-agent/agent.yaml"],
        "env": [{"name": "K8S_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "ports": [{"name": "otlp-grpc", "containerPort": 4317}, {"name": "otlp-http", "containerPort": 4318},
                  {"name": "metrics", "containerPort": 8888}, {"name": "health", "containerPort": 13133}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
    })
}

/// Two nodes, each with an agent and an application, and the Service.
pub(super) fn healthy() -> Snapshot {
    let nodes = vec![node("n1"), node("n2")];
    let own: Vec<Pod> = nodes.iter().map(|node| agent_pod(node.name())).collect();
    let applications = nodes.iter().map(|node| application(&format!("web-{}", node.name()), node.name()));
    let pods = own.iter().cloned().chain(applications).collect();
    let controller = Controller {
        kind: "DaemonSet",
        ..parsed(json!({
            "metadata": {"name": "otel-agent", "namespace": "open-telemetry", "generation": 1,
                         "creationTimestamp": ago(86_400), "labels": {"app.kubernetes.io/name": "otel-agent"}},
            "spec": {
                "selector": {"matchLabels": {"app.kubernetes.io/name": "otel-agent"}},
                "template": {
                    "metadata": {"labels": {"app.kubernetes.io/name": "otel-agent"}},
                    "spec": {"containers": [container()], "serviceAccountName": "otel-agent"},
                },
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            },
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
                       "numberReady": 2, "updatedNumberScheduled": 2, "numberAvailable": 2},
        }))
    };
    let service: Service = parsed(json!({
        "metadata": {"name": "otel-agent", "namespace": "open-telemetry"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.5", "internalTrafficPolicy": "Local",
                 "selector": {"app.kubernetes.io/name": "otel-agent"},
                 "ports": [{"name": "otlp-grpc", "port": 4317, "targetPort": "otlp-grpc"},
                           {"name": "otlp-http", "port": 4318, "targetPort": "otlp-http"}]},
    }));
    let configuration =
        Configuration { config_map: "otel-agent".to_owned(), key: "agent.yaml".to_owned(), text: CONFIG.to_owned() };
    let agent = Agent {
        controller: controller.clone(),
        pods: Seen::Known(own),
        configuration: Seen::Known(Some(configuration)),
        ..Agent::default()
    };
    Snapshot {
        taken: now(),
        nodes: Seen::Known(nodes),
        pods: Seen::Known(pods),
        daemon_sets: Seen::Known(vec![controller]),
        services: Seen::Known(vec![service]),
        agents: vec![agent],
        ..Snapshot::default()
    }
}

/// What is seen, to be changed.
pub(super) fn seen<T>(seen: &mut Seen<T>) -> &mut T {
    match seen {
        Seen::Known(seen) | Seen::Part(seen, _) => seen,
        Seen::Unseen(unseen) => panic!("unseen: {unseen:?}"),
    }
}

/// The agent's pod on that node, both in the list of the cluster and in the agent's own.
pub(super) fn change_pod(snapshot: &mut Snapshot, node: &str, change: impl Fn(&mut Pod)) {
    let own = seen(&mut snapshot.agents[0].pods).iter_mut();
    let all = seen(&mut snapshot.pods).iter_mut();
    let mut changed = 0;
    for pod in own.chain(all).filter(|pod| pod.name() == format!("otel-agent-{node}")) {
        change(pod);
        changed += 1;
    }
    assert!(changed > 0, "no agent on {node}");
}

/// Takes the agent's pod away from that node.
pub(super) fn remove_pod(snapshot: &mut Snapshot, node: &str) {
    let gone = format!("otel-agent-{node}");
    seen(&mut snapshot.agents[0].pods).retain(|pod| pod.name() != gone);
    seen(&mut snapshot.pods).retain(|pod| pod.name() != gone);
}

/// What all families find, with a configuration that is understood as given.
pub(super) fn find_with(snapshot: &Snapshot, understood: &Understood) -> Vec<Finding> {
    let understand = |_: &str, _: &Container| understood.clone();
    let context = Context { kubectl: "kubectl".to_owned(), understand: &understand };
    FAMILIES.iter().flat_map(|family| (family.look)(snapshot, &context)).collect()
}

/// What the configuration of the healthy cluster asks for.
pub(super) fn understood() -> Understood {
    Understood { limiter: Some(Limiter::Mib(384)), batch_items: Some(1_024), ..Understood::default() }
}

/// What all families find.
pub(super) fn find(snapshot: &Snapshot) -> Vec<Finding> {
    find_with(snapshot, &understood())
}

/// The ids of what is found.
pub(super) fn ids(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.id).collect()
}

/// From JSON.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
