//! Single choices: names, versions, what the configuration reads and what of the choices it does not.

use super::Check;
use crate::manifests::pod::downward_field;
use crate::manifests::security::{Level, level};
use crate::problem::Problem;
use crate::values::{DEFAULT_CLUSTER, StorageType, Values};

pub(super) fn check(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let values = check.values;
    namespaces(values, problems);
    versions(values, problems);
    if values.image.repository.is_empty() {
        problems.push(Problem::error(
            "image.repository",
            "there is no image",
            "name one: `--image registry/otel-agent:0.1.0`",
        ));
    }
    if values.config.is_some() {
        own_configuration(values, problems);
    } else if values.cluster_name == DEFAULT_CLUSTER {
        let what =
            format!("telemetry says `k8s.cluster.name: {DEFAULT_CLUSTER}`, because nobody has named the cluster");
        problems.push(Problem::note("clusterName", what, "name it: `--cluster-name production-eu`"));
    }
    labels(values, problems);
    variables(check, problems);
    let (level, reasons) = level(check.workload, values);
    if level == Level::Privileged {
        let what = format!("the pods need the Pod Security level `privileged`: {}", reasons.join("; "));
        let remedy = if values.create_namespace {
            "the rendered namespace allows it; give it to nobody else".to_owned()
        } else {
            format!("`kubectl label namespace {} pod-security.kubernetes.io/enforce=privileged`", values.namespace)
        };
        problems.push(Problem::note("", what, remedy));
    }
}

/// What names are made of.
pub(super) const NAME_REMEDY: &str = "lower case letters, digits and dashes, at most 63";

/// A name of the namespace or of a Service: `open-telemetry`.
pub(super) fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn namespaces(values: &Values, problems: &mut Vec<Problem>) {
    let others = [
        ("serviceMonitor.namespace", &values.service_monitor.namespace),
        ("podMonitor.namespace", &values.pod_monitor.namespace),
        ("prometheusRule.namespace", &values.prometheus_rule.namespace),
        ("dashboard.namespace", &values.dashboard.namespace),
        ("networkPolicy.prometheusNamespace", &values.network_policy.prometheus_namespace),
    ];
    let others = others.into_iter().filter(|(_, name)| !name.is_empty());
    for (path, name) in [("namespace", &values.namespace)].into_iter().chain(others) {
        if !is_label(name) {
            let what = format!("`{name}` cannot be the name of a namespace");
            problems.push(Problem::error(path, what, NAME_REMEDY));
        }
    }
    if values.create_namespace && ["default", "kube-system", "kube-public"].contains(&values.namespace.as_str()) {
        let what = format!(
            "the namespace `{}` belongs to the cluster; rendering it would change its labels",
            values.namespace
        );
        problems.push(Problem::error("namespace", what, "add `--set createNamespace=false`, or use one of its own"));
    }
}

/// Older ones lack what is rendered: internalTrafficPolicy, maxSurge of DaemonSets.
const OLDEST: u32 = 26;

fn versions(values: &Values, problems: &mut Vec<Problem>) {
    if values.kubernetes_version.is_empty() {
        return;
    }
    match values.minor() {
        None => {
            let what = format!("`{}` is not a version of Kubernetes", values.kubernetes_version);
            problems.push(Problem::error("kubernetesVersion", what, "write it as `1.34`"));
        }
        Some(minor) if minor < OLDEST => {
            let what = format!("Kubernetes 1.{minor} has no Services whose traffic stays on the node");
            problems.push(Problem::error("kubernetesVersion", what, format!("1.{OLDEST} is the oldest that works")));
        }
        Some(_) => {}
    }
}

/// What makes the default configuration has no effect on another one.
fn own_configuration(values: &Values, problems: &mut Vec<Problem>) {
    let usual = Values::default();
    let chosen = [
        ("backend", values.backend != usual.backend, "the exporter's endpoint"),
        ("metricsTo", values.metrics_to != usual.metrics_to, "the exporters of the metrics pipeline"),
        ("clusterName", values.cluster_name != usual.cluster_name, "a `resource` processor with `k8s.cluster.name`"),
        (
            "environment",
            values.environment != usual.environment,
            "a `resource` processor with `deployment.environment.name`",
        ),
    ];
    for (path, _, place) in chosen.into_iter().filter(|(_, chosen, _)| *chosen) {
        let what = format!("`{path}` has no effect beside a configuration of your own");
        problems.push(Problem::warning(path, what, format!("write {place} there")));
    }
}

fn labels(values: &Values, problems: &mut Vec<Problem>) {
    for (path, labels) in [("labels", &values.labels), ("podLabels", &values.pod_labels)] {
        for key in labels.keys().filter(|key| key.starts_with("app.kubernetes.io/")) {
            let what = format!("the label `{key}` is set by the manifests; pods are selected by such labels");
            problems.push(Problem::error(path, what, "use a label of your own"));
        }
    }
}

fn variables(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let values = check.values;
    // What their keys are is only known in the cluster.
    if !values.extra_envs_from.is_empty() {
        return;
    }
    let set = |name: &str| downward_field(name).is_some() || values.extra_envs.iter().any(|one| one.name == name);
    for variable in check.workload.variables.iter().filter(|variable| !variable.optional && !set(&variable.name)) {
        let name = &variable.name;
        let what = format!("the configuration reads the environment variable `{name}`, which nothing sets in the pod");
        let remedy = format!("add `--env {name}=…`, or `extraEnvs` with a `secretKeyRef` to the values");
        problems.push(Problem::error("extraEnvs", what, remedy));
    }
    if values.storage.r#type != StorageType::None && !values.storage.path.starts_with('/') {
        let what = format!("`{}` is not the path of a folder", values.storage.path);
        problems.push(Problem::error("storage.path", what, "write it from the root: `/var/lib/otel-agent`"));
    }
    if values.storage.r#type != StorageType::None && crate::values::memory_bytes(&values.storage.size).is_none() {
        let what = format!("`{}` is not a size", values.storage.size);
        problems.push(Problem::error("storage.size", what, "write for instance `1Gi`"));
    }
}
