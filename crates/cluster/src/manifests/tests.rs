//! What holds for every deployment that can be rendered, whatever was chosen.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::problem::Severity;
use crate::values::tests::{journal, permission, workload};
use crate::workload::{Port, Purpose, Scope};

/// Values as somebody might write them.
fn written() -> impl Strategy<Value = Value> {
    let choice = |words: &'static [&'static str]| prop::sample::select(words);
    let words = (
        choice(&["low", "default", "high"]),
        choice(&["daemonset", "deployment"]),
        choice(&["", "local", "prefer-local", "host-port"]),
        choice(&["none", "emptyDir", "hostPath"]),
        choice(&["", "1.26", "1.29", "1.34", "1.36"]),
        choice(&["open-telemetry", "telemetry"]),
    );
    let flags = (any::<[bool; 8]>(), prop::option::of(1_u32..5), prop::option::of(32_u64..2048));
    (words, flags).prop_map(|((profile, mode, routing, storage, version, namespace), (flags, replicas, memory))| {
        let [network, service_monitor, pod_monitor, rule, dashboard, policy, class, create] = flags;
        // What contradicts itself is refused, and would only be thrown away here. A gateway of one agent in the node's network is
        // left out, too: it is replaced by one on another node.
        let gateway = mode == "deployment";
        let routing = if gateway { "" } else { routing };
        let storage = if gateway && storage == "hostPath" { "none" } else { storage };
        let replicas = replicas.filter(|_| gateway);
        let (network, pod_monitor) = (network && !gateway, pod_monitor && !service_monitor);
        let policy = policy && !network;
        json!({
            "profile": profile, "mode": mode, "routing": if routing.is_empty() { Value::Null } else { routing.into() },
            "storage": {"type": storage}, "kubernetesVersion": version, "namespace": namespace,
            "hostNetwork": network, "serviceMonitor": {"enabled": service_monitor, "namespace": "monitoring"},
            "podMonitor": {"enabled": pod_monitor}, "prometheusRule": {"enabled": rule}, "dashboard": {"enabled": dashboard},
            "networkPolicy": {"enabled": policy, "prometheusNamespace": "monitoring"}, "priorityClass": {"create": class},
            "createNamespace": create, "replicas": replicas, "podLabels": {"team": "shop"}, "podAnnotations": {"a": "b"},
            "resources": memory.map_or_else(|| json!({}), |mib| json!({"limits": {"memory": format!("{mib}Mi")}})),
        })
    })
}

/// The workload that fits the mode.
fn fitting(values: &Values, shows_metrics: bool) -> Workload {
    let mut workload = workload();
    if values.mode == crate::values::Mode::Deployment {
        workload.pods[0].scope = Scope::Cluster;
    }
    if values.storage.r#type != crate::values::StorageType::None {
        workload.paths = vec![journal("/var/lib/otel-agent")];
    }
    if shows_metrics {
        let port = Port {
            name: "prometheus".to_owned(),
            number: 8889,
            purpose: Purpose::Prometheus,
            ..workload.ports[2].clone()
        };
        workload.ports.push(port);
    }
    workload
}

fn of<'a>(objects: &'a [Object], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object.kind == kind).map(|object| &object.value).collect()
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
}

/// Whether all labels of a selector are among these.
fn selects(selector: &Value, labels: &Value) -> bool {
    selector
        .as_object()
        .is_some_and(|wanted| !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value))
}

proptest! {
    #[test]
    fn whatever_is_rendered_fits_together(written in written(), shows_metrics: bool) {
        let (mut values, mut problems) = (Values::default(), Vec::new());
        values.read(&written, &mut problems);
        prop_assert_eq!(&problems, &[]);
        let workload = fitting(&values, shows_metrics);
        // What has errors is not rendered.
        prop_assume!(values.problems(&workload).iter().all(|problem| problem.severity != Severity::Error));
        let objects = render(&workload, &values);
        let keeper = of(&objects, if values.mode == crate::values::Mode::Daemonset { "DaemonSet" } else { "Deployment" });
        prop_assert_eq!(keeper.len(), 1);
        let template = &keeper[0]["spec"]["template"];
        pods_are_selected(&objects, template)?;
        ports_are_consistent(&objects, template)?;
        memory_is_bounded(&workload, template)?;
        pods_can_be_replaced(keeper[0], &values)?;
        security_is_stated(&objects, template)?;
        yaml_reads_back(&objects)?;
    }
}

