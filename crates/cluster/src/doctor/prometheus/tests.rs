use serde_json::{Value, json};

use crate::doctor::played::{find, find_with, healthy, ids, parsed, seen, understood};
use crate::doctor::{Finding, Listener, Understood};
use crate::snapshot::access::Reviewed;
use crate::snapshot::monitors::Custom;
use crate::snapshot::scraping::Scraper;
use crate::snapshot::{Right, Seen, Snapshot};

fn custom(namespace: &str, name: &str, labels: &Value, spec: &Value) -> Custom {
    parsed(json!({"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec}))
}

/// A Prometheus that takes the agent's monitor.
fn scraped() -> Snapshot {
    let mut snapshot = healthy();
    for (name, labels) in
        [("monitoring", json!({"kubernetes.io/metadata.name": "monitoring"})), ("open-telemetry", json!({}))]
    {
        seen(&mut snapshot.namespaces).push(parsed(json!({"metadata": {"name": name, "labels": labels}})));
    }
    let service = &mut seen(&mut snapshot.services)[0];
    service.metadata.labels.insert("app".to_owned(), "otel-agent".to_owned());
    service.spec.ports.push(parsed(json!({"name": "metrics", "port": 8888})));
    let prometheus =
        json!({"serviceMonitorSelector": {"matchLabels": {"release": "prom"}}, "serviceMonitorNamespaceSelector": {}});
    let monitor = json!({"selector": {"matchLabels": {"app": "otel-agent"}}, "endpoints": [{"port": "metrics"}]});
    snapshot.monitoring.prometheuses = Seen::Known(Some(vec![custom("monitoring", "k8s", &json!({}), &prometheus)]));
    snapshot.monitoring.service_monitors =
        Seen::Known(Some(vec![custom("open-telemetry", "otel-agent", &json!({"release": "prom"}), &monitor)]));
    snapshot.monitoring.pod_monitors = Seen::Known(Some(Vec::new()));
    snapshot
}

fn monitors(snapshot: &mut Snapshot) -> &mut Vec<Custom> {
    seen(&mut snapshot.monitoring.service_monitors).as_mut().unwrap()
}

fn prometheus(snapshot: &mut Snapshot) -> &mut Value {
    &mut seen(&mut snapshot.monitoring.prometheuses).as_mut().unwrap()[0].spec
}

fn check(change: impl Fn(&mut Snapshot), id: &str, command: &str) -> Finding {
    let mut snapshot = scraped();
    change(&mut snapshot);
    let found = find(&snapshot);
    assert_eq!(ids(&found), [id], "{found:#?}");
    let first = found[0].remedy[0].command.clone().unwrap();
    assert!(first.starts_with(command), "{first}");
    found[0].clone()
}

#[test]
fn all_gates_are_open() {
    assert_eq!(find(&scraped()), []);
}

#[test]
fn the_gate_that_is_shut_is_named_with_what_opens_it() {
    check(
        |it| monitors(it)[0].metadata.labels.clear(),
        "prometheus-labels",
        "kubectl --namespace=open-telemetry label servicemonitor/otel-agent --overwrite 'release=prom'",
    );
    check(
        |it| prometheus(it)["serviceMonitorSelector"] = Value::Null,
        "prometheus-labels",
        "kubectl --namespace=monitoring patch prometheus k8s --type=merge --patch='{\"spec\":{\"serviceMonitorSelector\"",
    );
    check(
        |it| prometheus(it)["serviceMonitorNamespaceSelector"] = json!({"matchLabels": {"scrape": "yes"}}),
        "prometheus-namespace",
        "kubectl label namespace open-telemetry --overwrite 'scrape=yes'",
    );
    check(
        |it| prometheus(it)["serviceMonitorNamespaceSelector"] = Value::Null,
        "prometheus-namespace",
        "kubectl --namespace=monitoring patch prometheus k8s --type=merge",
    );
    check(
        |it| monitors(it)[0].spec["endpoints"][0]["port"] = json!("http-metrics"),
        "prometheus-port",
        "kubectl --namespace=open-telemetry patch servicemonitor/otel-agent --type=merge \
         --patch='{\"spec\":{\"endpoints\":[{\"port\":\"metrics\"}]}}'",
    );
    check(
        |it| monitors(it)[0].spec["selector"]["matchLabels"]["app"] = json!("agent"),
        "prometheus-selector",
        "kubectl --namespace=open-telemetry patch servicemonitor/otel-agent --type=merge",
    );
    let made = check(|it| monitors(it).clear(), "prometheus-no-monitor", "kubectl apply --filename=- <<'END'");
    assert!(made.remedy[0].command.as_ref().unwrap().contains("\"labels\":{\"release\":\"prom\"}"));
}

/// A Prometheus that takes the agent's PodMonitor, and nothing else.
fn scraped_by_pods() -> Snapshot {
    let mut snapshot = scraped();
    let spec = json!({"selector": {"matchLabels": {"app.kubernetes.io/name": "otel-agent"}}, "podMetricsEndpoints": [{"port": "metrics"}]});
    monitors(&mut snapshot).clear();
    pod_monitors(&mut snapshot).push(custom("open-telemetry", "otel-agent", &json!({}), &spec));
    prometheus(&mut snapshot)["podMonitorSelector"] = json!({});
    prometheus(&mut snapshot)["podMonitorNamespaceSelector"] = json!({});
    snapshot
}

fn pod_monitors(snapshot: &mut Snapshot) -> &mut Vec<Custom> {
    seen(&mut snapshot.monitoring.pod_monitors).as_mut().unwrap()
}

fn check_pods(change: impl Fn(&mut Snapshot), id: &str, command: &str) -> Finding {
    let mut snapshot = scraped_by_pods();
    change(&mut snapshot);
    let found = find(&snapshot);
    assert_eq!(ids(&found), [id], "{found:#?}");
    assert_eq!(found[0].remedy[0].command.as_deref(), Some(command));
    found[0].clone()
}

#[test]
fn a_pod_monitor_passes_the_same_gates() {
    assert_eq!(find(&scraped_by_pods()), []);
    let patch = |patch: &str| {
        format!("kubectl --namespace=open-telemetry patch podmonitor/otel-agent --type=merge --patch='{patch}'")
    };
    let found = check_pods(
        |it| pod_monitors(it)[0].spec["podMetricsEndpoints"][0]["port"] = json!("http-metrics"),
        "prometheus-port",
        &patch(r#"{"spec":{"podMetricsEndpoints":[{"port":"metrics"}]}}"#),
    );
    assert_eq!(found.title, "It asks for port http-metrics, which no pod of the agent has");
    check_pods(
        |it| pod_monitors(it)[0].spec["podMetricsEndpoints"] = json!([{"portNumber": 9999, "interval": "30s"}]),
        "prometheus-port",
        &patch(r#"{"spec":{"podMetricsEndpoints":[{"interval":"30s","port":"metrics"}]}}"#),
    );
    // Labels that were asked for by mistake are asked for no more.
    let found = check_pods(
        |it| pod_monitors(it)[0].spec["selector"] = json!({"matchLabels": {"app": "agent"}}),
        "prometheus-selector",
        &patch(
            r#"{"spec":{"selector":{"matchLabels":{"app":null,"app.kubernetes.io/name":"otel-agent"},"matchExpressions":null}}}"#,
        ),
    );
    assert_eq!(
        found.evidence,
        [
            "it selects pods with app=agent in namespace open-telemetry",
            "a pod of daemonset open-telemetry/otel-agent has labels app.kubernetes.io/name=otel-agent"
        ]
    );
    check_pods(
        |it| prometheus(it)["podMonitorSelector"] = json!({"matchLabels": {"a": "b"}}),
        "prometheus-labels",
        "kubectl --namespace=open-telemetry label podmonitor/otel-agent --overwrite 'a=b'",
    );
    check_pods(
        |it| prometheus(it)["podMonitorNamespaceSelector"] = json!({"matchLabels": {"scrape": "yes"}}),
        "prometheus-namespace",
        "kubectl label namespace open-telemetry --overwrite 'scrape=yes'",
    );
}

#[test]
fn a_port_that_the_pods_do_not_name_is_named() {
    check_pods(
        |it| {
            let container = &mut it.agents[0].controller.spec.template.spec.containers[0];
            container.ports.retain(|port| port.name != "metrics");
            seen(&mut it.services)[0].spec.ports.retain(|port| port.name != "metrics");
        },
        "prometheus-port",
        "kubectl --namespace=open-telemetry patch daemonset/otel-agent --patch='{\"spec\":{\"template\":{\"spec\":{\"containers\":\
         [{\"name\":\"otel-agent\",\"ports\":[{\"name\":\"metrics\",\"containerPort\":8888,\"protocol\":\"TCP\"}]}]}}}}'",
    );
}

#[test]
fn ports_are_asked_for_by_number_and_past_the_service_too() {
    for endpoint in [json!({"targetPort": "metrics"}), json!({"targetPort": 8888}), json!({})] {
        let mut snapshot = scraped();
        monitors(&mut snapshot)[0].spec["endpoints"] = json!([endpoint]);
        assert_eq!(find(&snapshot), [], "{endpoint}");
    }
    for endpoint in [json!({"targetPort": "metrics"}), json!({"targetPort": 8888}), json!({"portNumber": 8888})] {
        let mut snapshot = scraped_by_pods();
        pod_monitors(&mut snapshot)[0].spec["podMetricsEndpoints"] = json!([endpoint]);
        assert_eq!(find(&snapshot), [], "{endpoint}");
    }
    let wrong = json!([{"targetPort": "http-metrics"}]);
    check(
        |it| monitors(it)[0].spec["endpoints"] = wrong.clone(),
        "prometheus-port",
        "kubectl --namespace=open-telemetry patch servicemonitor/otel-agent --type=merge \
         --patch='{\"spec\":{\"endpoints\":[{\"port\":\"metrics\"}]}}'",
    );
}

#[test]
fn without_a_service_port_a_pod_monitor_is_made() {
    let mut snapshot = scraped_by_pods();
    pod_monitors(&mut snapshot).clear();
    seen(&mut snapshot.services)[0].spec.ports.retain(|port| port.name != "metrics");
    prometheus(&mut snapshot)["podMonitorSelector"] = json!({"matchLabels": {"a": "b"}});
    let found = find(&snapshot);
    assert_eq!(ids(&found), ["prometheus-no-monitor"]);
    let command = found[0].remedy[0].command.as_deref().unwrap();
    for part in ["\"PodMonitor\"", "\"labels\":{\"a\":\"b\"}", "\"podMetricsEndpoints\":[{\"port\":\"metrics\"}]"] {
        assert!(command.contains(part), "{part}: {command}");
    }
}

#[test]
fn the_monitor_of_another_agent_is_not_misdirected() {
    let mut snapshot = scraped_by_pods();
    let mut gateway = snapshot.agents[0].clone();
    gateway.controller.metadata.name = "otel-agent-gateway".to_owned();
    gateway.controller.spec.template.metadata.labels = [("app".to_owned(), "gateway".to_owned())].into();
    gateway.pods = Seen::Known(Vec::new());
    let spec = json!({"selector": {"matchLabels": {"app": "gateway"}}, "podMetricsEndpoints": [{"port": "metrics"}]});
    snapshot.agents.push(gateway);
    pod_monitors(&mut snapshot).push(custom("open-telemetry", "otel-agent-gateway", &json!({}), &spec));
    let about: Vec<Finding> = find(&snapshot).into_iter().filter(|one| one.id.starts_with("prometheus")).collect();
    assert_eq!(about, []);
}

#[test]
fn two_services_with_the_same_labels_are_two_targets() {
    let mut snapshot = scraped();
    let mut headless = seen(&mut snapshot.services)[0].clone();
    headless.metadata.name = "otel-agent-headless".to_owned();
    headless.spec.cluster_ip = "None".to_owned();
    seen(&mut snapshot.services).push(headless);
    let found = find(&snapshot);
    assert_eq!(ids(&found), ["prometheus-twice"]);
    let command = "kubectl --namespace=open-telemetry patch service otel-agent --type=merge --patch='{\"metadata\":{\"labels\":{\"app\":null}}}'";
    assert_eq!(found[0].remedy[0].command.as_deref(), Some(command));
}

#[test]
fn rights_of_the_prometheus_are_asked_for() {
    let mut snapshot = scraped();
    let review =
        |resource: &str, allowed| Reviewed { right: Right::within("open-telemetry", "list", "", resource), allowed };
    let scraper = |allowed| Scraper {
        namespace: "monitoring".to_owned(),
        name: "k8s".to_owned(),
        account: "prometheus".to_owned(),
        target: "open-telemetry".to_owned(),
        access: Seen::Known(vec![review("services", true), review("pods", allowed)]),
    };
    snapshot.scrapers = vec![scraper(true)];
    assert_eq!(find(&snapshot), []);
    snapshot.scrapers = vec![scraper(false)];
    let found = find(&snapshot);
    assert_eq!(ids(&found), ["prometheus-rights"]);
    let command = found[0].remedy[0].command.as_deref().unwrap();
    assert!(
        command
            .starts_with("kubectl create role prometheus-pods --namespace=open-telemetry --verb=list --resource=pods "),
        "{command}"
    );
    assert!(command.contains("--serviceaccount=monitoring:prometheus"), "{command}");
}

#[test]
fn a_policy_that_lets_nobody_in_is_found() {
    let with = |ingress: Value| {
        let mut snapshot = scraped();
        seen(&mut snapshot.policies).push(parsed(json!({
            "metadata": {"name": "only-otlp", "namespace": "open-telemetry"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": ingress},
        })));
        ids(&find(&snapshot))
    };
    let from = |labels: Value| json!([{"namespaceSelector": {"matchLabels": labels}}]);
    assert_eq!(with(json!([{"ports": [{"port": 4317}]}])), ["prometheus-network-policy"]);
    assert_eq!(with(json!([])), ["prometheus-network-policy"]);
    assert_eq!(with(json!([{}])), [""; 0]);
    let monitoring = from(json!({"kubernetes.io/metadata.name": "monitoring"}));
    assert_eq!(with(json!([{"from": monitoring, "ports": [{"port": "metrics"}]}])), [""; 0]);
    let elsewhere = from(json!({"kubernetes.io/metadata.name": "shop"}));
    assert_eq!(with(json!([{"from": elsewhere, "ports": [{"port": "metrics"}]}])), ["prometheus-network-policy"]);
}

#[test]
fn what_listens_on_loopback_cannot_be_fetched() {
    let listener = Listener {
        what: "own metrics".to_owned(),
        key: "service::telemetry::metrics".to_owned(),
        address: "localhost:8888".to_owned(),
    };
    let understood = Understood { loopback: vec![listener], ..understood() };
    let found = find_with(&healthy(), &understood);
    assert_eq!(ids(&found), ["prometheus-loopback"]);
    assert_eq!(found[0].evidence, ["service::telemetry::metrics is localhost:8888"]);
}

#[test]
fn annotations_have_to_name_the_port() {
    let with = |port: &str| {
        let mut snapshot = healthy();
        let annotations = [("prometheus.io/scrape", "true"), ("prometheus.io/port", port)];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
        snapshot.agents[0].controller.spec.template.metadata.annotations = annotations.into();
        ids(&find(&snapshot))
    };
    assert_eq!(with("8888"), [""; 0]);
    assert_eq!(with("9090"), ["prometheus-annotations"]);
}
