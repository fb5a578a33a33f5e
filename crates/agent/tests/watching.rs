//! The dashboard and the alerts ask for metrics that the agent has: a metric that is renamed fails these tests.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Metrics of others that are asked for.
const OF_OTHERS: [&str; 3] = ["up", "kube_node_info", "target_info"];

fn read(file: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(path).unwrap()
}

/// The names of the reference page, with the suffixes of a histogram's series.
fn of_the_agent() -> BTreeSet<String> {
    let page = read("docs/reference/metrics.md");
    let mut names = BTreeSet::new();
    for row in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, rest) = row.split_once('`').unwrap();
        let suffixes: &[&str] = if rest.contains("| histogram |") { &["_bucket", "_sum", "_count"] } else { &[""] };
        names.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    names
}

/// What stands before a selector or a range in PromQL, and whatever has one of the agent's two prefixes.
fn asked_for(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some(begin) = rest.find(is_name) {
        let word = &rest[begin..];
        let end = word.find(|c| !is_name(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        let ours = name.starts_with("otelcol_") || name.starts_with("otel_agent_");
        let selects = after.starts_with('{') && !after.starts_with("{{") || after.starts_with('[');
        if ours || selects {
            names.insert(name.to_owned());
        }
        rest = after;
    }
    names
}

fn check(file: &str, expressions: &[String], least: usize) {
    let known = of_the_agent();
    let asked: BTreeSet<String> = expressions.iter().flat_map(|expression| asked_for(expression)).collect();
    let unknown: Vec<_> =
        asked.iter().filter(|name| !known.contains(*name) && !OF_OTHERS.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{file} asks for metrics that are not in docs/reference/metrics.md: {unknown:?}");
    assert!(asked.len() >= least, "only {} names were found in {file}: {asked:?}", asked.len());
}

/// Every expression of the panels and every query of the variables.
fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if key == "expr" || key == "query" => found.push(text.to_owned()),
                    _ => expressions(value, found),
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/otel-agent.json")).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    check("deploy/grafana/otel-agent.json", &found, 30);
}

#[test]
fn the_alerts_and_their_examples_ask_for_metrics_that_there_are() {
    for (file, least) in [("deploy/prometheus/rules.yaml", 15), ("deploy/prometheus/rules.test.yaml", 15)] {
        let text = read(file);
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.contains("description:"));
        check(file, &[lines.collect::<Vec<_>>().join("\n")], least);
    }
}

#[test]
fn each_alert_has_an_example_in_which_it_fires_and_one_in_which_it_does_not() {
    let (rules, examples) = (read("deploy/prometheus/rules.yaml"), read("deploy/prometheus/rules.test.yaml"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        let of_alert = |silent: bool| {
            let cases = examples.split("alertname: ").skip(1).filter(|case| case.lines().next() == Some(alert));
            cases.filter(|case| case.lines().nth(1).is_some_and(|line| line.contains("[]") == silent)).count()
        };
        assert!(of_alert(false) > 0 && of_alert(true) > 0, "{alert} needs an example of either kind");
    }
}

#[test]
fn what_is_asked_for_is_found_in_an_expression() {
    let found = asked_for(r#"sum by (node) (rate(otelcol_x_sum{job="a"}[5m])) / otel_agent_y and up{a="b"} + foo[1m]"#);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["foo", "otel_agent_y", "otelcol_x_sum", "up"]);
}
