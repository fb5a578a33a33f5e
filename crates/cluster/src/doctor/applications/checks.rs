//! What applications may do wrong.

use crate::doctor::{Check, Severity};

pub(super) static UNKNOWN_SERVICE: Check = Check {
    id: "app-unknown-service",
    severity: Severity::Error,
    means: "An application sends to a Service that does not exist: a wrong name, or a wrong namespace.",
    evidence: "`OTEL_EXPORTER_OTLP_ENDPOINT` and its kin in the template, also by ConfigMap; the Services of the cluster.",
    remedy: "`kubectl set env` with the right name.",
};

pub(super) static NO_PORT: Check = Check {
    id: "app-no-port",
    severity: Severity::Error,
    means: "An application sends to a port that the agent's Service does not have.",
    evidence: "The endpoint in the template; the ports of the Service.",
    remedy: "`kubectl set env` with the right port.",
};

pub(super) static PROTOCOL: Check = Check {
    id: "app-protocol",
    severity: Severity::Error,
    means: "An application speaks gRPC to the port for HTTP, or HTTP to the port for gRPC.",
    evidence: "`OTEL_EXPORTER_OTLP_PROTOCOL`, or a path in the endpoint; what the port of the Service leads to.",
    remedy: "`kubectl set env` with the port of that protocol.",
};

pub(super) static TLS: Check = Check {
    id: "app-tls",
    severity: Severity::Error,
    means: "An application speaks TLS (`https`) to an agent that takes plain text.",
    evidence: "The endpoint in the template; a configuration of the agent without certificate.",
    remedy: "`kubectl set env` with `http`.",
};

pub(super) static HEADLESS: Check = Check {
    id: "app-headless",
    severity: Severity::Warning,
    means: "An application sends to the headless Service: its name gives the agents of all nodes, so that data crosses nodes \
            and finds an agent that does not know the pod.",
    evidence: "The endpoint in the template; a Service with `clusterIP: None` before the agents.",
    remedy: "`kubectl set env` with the Service that stays on the node.",
};

pub(super) static HOST_PORT: Check = Check {
    id: "app-host-port",
    severity: Severity::Error,
    means: "An application sends to the address of its node, where the agent does not listen.",
    evidence: "An endpoint made of `status.hostIP`; an agent without a host port of that number and without the host's network.",
    remedy: "`kubectl set env` with the Service, or manifests with `--routing=host-port`.",
};

pub(super) static DNS_POLICY: Check = Check {
    id: "app-dns-policy",
    severity: Severity::Error,
    means: "Pods on the host's network with `dnsPolicy: ClusterFirst` ask the DNS of the node, which does not know Services.",
    evidence: "`hostNetwork`, `dnsPolicy` and the endpoint in the template.",
    remedy: "`dnsPolicy: ClusterFirstWithHostNet`.",
};

pub(super) static OTHER_COLLECTOR: Check = Check {
    id: "app-other-collector",
    severity: Severity::Note,
    means: "An application sends to another collector in the cluster, not to the agent.",
    evidence: "The endpoint in the template; a Service with an OTLP port that does not lead to the agent.",
    remedy: "Nothing if that is meant; else `kubectl set env`, or `otel-agent migrate` for all of them.",
};
