//! What is rendered into the repository: the default, the profiles, and each advanced pattern with the arguments that make it.

/// One rendered file.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// The file, from the root of the repository.
    pub file: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The arguments of `otel-agent manifests`.
    pub arguments: &'static [&'static str],
}

const fn pattern(file: &'static str, about: &'static str, arguments: &'static [&'static str]) -> Pattern {
    Pattern { file, about, arguments }
}

/// All of them.
pub const PATTERNS: &[Pattern] = &[
    pattern("k8s-manifests.yaml", "One agent on each node.", &[]),
    pattern("deploy/profiles/low.yaml", "Small agents, for nodes with little telemetry.", &["--profile=low"]),
    pattern("deploy/profiles/default.yaml", "Agents of the usual size.", &["--profile=default"]),
    pattern("deploy/profiles/high.yaml", "Large agents, for nodes with much telemetry.", &["--profile=high"]),
    pattern(
        "deploy/patterns/node-selector.yaml",
        "Agents on nodes with a label only.",
        &["--node-selector=node-role=worker"],
    ),
    pattern(
        "deploy/patterns/tolerations.yaml",
        "Agents on control-plane nodes and on nodes for GPUs, but on no other tainted node.",
        &["--toleration=node-role.kubernetes.io/control-plane:NoSchedule", "--toleration=nvidia.com/gpu"],
    ),
    pattern("deploy/patterns/no-tolerations.yaml", "Agents on nodes without taints only.", &["--toleration=none"]),
    pattern(
        "deploy/patterns/priority-class.yaml",
        "Agents with a priority class of their own, placed before applications.",
        &["--priority-class=otel-agent:1000000"],
    ),
    pattern(
        "deploy/patterns/node-critical.yaml",
        "Agents with the priority of what a node cannot do without.",
        &["--priority-class=system-node-critical"],
    ),
    pattern("deploy/patterns/host-network.yaml", "Agents in the network of their node.", &["--host-network"]),
    pattern("deploy/patterns/host-port.yaml", "Agents at a port of their node.", &["--routing=host-port"]),
    pattern(
        "deploy/patterns/prefer-local.yaml",
        "Another node's agent takes the data where there is none.",
        &["--routing=prefer-local", "--kubernetes-version=1.35"],
    ),
    pattern(
        "deploy/patterns/deployment.yaml",
        "A gateway: a few agents for the whole cluster.",
        &["--mode=deployment"],
    ),
    pattern(
        "deploy/patterns/journal.yaml",
        "What is not sent yet is kept on the disk of the node.",
        &["--storage=hostPath"],
    ),
    pattern(
        "deploy/patterns/journal-in-pod.yaml",
        "What is not sent yet survives the end of the process, not of the pod.",
        &["--storage=emptyDir"],
    ),
    pattern(
        "deploy/patterns/monitoring.yaml",
        "Scraped by the Prometheus Operator, with alerts and a dashboard; applications' metrics are shown to Prometheus, too.",
        &["--metrics-to=both", "--service-monitor", "--prometheus-rule", "--dashboard"],
    ),
    pattern(
        "deploy/patterns/pod-monitor.yaml",
        "Scraped by the Prometheus Operator without a Service, for more than 1000 nodes.",
        &["--pod-monitor"],
    ),
    pattern("deploy/patterns/network-policy.yaml", "Only what is needed can be reached.", &["--network-policy"]),
];
