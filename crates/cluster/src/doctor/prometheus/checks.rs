//! What may keep a Prometheus away.

use crate::doctor::{Check, Severity};

pub(super) static LOOPBACK: Check = Check {
    id: "prometheus-loopback",
    severity: Severity::Warning,
    means: "The agent's metrics, or the exporter `prometheus`, listen on loopback only: nobody outside of the pod can fetch them.",
    evidence: "The addresses in the configuration of the ConfigMap.",
    remedy: "Listen on `0.0.0.0` or `[::]`.",
};

pub(super) static NO_MONITOR: Check = Check {
    id: "prometheus-no-monitor",
    severity: Severity::Warning,
    means: "The cluster has a Prometheus of the operator, and no ServiceMonitor or PodMonitor is about the agent.",
    evidence: "All ServiceMonitors and PodMonitors, their selectors against the agent's Services and pods.",
    remedy: "A ServiceMonitor for the agent, or a PodMonitor if no Service of it has the port, with the labels that the Prometheus \
             asks for.",
};

pub(super) static SELECTS_NOTHING: Check = Check {
    id: "prometheus-selector",
    severity: Severity::Error,
    means: "A monitor in the agent's name selects no Service (or no pod) of it: wrong labels, or a namespace that it does not look in.",
    evidence: "The monitor's `selector` and `namespaceSelector` against the labels and namespaces of Services and pods.",
    remedy: "The labels of the Service, or of the pods.",
};

pub(super) static PORT: Check = Check {
    id: "prometheus-port",
    severity: Severity::Error,
    means: "A monitor names a port that the Service (or the pod) does not have; it is the name that counts, not the number.",
    evidence: "`endpoints[].port` of the monitor; the names of the ports.",
    remedy: "The name of the metrics port.",
};

pub(super) static TWICE: Check = Check {
    id: "prometheus-twice",
    severity: Severity::Warning,
    means: "A ServiceMonitor selects several Services before the same pods: each agent is scraped several times.",
    evidence: "The Services that its selector matches and that have the port.",
    remedy: "A label that only one of them has.",
};

pub(super) static NAMESPACE: Check = Check {
    id: "prometheus-namespace",
    severity: Severity::Error,
    means: "No Prometheus looks for monitors in the namespace of the agent's monitor.",
    evidence: "`serviceMonitorNamespaceSelector` (or `podMonitorNamespaceSelector`) of each Prometheus against the labels of \
               the namespace; none at all means the Prometheus' own namespace only.",
    remedy: "The label on the namespace, or the selector at the Prometheus.",
};

pub(super) static LABELS: Check = Check {
    id: "prometheus-labels",
    severity: Severity::Error,
    means: "No Prometheus selects the agent's monitor by its labels.",
    evidence: "`serviceMonitorSelector` (or `podMonitorSelector`) of each Prometheus against the labels of the monitor; none \
               at all selects nothing.",
    remedy: "`kubectl label` the monitor.",
};

pub(super) static RIGHTS: Check = Check {
    id: "prometheus-rights",
    severity: Severity::Error,
    means: "The account of the Prometheus may not find the agent's Services, endpoints or pods.",
    evidence: "A SubjectAccessReview for each right, in the agent's namespace.",
    remedy: "A Role there and a binding to the account.",
};

pub(super) static ANNOTATIONS: Check = Check {
    id: "prometheus-annotations",
    severity: Severity::Warning,
    means: "The agent's pods ask to be scraped by annotations, at a port where no metrics are.",
    evidence: "`prometheus.io/scrape` and `prometheus.io/port` of the pods; the ports of the agent's container.",
    remedy: "The number of the metrics port.",
};
