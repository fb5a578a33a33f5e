//! What a person may write, and what is said when it is wrong.
#![expect(clippy::needless_pass_by_value, reason = "what is written is given as it is made: `check(json!(..), ..)`")]

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::problem::{Problem, Severity};
use crate::workload::{
    Amount, Batch, HostPath, Limiter, Permission, Pods, Port, Purpose, Scope, Upstream, Variable, Workload,
};

/// The workload of a configuration like the default one.
pub(crate) fn workload() -> Workload {
    let port = |name: &str, number: u16, purpose: Purpose| Port {
        name: name.to_owned(),
        number,
        udp: false,
        purpose,
        loopback: false,
        key: format!("key of {name}"),
    };
    Workload {
        config: "receivers: {}\n".to_owned(),
        ports: vec![
            port("otlp-grpc", 4317, Purpose::OtlpGrpc),
            port("otlp-http", 4318, Purpose::OtlpHttp),
            port("metrics", 8888, Purpose::Metrics),
            port("health", 13133, Purpose::Health),
        ],
        permissions: vec![permission("pods", None)],
        limiter: Some(Limiter { hard: Amount::Percent(80), spike: Amount::Percent(25) }),
        batches: vec![Batch { id: "batch".to_owned(), timeout: Duration::from_secs(10), size: 1024 }],
        variables: vec![Variable { name: "K8S_NODE_NAME".to_owned(), optional: false }],
        upstreams: vec![Upstream {
            exporter: "exporters::otlp_grpc".to_owned(),
            scheme: "grpc".to_owned(),
            host: "backend".to_owned(),
            port: 4317,
        }],
        pods: vec![Pods {
            processor: "processors::k8s_attributes".to_owned(),
            scope: Scope::Node { variable: Some("K8S_NODE_NAME".to_owned()) },
            kubeconfig: false,
        }],
        ..Workload::default()
    }
}

pub(crate) fn permission(resource: &str, namespace: Option<&str>) -> Permission {
    Permission {
        group: String::new(),
        resource: resource.to_owned(),
        verbs: vec!["list".to_owned(), "watch".to_owned()],
        name: None,
        namespace: namespace.map(str::to_owned),
        why: "which pods run on this node".to_owned(),
    }
}

pub(crate) fn journal(path: &str) -> HostPath {
    HostPath {
        path: path.to_owned(),
        writes: true,
        exclusive: true,
        key: "extensions::file_storage::directory".to_owned(),
    }
}

fn read(written: &Value) -> (Values, Vec<Problem>) {
    let (mut values, mut problems) = (Values::default(), Vec::new());
    values.read(written, &mut problems);
    (values, problems)
}

/// Each thing that is wrong, errors and warnings only.
fn wrong(written: Value, change: impl FnOnce(&mut Workload)) -> Vec<String> {
    let (mut values, problems) = read(&json!({"clusterName": "c"}));
    assert_eq!(problems, []);
    let mut problems = Vec::new();
    values.read(&written, &mut problems);
    let mut workload = workload();
    change(&mut workload);
    problems.extend(values.problems(&workload));
    problems.iter().filter(|problem| problem.severity != Severity::Note).map(ToString::to_string).collect()
}

fn check(written: Value, expected: &str) {
    check_of(written, |_| {}, expected);
}

fn check_of(written: Value, change: impl FnOnce(&mut Workload), expected: &str) {
    let shown = written.to_string();
    let found = wrong(written, change);
    assert!(found.len() == 1 && found[0].contains(expected), "{shown}: {expected}\nfound {found:#?}");
}

#[test]
fn the_defaults_are_right() {
    assert_eq!(wrong(json!({}), |_| {}), Vec::<String>::new());
}

#[test]
fn the_figures_of_the_profiles_are_those_that_were_promised() {
    let figures = |profile: Profile| {
        let Figures { requests, limits, batch_seconds, batch_items, .. } = profile.figures();
        (requests, limits, batch_seconds, batch_items)
    };
    assert_eq!(figures(Profile::Low), (["50m", "64Mi"], ["200m", "256Mi"], 30, 512));
    assert_eq!(figures(Profile::Default), (["100m", "128Mi"], ["500m", "512Mi"], 10, 1024));
    assert_eq!(figures(Profile::High), (["200m", "256Mi"], ["1000m", "1Gi"], 5, 2048));
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    check(json!({"nodeselector": {}}), "nodeselector: there is no key `nodeselector`; did you mean `nodeSelector`?");
    check(
        json!({"image": {"repo": "x"}}),
        "image.repo: there is no key `repo`; the keys are repository, tag, digest, pullPolicy",
    );
    check(json!({"storage": {"tpye": "none"}}), "did you mean `type`?");
    check(json!({"tolerations": [{"kee": "x", "operator": "Exists"}]}), "tolerations.0.kee: there is no key `kee`");
    check(json!({"resources": {"limit": {"cpu": "1"}}}), "resources.limit: there is no key `limit`");
    check(
        json!({"profile": "medium"}),
        "profile: `\"medium\"` cannot be read: unknown variant `medium`, expected one of `low`",
    );
    check(json!([1]), "values are a mapping of keys");
    let (_, problems) = read(&json!({"a": 1, "b": 2, "mode": "deployment"}));
    assert_eq!(problems.len(), 2, "all of them are told: {problems:?}");
}