fn pods_are_selected(objects: &[Object], template: &Value) -> Result<(), TestCaseError> {
    let labels = &template["metadata"]["labels"];
    prop_assert_eq!(&labels["team"], "shop");
    for service in of(objects, "Service") {
        prop_assert!(selects(&service["spec"]["selector"], labels));
    }
    for kind in ["DaemonSet", "Deployment", "PodDisruptionBudget", "PodMonitor"] {
        for object in of(objects, kind) {
            prop_assert!(selects(&object["spec"]["selector"]["matchLabels"], labels), "{kind}");
        }
    }
    for policy in of(objects, "NetworkPolicy") {
        prop_assert!(selects(&policy["spec"]["podSelector"]["matchLabels"], labels));
    }
    // Exactly one of the two Services, or everything would be scraped twice.
    for monitor in of(objects, "ServiceMonitor") {
        let selector = &monitor["spec"]["selector"]["matchLabels"];
        let services = of(objects, "Service");
        let selected: Vec<_> =
            services.iter().filter(|service| selects(selector, &service["metadata"]["labels"])).collect();
        prop_assert_eq!(selected.len(), 1);
        let (ports, job) =
            (names(&selected[0]["spec"]["ports"]), &selected[0]["metadata"]["labels"]["app.kubernetes.io/name"]);
        prop_assert_eq!(job, NAME);
        for endpoint in monitor["spec"]["endpoints"].as_array().into_iter().flatten() {
            prop_assert!(ports.contains(endpoint["port"].as_str().unwrap_or_default()));
            prop_assert_eq!(endpoint["honorLabels"].as_bool(), (endpoint["port"] == "prometheus").then_some(true));
        }
    }
    Ok(())
}

fn ports_are_consistent(objects: &[Object], template: &Value) -> Result<(), TestCaseError> {
    let container = &template["spec"]["containers"][0];
    let ports = names(&container["ports"]);
    for service in of(objects, "Service") {
        for port in service["spec"]["ports"].as_array().into_iter().flatten() {
            prop_assert!(ports.contains(port["targetPort"].as_str().unwrap_or_default()));
        }
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        prop_assert!(ports.contains(container[probe]["httpGet"]["port"].as_str().unwrap_or_default()), "{probe}");
    }
    let (mounted, volumes) = (names(&container["volumeMounts"]), names(&template["spec"]["volumes"]));
    prop_assert_eq!(mounted, volumes);
    Ok(())
}

fn memory_is_bounded(workload: &Workload, template: &Value) -> Result<(), TestCaseError> {
    let limit = template["spec"]["containers"][0]["resources"]["limits"]["memory"]
        .as_str()
        .and_then(crate::values::memory_bytes);
    let (Some(limit), Some(limiter)) = (limit, workload.limiter) else {
        return Err(TestCaseError::fail("there is no limit"));
    };
    prop_assert!(limiter.hard.bytes(limit) < limit);
    Ok(())
}

