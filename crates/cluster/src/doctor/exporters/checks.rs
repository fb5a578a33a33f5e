//! What may be wrong between the agent and its backend.

use crate::doctor::{Check, Severity};

pub(super) static UNREACHABLE: Check = Check {
    id: "exporter-unreachable",
    severity: Severity::Error,
    means: "A backend cannot be reached: its name does not resolve, nothing listens, nothing answers, TLS fails, or what \
            answers speaks something else.",
    evidence: "Errors in the log of the last two minutes, told apart by kind; retries and sent items between two looks.",
    remedy: "Depends on the kind; each names what to look at.",
};

pub(super) static REFUSED: Check = Check {
    id: "exporter-refused",
    severity: Severity::Error,
    means: "A backend refuses data for good, so that it is dropped: credentials, format, limits.",
    evidence: "`otel_agent_ledger_dropped_items` with reason `refused` or `partially_rejected`, growing between two looks, or \
               in the log of the last two minutes, with what the backend said.",
    remedy: "What the backend asks for.",
};

pub(super) static FAILING: Check = Check {
    id: "exporter-failing",
    severity: Severity::Error,
    means: "An exporter tries again and again, or gives up, and nothing is sent.",
    evidence: "`otelcol_exporter_send_failed_*`, `otel_agent_exporter_retries` and `otelcol_exporter_sent_*` between two looks.",
    remedy: "See the log of the pod, which has the error.",
};

pub(super) static QUEUE: Check = Check {
    id: "exporter-queue",
    severity: Severity::Warning,
    means: "A sending queue fills, or is full: then senders are refused.",
    evidence: "`otelcol_exporter_queue_size` and `_capacity`, and how fast it grows between two looks: the time until it is full.",
    remedy: "A backend that takes more; more consumers; a larger queue, or one on disk.",
};

pub(super) static LOST: Check = Check {
    id: "exporter-lost",
    severity: Severity::Warning,
    means: "Items were given up since the agent started. It may be over.",
    evidence: "`otel_agent_ledger_dropped_items` by reason.",
    remedy: "Depends on the reason.",
};

pub(super) static DOOR: Check = Check {
    id: "receiver-refusing",
    severity: Severity::Error,
    means: "The agent does not take what applications send: memory is used up, the queue behind is full, requests are broken.",
    evidence: "`otel_agent_receiver_refused_requests` by reason, growing between two looks.",
    remedy: "Depends on the reason.",
};