#[test]
fn a_section_that_is_written_in_part_keeps_the_rest() {
    let (values, problems) =
        read(&json!({"image": {"tag": "1"}, "resources": {"limits": {"memory": "1Gi"}}, "affinity": null}));
    assert_eq!(problems, []);
    assert_eq!(values.image(), "otel-agent:1");
    let limits = values.resources().limits.unwrap();
    assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("500m", "1Gi"));
    assert_eq!(values.memory_limit(), Some(1 << 30));
}

#[test]
fn every_value_survives_being_written_and_read() {
    let (values, problems) = read(&serde_json::to_value(Values::default()).unwrap());
    assert_eq!(problems, []);
    assert_eq!(values, Values::default());
}

#[test]
fn an_image_is_taken_apart_at_the_right_colon() {
    let check = |reference: &str, expected: &str| {
        let mut values = Values::default();
        values.set_image(reference);
        assert_eq!(values.image(), expected);
    };
    check("registry:5000/otel-agent", "registry:5000/otel-agent:latest");
    check("registry:5000/otel-agent:1.2", "registry:5000/otel-agent:1.2");
    check("otel-agent@sha256:abc", "otel-agent@sha256:abc");
    assert_eq!(Values::default().image(), concat!("otel-agent:", env!("CARGO_PKG_VERSION")));
}

#[test]
fn two_pods_that_do_not_fit_on_a_node_are_not_asked_for() {
    let surge = json!({"maxSurge": 1});
    check(json!({"routing": "host-port", "rollout": surge}), "`maxSurge` would never finish: with routing host-port");
    check(json!({"hostNetwork": true, "rollout": surge}), "`maxSurge` would never finish: with hostNetwork");
    let with_journal = |workload: &mut Workload| workload.paths = vec![journal("/var/lib/otel-agent")];
    check_of(
        json!({"storage": {"type": "hostPath"}, "rollout": surge}),
        with_journal,
        "`maxSurge` would never finish: two pods cannot both use /var/lib/otel-agent",
    );
    assert_eq!(wrong(json!({"storage": {"type": "emptyDir"}, "rollout": surge}), with_journal), Vec::<String>::new());
    check(json!({"rollout": {"maxSurge": 0, "maxUnavailable": 0}}), "none can ever be replaced");
    check(json!({"rollout": {"maxSurge": 1, "maxUnavailable": 1}}), "takes one of `maxSurge` and `maxUnavailable`");
    for values in [json!({"hostNetwork": true}), json!({"routing": "host-port"})] {
        let mut values = values;
        values["rollout"] = json!({"maxSurge": 0, "maxUnavailable": 1});
        assert_eq!(wrong(values, |_| {}), Vec::<String>::new());
    }
    check(json!({"rollout": {"maxSurge": "some"}}), "neither a number nor a percentage");
}

#[test]
fn routing_fits_the_mode_and_the_version() {
    check(
        json!({"routing": "prefer-local", "kubernetesVersion": "1.34"}),
        "needs Kubernetes 1.35, the cluster has 1.34",
    );
    assert_eq!(wrong(json!({"routing": "prefer-local", "kubernetesVersion": "v1.36.2"}), |_| {}), Vec::<String>::new());
    check(json!({"kubernetesVersion": "1.25"}), "1.26 is the oldest that works");
    check(json!({"kubernetesVersion": "newest"}), "is not a version of Kubernetes");
    let whole = |workload: &mut Workload| workload.pods[0].scope = Scope::Cluster;
    check_of(json!({"mode": "deployment", "routing": "local"}), whole, "a deployment has none on most nodes");
    check_of(json!({"mode": "deployment", "hostNetwork": true}), whole, "two agents cannot be on the same node");
    check_of(json!({"mode": "deployment", "storage": {"type": "hostPath"}}), whole, "comes back on another node");
    check(json!({"mode": "deployment"}), "replace its `filter` by `whole_cluster: true`");
    check_of(json!({}), whole, "as many watches of everything as there are nodes");
    check(json!({"replicas": 3}), "has no effect on a DaemonSet");
}

