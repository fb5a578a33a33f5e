//! What Prometheus and Grafana take.

use super::Check;
use crate::problem::Problem;
use crate::values::Monitor;

pub(super) fn check(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let values = check.values;
    let monitors = [("serviceMonitor", &values.service_monitor), ("podMonitor", &values.pod_monitor)];
    for (path, monitor) in monitors.iter().filter(|(_, monitor)| monitor.enabled) {
        scraped(check, path, monitor, problems);
    }
    if values.service_monitor.enabled && values.pod_monitor.enabled {
        let what = "a ServiceMonitor and a PodMonitor scrape the same agents twice";
        problems.push(Problem::error("podMonitor.enabled", what, "leave out one of the two"));
    }
}

fn scraped(check: &Check<'_>, path: &str, monitor: &Monitor, problems: &mut Vec<Problem>) {
    if !check.workload.ports.iter().any(|port| port.purpose.is_scraped() && !port.loopback) {
        let what = "there is nothing to scrape: no port for metrics is reached from outside of the pod";
        let remedy = "write `service: {telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: \"\", port: 8888}}}}]}}}`";
        problems.push(Problem::error(&format!("{path}.enabled"), what, remedy));
    }
    let unit = monitor.interval.trim_start_matches(|c: char| c.is_ascii_digit());
    if monitor.interval.len() == unit.len() || !["ms", "s", "m", "h"].contains(&unit) {
        let what = format!("`{}` is not a time that Prometheus reads", monitor.interval);
        problems.push(Problem::error(&format!("{path}.interval"), what, "write for instance `30s`"));
    }
    if monitor.labels.is_empty() {
        let what = "many installations of Prometheus only take monitors with a label, often `release`";
        let remedy = "`kubectl get prometheus -A -o jsonpath='{..serviceMonitorSelector}'` shows which; add `--monitor-label release=NAME`";
        problems.push(Problem::note(&format!("{path}.labels"), what, remedy));
    }
    if !monitor.namespace.is_empty() && monitor.namespace != check.values.namespace {
        let what = format!(
            "it is put into the namespace `{}` and selects that of the agents; a Prometheus with `ignoreNamespaceSelectors` looks \
             into its own only",
            monitor.namespace
        );
        problems.push(Problem::note(
            &format!("{path}.namespace"),
            what,
            "leave it out if Prometheus selects monitors of all namespaces",
        ));
    }
}
