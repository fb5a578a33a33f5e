//! Migrations from files: what is told, and the configuration and objects that come of it.

use cluster::migration::{Objects, Report, Target, examine};
use cluster::values::Values;

use super::{beside, support};

fn report(text: &str, from: Option<&str>) -> anyhow::Result<Report> {
    let texts = [("objects.yaml".to_owned(), text.to_owned())];
    let objects = Objects::from_texts(&texts, &support::read)?;
    let target =
        Target { namespace: "open-telemetry".to_owned(), name: "otel-agent".to_owned(), kubectl: "kubectl".to_owned() };
    examine(&objects, from, None, target, support::SUPPORT)
}

/// What is told, and the configuration; which is one that the agent runs.
fn told(text: &str) -> String {
    let report = report(text, None).unwrap();
    let rendered = beside::render(&report, Values::default());
    assert!(rendered.is_ok(), "{:#}\n{}", rendered.unwrap_err(), report.configuration.text);
    format!("{}\n=== agent.yaml\n{}", report.text(), report.configuration.text)
}

#[test]
fn a_release_of_the_chart() {
    insta::assert_snapshot!(told(include_str!("fixtures/helm.yaml")));
}

#[test]
fn a_deployment_of_which_all_runs() {
    insta::assert_snapshot!(told(include_str!("fixtures/plain.yaml")));
}

#[test]
fn an_object_of_the_operator() {
    insta::assert_snapshot!(told(include_str!("fixtures/operator.yaml")));
}

#[test]
fn a_daemonset_on_host_ports() {
    insta::assert_snapshot!(told(include_str!("fixtures/hostport.yaml")));
}

#[test]
fn the_rendered_pod_has_the_variables_and_certificates_that_the_configuration_names() {
    let report = report(include_str!("fixtures/plain.yaml"), None).unwrap();
    let objects = beside::render(&report, Values::default()).unwrap();
    let daemon_set = objects.iter().find(|object| object.kind == "DaemonSet").unwrap();
    let pod = &daemon_set.value["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let named = |list: &serde_json::Value, name: &str| {
        list.as_array().is_some_and(|list| list.iter().any(|one| one["name"] == name))
    };
    assert!(named(&container["env"], "CLUSTER") && named(&container["env"], "K8S_NODE_NAME"), "{container:#}");
    assert!(named(&container["volumeMounts"], "certificates") && named(&pod["volumes"], "certificates"), "{pod:#}");
    assert!(!named(&pod["volumes"], "config-old"));
}

#[test]
fn no_collector_or_several_or_no_configuration_are_told_with_what_to_do() {
    let error = |text: &str, from: Option<&str>| format!("{:#}", report(text, from).unwrap_err());
    assert!(error("kind: Secret\nmetadata: {name: a}\n", None).contains("--from namespace/name"));
    let both = format!("{}\n---\n{}", include_str!("fixtures/helm.yaml"), include_str!("fixtures/plain.yaml"));
    let several = error(&both, None);
    assert!(
        several.contains("observability/otel-opentelemetry-collector (Deployment), otel/collector (Deployment)"),
        "{several}"
    );
    assert!(report(&both, Some("otel/collector")).is_ok());
    assert!(error(&both, Some("collector")).contains("namespace/name"));
    assert!(error(&both, Some("otel/other")).contains("there is observability/otel-opentelemetry-collector"));
    let without = include_str!("fixtures/helm.yaml").split("---").skip(2).collect::<Vec<_>>().join("---");
    let missing = error(&without, None);
    assert!(
        missing.contains("ConfigMap observability/otel-opentelemetry-collector") && missing.contains("--config"),
        "{missing}"
    );
    assert!(error("a: [", None).contains("objects.yaml, document 1 cannot be read: line 1"));
}

#[test]
fn secrets_are_in_no_report() {
    let text = include_str!("fixtures/helm.yaml")
        .replace("valueFrom: {secretKeyRef: {name: backend, key: token}}", "value: hunter2");
    let report = report(&text, None).unwrap();
    assert!(!report.text().contains("hunter2"));
}
