//! Family `prometheus`: why a Prometheus does not scrape the agent. The gates are walked in the order in which the
//! Prometheus operator applies them.

mod checks;
mod gates;
mod monitor;
mod policy;
mod targets;

use serde_json::json;

use super::applications::leads_to;
use super::attributes::grant;
use super::words::{brief, count, list};
use super::{Context, Family, Finding, Severity};
use crate::snapshot::monitors::Custom;
use crate::snapshot::{Agent, Seen, Snapshot};
use checks::{ANNOTATIONS, LABELS, LOOPBACK, NAMESPACE, NO_MONITOR, PORT, RIGHTS, SELECTS_NOTHING, TWICE};
use gates::Gate;
use monitor::Monitor;

pub(super) const FAMILY: Family = Family {
    name: "prometheus",
    about: "Why a Prometheus does not scrape the agent.",
    checks: &[
        &LOOPBACK,
        &NO_MONITOR,
        &SELECTS_NOTHING,
        &PORT,
        &TWICE,
        &NAMESPACE,
        &LABELS,
        &RIGHTS,
        &policy::KEPT_OUT,
        &ANNOTATIONS,
    ],
    look,
};

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for agent in &snapshot.agents {
        findings.extend(loopback(context, agent));
        if snapshot.monitoring.prometheuses.some().is_some_and(Option::is_some) {
            findings.extend(by_operator(snapshot, context, agent));
        } else if matches!(&snapshot.monitoring.prometheuses, Seen::Known(None)) {
            findings.extend(by_annotations(context, agent));
        }
    }
    findings
}

fn loopback(context: &Context<'_>, agent: &Agent) -> Option<Finding> {
    let configuration = agent.configuration.some().and_then(Option::as_ref)?;
    let understood = context.understood(agent)?;
    let evidence: Vec<String> =
        understood.loopback.iter().map(|port| format!("{} is {}", port.key, port.address)).collect();
    let names: Vec<&str> = understood.loopback.iter().map(|port| port.what.as_str()).collect();
    let (namespace, map) = (agent.namespace(), &configuration.config_map);
    (!evidence.is_empty()).then(|| {
        LOOPBACK
            .found(format!("configmap {namespace}/{map}"), format!("{} cannot be fetched from outside of the pod", list(&names)))
            .seen_all(evidence)
            .because("A listener on loopback takes connections from within its own pod only. The Collector's default for own metrics is localhost.")
            .mend(
                format!("{} --namespace={namespace} edit configmap {map}", context.kubectl),
                "Own metrics: service::telemetry::metrics::readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]; \
                 the exporter: endpoint: 0.0.0.0:8889.",
            )
    })
}

/// The labels and the place of the agent's own Services, and who selects what of it.
fn by_operator(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent) -> Vec<Finding> {
    let prometheuses =
        snapshot.monitoring.prometheuses.some().and_then(Option::as_ref).map(Vec::as_slice).unwrap_or_default();
    if prometheuses.is_empty() {
        return Vec::new();
    }
    let monitors = monitor::about(snapshot, agent);
    if monitors.is_empty() {
        let all_seen = [&snapshot.monitoring.service_monitors, &snapshot.monitoring.pod_monitors]
            .iter()
            .all(|seen| seen.known().is_some());
        return if all_seen { vec![no_monitor(snapshot, context, agent, prometheuses)] } else { Vec::new() };
    }
    let mut findings = Vec::new();
    let mut works = false;
    let mut told = Vec::new();
    for monitor in &monitors {
        match targets::look(snapshot, context, agent, monitor) {
            Err(finding) => told.push(*finding),
            Ok(double) => {
                findings.extend(double);
                match selected(snapshot, context, monitor, prometheuses) {
                    Ok(by) => {
                        works = true;
                        findings.extend(
                            by.iter().flat_map(|prometheus| rights(snapshot, context, prometheus, agent, monitor)),
                        );
                        findings.extend(
                            by.iter().filter_map(|prometheus| {
                                policy::kept_out(snapshot, context, agent, monitor, prometheus)
                            }),
                        );
                    }
                    Err(finding) => told.push(*finding),
                }
            }
        }
    }
    // One monitor that works is enough: what is wrong with another then does no harm.
    if works {
        told.iter_mut().for_each(|finding| finding.severity = Severity::Note);
    }
    findings.extend(told);
    findings.dedup();
    findings
}

/// Which of the Prometheus servers take the monitor; if none, why.
fn selected<'a>(
    snapshot: &Snapshot,
    context: &Context<'_>,
    monitor: &Monitor<'_>,
    prometheuses: &'a [Custom],
) -> Result<Vec<&'a Custom>, Box<Finding>> {
    let gates: Vec<(&Custom, Gate)> =
        prometheuses.iter().map(|one| (one, gates::gate(snapshot, monitor, one))).collect();
    let open: Vec<&Custom> = gates.iter().filter(|(_, gate)| matches!(gate, Gate::Open)).map(|(one, _)| *one).collect();
    if !open.is_empty() || gates.iter().any(|(_, gate)| matches!(gate, Gate::Unclear)) {
        return Ok(open);
    }
    // The one that is nearest to taking it tells what is missing.
    let nearest = gates.iter().find(|(_, gate)| matches!(gate, Gate::Labels(_))).or(gates.first());
    let Some((prometheus, gate)) = nearest else { return Ok(open) };
    let (check, what) = match gate {
        Gate::Namespace(_) => (&NAMESPACE, "namespace"),
        Gate::Labels(_) => (&LABELS, "labels"),
        Gate::Open | Gate::Unclear => return Ok(open),
    };
    let finding = check
        .found(monitor.reference(), format!("No Prometheus takes it, for its {what}"))
        .seen_all(gates.iter().map(|(one, gate)| gates::why(monitor, one, gate)))
        .because(match check.id {
            id if id == NAMESPACE.id => "A Prometheus looks for monitors only in the namespaces that it selects.",
            _ => "A Prometheus takes only those monitors whose labels it selects.",
        });
    Err(Box::new(match gates::open(&context.kubectl, monitor, prometheus, gate) {
        Some((command, explanation)) => finding.mend(command, explanation),
        None => finding,
    }))
}