fn pods_can_be_replaced(keeper: &Value, values: &Values) -> Result<(), TestCaseError> {
    let strategy =
        if keeper["kind"] == "DaemonSet" { &keeper["spec"]["updateStrategy"] } else { &keeper["spec"]["strategy"] };
    let (surge, unavailable) = (&strategy["rollingUpdate"]["maxSurge"], &strategy["rollingUpdate"]["maxUnavailable"]);
    prop_assert!((*surge == 0) != (*unavailable == 0), "{surge} {unavailable}");
    let container = &keeper["spec"]["template"]["spec"]["containers"][0];
    let on_node = container["ports"].as_array().into_iter().flatten().any(|port| port["hostPort"].is_number());
    if on_node {
        prop_assert_eq!(surge, 0);
    }
    // What the agent is given to stop in is what the kubelet waits for.
    let linger = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap_or(0);
    prop_assert_eq!(linger > 0, values.has_kubernetes(30));
    let grace = keeper["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(0);
    prop_assert!(grace > linger + 25);
    Ok(())
}

fn security_is_stated(objects: &[Object], template: &Value) -> Result<(), TestCaseError> {
    let spec = &template["spec"];
    let container = &spec["containers"][0];
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let uses_node = spec["hostNetwork"] == true
        || container["ports"].as_array().into_iter().flatten().any(|port| port["hostPort"].is_number())
        || volumes.into_iter().any(|volume| volume["hostPath"].is_object());
    for namespace in of(objects, "Namespace") {
        let level = if uses_node { "privileged" } else { "restricted" };
        prop_assert_eq!(&namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], level);
    }
    prop_assert_eq!(
        &container["securityContext"],
        &json!({
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true
        })
    );
    prop_assert_eq!(spec["securityContext"]["runAsUser"] == 0, spec["securityContext"]["runAsNonRoot"] == false);
    prop_assert!(uses_node || spec["securityContext"]["runAsNonRoot"] == true);
    Ok(())
}

fn yaml_reads_back(objects: &[Object]) -> Result<(), TestCaseError> {
    for object in objects {
        let text = yaml(std::slice::from_ref(object));
        let read: Value =
            serde_saphyr::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&read, &object.value);
    }
    Ok(())
}

#[test]
fn the_alerts_are_those_of_the_repository() {
    let values = Values {
        prometheus_rule: crate::values::Labelled { enabled: true, ..Default::default() },
        ..Values::default()
    };
    let objects = render(&workload(), &values);
    let rules: Value = serde_saphyr::from_str(include_str!("../../../../deploy/prometheus/rules.yaml")).unwrap();
    let spec = &of(&objects, "PrometheusRule")[0]["spec"];
    assert!(spec["groups"][0]["rules"].as_array().unwrap().len() > 10);
    assert_eq!(spec, &rules);
}

#[test]
fn rights_in_a_namespace_take_a_role_there_only() {
    let mut workload = workload();
    workload.permissions = vec![permission("pods", Some("shop"))];
    let objects = render(&workload, &Values::default());
    assert!(of(&objects, "ClusterRole").is_empty());
    assert_eq!(of(&objects, "Role")[0]["metadata"]["namespace"], "shop");
    let binding = of(&objects, "RoleBinding")[0];
    assert_eq!(binding["metadata"]["namespace"], "shop");
    assert_eq!(binding["subjects"][0]["namespace"], "open-telemetry");
}

#[test]
fn without_permissions_there_is_no_token() {
    let workload = Workload { permissions: Vec::new(), ..workload() };
    let objects = render(&workload, &Values::default());
    assert!(of(&objects, "ClusterRole").is_empty() && of(&objects, "ClusterRoleBinding").is_empty());
    assert_eq!(of(&objects, "ServiceAccount")[0]["automountServiceAccountToken"], false);
    assert_eq!(of(&objects, "DaemonSet")[0]["spec"]["template"]["spec"]["automountServiceAccountToken"], false);
}

#[test]
fn the_role_of_another_namespace_has_another_name() {
    let values = Values { namespace: "telemetry".to_owned(), ..Values::default() };
    let objects = render(&workload(), &values);
    assert_eq!(of(&objects, "ClusterRole")[0]["metadata"]["name"], "otel-agent-telemetry");
    assert_eq!(of(&objects, "ClusterRoleBinding")[0]["roleRef"]["name"], "otel-agent-telemetry");
}

#[test]
fn a_variable_of_the_person_goes_before_ours() {
    let (mut values, mut problems) = (Values::default(), Vec::new());
    values.read(&json!({"extraEnvs": [{"name": "K8S_NODE_NAME", "value": "fixed"}]}), &mut problems);
    let objects = render(&workload(), &values);
    let env = &of(&objects, "DaemonSet")[0]["spec"]["template"]["spec"]["containers"][0]["env"];
    let named: Vec<_> = env.as_array().unwrap().iter().filter(|one| one["name"] == "K8S_NODE_NAME").collect();
    assert_eq!(named, [&json!({"name": "K8S_NODE_NAME", "value": "fixed"})]);
}
