//! What may be wrong with nodes.

use crate::doctor::{Check, Severity};

pub(super) static AGENT_MISSING: Check = Check {
    id: "agent-missing",
    severity: Severity::Error,
    means: "No DaemonSet and no Deployment of the agent was found.",
    evidence: "None has the label `app.kubernetes.io/name: otel-agent`, that name, or that image.",
    remedy: "Install it, or say what it is called with `--namespace` and `--name`.",
};

pub(super) static NODE_TAINT: Check = Check {
    id: "node-taint",
    severity: Severity::Warning,
    means: "Nodes have a taint that the DaemonSet does not tolerate, so that no agent is made for them. An agent that was there before \
            stays until its pod ends (a rollout ends it, too), and none comes after it.",
    evidence: "The taints of the nodes, and the tolerations of the DaemonSet with those that Kubernetes adds; the agents that run there. \
               Taints of nodes that are just made or taken away are no finding.",
    remedy: "Add the toleration.",
};

pub(super) static NODE_SELECTOR: Check = Check {
    id: "node-selector",
    severity: Severity::Note,
    means: "The DaemonSet's node selector or affinity leaves nodes out. A note while nothing there is seen to send to the agent, \
            else a warning.",
    evidence: "The labels of the nodes, the node selector and the required affinity of the DaemonSet; applications whose \
               environment names the agent's Service.",
    remedy: "Label the nodes, or take the node selector away.",
};

pub(super) static NODE_FOREIGN: Check = Check {
    id: "node-foreign",
    severity: Severity::Note,
    means: "Nodes that can have no agent: virtual nodes, Fargate, Windows.",
    evidence: "Labels and taints that say so.",
    remedy: "Let what runs there send to an agent elsewhere: a Deployment of it, with a Service of its own.",
};

pub(super) static NODE_UNSERVED: Check = Check {
    id: "node-unserved",
    severity: Severity::Error,
    means: "Applications run on nodes without a ready agent. With `internalTrafficPolicy: Local` their data is dropped \
            without an error: each export waits for its time-out.",
    evidence: "Pods by node, ready agents by node, the policy of the Service.",
    remedy: "What mends the reason, which is a finding of its own; meanwhile the Service can send to other nodes.",
};

pub(super) static NODE_NAME: Check = Check {
    id: "node-name-wrong",
    severity: Severity::Error,
    means: "The environment variable from which the agent learns its node's name is missing, or does not hold it: the agent does not \
            start, or knows the pods of no node.",
    evidence: "The variable that `k8s_attributes` names (`K8S_NODE_NAME` unless the configuration says otherwise), and the environment of \
               the container.",
    remedy: "The variable from the field `spec.nodeName`.",
};