#[test]
fn the_limiter_stays_below_the_container() {
    let limit = |mib| {
        move |workload: &mut Workload| {
            workload.limiter = Some(Limiter { hard: Amount::Mib(mib), spike: Amount::Mib(mib / 5) });
        }
    };
    check_of(json!({}), limit(512), "not below the container's limit of 512 MiB");
    check_of(json!({}), limit(500), "leaves little below");
    assert_eq!(wrong(json!({}), limit(400)), Vec::<String>::new());
    check_of(json!({"profile": "low"}), limit(400), "write `limit_mib: 204` (80 %)");
    check(json!({"resources": {"requests": {"memory": "1Gi"}}}), "1Gi are requested and 512Mi are the limit");
    check(json!({"resources": {"limits": {"memory": "512MB"}}}), "`512MB` is not a quantity");
    check(json!({"resources": {"limits": {"memory": "16Mi"}, "requests": {"memory": "8Mi"}}}), "are too little");
}

#[test]
fn what_nobody_can_reach_is_told() {
    let loopback = |index: usize| move |workload: &mut Workload| workload.ports[index].loopback = true;
    check_of(json!({}), loopback(0), "listens on localhost: no other pod reaches it; write `:4317`");
    check_of(json!({}), loopback(2), "nobody can fetch the agent's metrics");
    check_of(json!({}), |workload| drop(workload.ports.pop()), "there is no health page");
    check_of(json!({}), |workload| drop(workload.ports.drain(..2)), "it listens on no port for OTLP");
    check_of(
        json!({"serviceMonitor": {"enabled": true}}),
        |workload| drop(workload.ports.remove(2)),
        "there is nothing to scrape",
    );
    let at = |number: u16| move |workload: &mut Workload| workload.ports[0].number = number;
    check_of(json!({"hostNetwork": true}), at(10250), "is that of the kubelet on every node");
    check_of(json!({"hostNetwork": true}), at(443), "takes root in the node's network");
    check_of(json!({}), at(0), "has port 0");
    check(
        json!({"hostNetwork": true, "networkPolicy": {"enabled": true}}),
        "has no effect on pods in the node's network",
    );
    check(
        json!({"podMonitor": {"enabled": true}, "serviceMonitor": {"enabled": true}}),
        "scrape the same agents twice",
    );
    check(json!({"podMonitor": {"enabled": true, "interval": "30"}}), "is not a time that Prometheus reads");
}

#[test]
fn what_the_configuration_needs_is_there() {
    let folder = |workload: &mut Workload| workload.paths = vec![journal("/data/queue")];
    check_of(json!({}), folder, "uses the folder /data/queue, which no volume holds");
    let own = json!({"extraVolumes": [{"name": "d", "emptyDir": {}}], "extraVolumeMounts": [{"name": "d", "mountPath": "/data"}]});
    assert_eq!(wrong(own, folder), Vec::<String>::new());
    let variable =
        |workload: &mut Workload| workload.variables.push(Variable { name: "TOKEN".to_owned(), optional: false });
    check_of(json!({}), variable, "reads the environment variable `TOKEN`, which nothing sets");
    assert_eq!(wrong(json!({"extraEnvs": [{"name": "TOKEN", "value": "x"}]}), variable), Vec::<String>::new());
    assert_eq!(wrong(json!({"extraEnvsFrom": [{"secretRef": {"name": "s"}}]}), variable), Vec::<String>::new());
}

#[test]
fn names_and_labels_can_be_used() {
    check(json!({"namespace": "Open_Telemetry"}), "cannot be the name of a namespace");
    check(json!({"namespace": "kube-system"}), "would change its labels");
    check(json!({"podLabels": {"app.kubernetes.io/name": "x"}}), "is set by the manifests");
    check(
        json!({"config": "receivers: {}", "environment": "x", "clusterName": "default"}),
        "`environment` has no effect beside",
    );
    check(
        json!({"priorityClassName": "system-node-critical", "priorityClass": {"create": true}}),
        "belongs to Kubernetes",
    );
    check(json!({"tolerations": [{"operator": "Exists", "key": "a", "value": "b"}]}), "takes any value");
    check(json!({"tolerations": [{"value": "b"}]}), "without a `key`");
    check(json!({"storage": {"type": "emptyDir", "path": "data"}}), "is not the path of a folder");
}

#[test]
fn the_reference_has_every_key() {
    let table = reference::table();
    let defaults = serde_json::to_value(Values::default()).unwrap();
    for key in defaults.as_object().unwrap().keys() {
        assert!(table.contains(&format!("| `{key}` |")), "{key}");
    }
}