fn rights(
    snapshot: &Snapshot,
    context: &Context<'_>,
    prometheus: &Custom,
    agent: &Agent,
    monitor: &Monitor<'_>,
) -> Option<Finding> {
    let scraper = snapshot.scrapers.iter().find(|one| {
        one.name == prometheus.metadata.name
            && one.namespace == prometheus.metadata.namespace
            && one.target == agent.namespace()
    })?;
    let mut missing = gates::missing(scraper.access.items());
    // A PodMonitor is discovered by the pods alone.
    missing.retain(|right| !monitor.is_for_pods || right.resource == "pods");
    let account = format!("{}:{}", scraper.namespace, scraper.account);
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    (!missing.is_empty()).then(|| {
        RIGHTS
            .found(
                format!("prometheus {}", prometheus.metadata.full_name()),
                format!("Its service account {account} may not {}", list(&names)),
            )
            .seen_all(
                names.iter().map(|right| format!("access review: system:serviceaccount:{account} may not {right}")),
            )
            .because("Without these it finds no target in the namespace; its log says `forbidden`.")
            .mend(
                grant(&context.kubectl, &missing, &account),
                "Grants it in the agent's namespace; Prometheus tries again by itself.",
            )
    })
}

fn no_monitor(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent, prometheuses: &[Custom]) -> Finding {
    let names: Vec<String> = prometheuses.iter().map(|one| one.metadata.full_name()).collect();
    let finding = NO_MONITOR
        .found(agent.title(), "No ServiceMonitor or PodMonitor is about it")
        .seen(format!("the cluster has Prometheus {}", list(&names)))
        .seen(format!(
            "{}, {}: none selects the agent",
            count(gates::number(&snapshot.monitoring.service_monitors), "ServiceMonitor"),
            count(gates::number(&snapshot.monitoring.pod_monitors), "PodMonitor")
        ))
        .because("The operator configures only what a monitor names.");
    let named = |name: &str| name == "metrics";
    let mut services = snapshot.services.items().iter().filter(|service| leads_to(service, agent));
    let service = services.find(|service| service.spec.ports.iter().any(|port| named(&port.name)));
    let mut ports = agent.controller.spec.template.spec.containers.iter().flat_map(|one| &one.ports);
    let (kind, endpoints, labels) = match service {
        Some(service) => ("ServiceMonitor", "endpoints", &service.metadata.labels),
        None if ports.any(|port| named(&port.name)) => {
            ("PodMonitor", "podMetricsEndpoints", &agent.controller.spec.selector.match_labels)
        }
        None => return finding.advise("Apply the manifests again with monitors: otel-agent manifests --help"),
    };
    let wanted = prometheuses.first().map(|one| gates::wanted_labels(one, service.is_none())).unwrap_or_default();
    let manifest = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": kind,
        "metadata": {"name": agent.controller.metadata.name, "namespace": agent.namespace(), "labels": wanted},
        "spec": {
            "selector": {"matchLabels": labels},
            "namespaceSelector": {"matchNames": [agent.namespace()]},
            endpoints: [{"port": "metrics"}],
        },
    });
    finding.mend(
        format!("{} apply --filename=- <<'END'\n{manifest}\nEND", context.kubectl),
        format!("Makes a {kind} with the labels that the first Prometheus asks for."),
    )
}

fn by_annotations(context: &Context<'_>, agent: &Agent) -> Option<Finding> {
    let template = &agent.controller.spec.template;
    let annotation = |key: &str| template.metadata.annotations.get(key).map(String::as_str);
    let container = template.spec.agent()?;
    if annotation("prometheus.io/scrape") != Some("true") {
        return None;
    }
    let asked = annotation("prometheus.io/port").unwrap_or_default();
    let metrics = container
        .ports
        .iter()
        .find(|port| port.name == "metrics")
        .or_else(|| container.ports.iter().find(|port| port.container_port == 8888))?;
    let has = container
        .ports
        .iter()
        .any(|port| port.container_port.to_string() == asked && matches!(port.name.as_str(), "metrics" | "prometheus"));
    let known = has || asked == metrics.container_port.to_string();
    let number = metrics.container_port;
    let patch =
        json!({"spec": {"template": {"metadata": {"annotations": {"prometheus.io/port": number.to_string()}}}}});
    (!known).then(|| {
        ANNOTATIONS
            .found(agent.title(), format!("Its annotations name port {}, where no metrics are", brief(asked)))
            .seen(format!("prometheus.io/port is {asked:?}; the container's port metrics is {number}"))
            .because("A Prometheus that goes by annotations scrapes the port that they name.")
            .mend(
                format!(
                    "{} --namespace={} patch {} --type=merge --patch='{patch}'",
                    context.kubectl,
                    agent.namespace(),
                    agent.controller.reference()
                ),
                "Names the port of the metrics. Its pods are replaced, one after another.",
            )
    })
}

#[cfg(test)]
mod tests;
