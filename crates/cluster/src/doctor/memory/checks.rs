//! What may be wrong with memory.

use crate::doctor::{Check, Severity};

pub(super) static OOM_KILLED: Check = Check {
    id: "oom-killed",
    severity: Severity::Error,
    means: "The kernel ended the agent because it took more memory than its container may have. What it held in memory is lost.",
    evidence: "`OOMKilled` as the state or last state of its container, in the last 20 minutes or while it is in a crash loop.",
    remedy: "A larger limit, with the limiter at three quarters of it; smaller batches if it holds many.",
};

pub(super) static LIMITER_TOO_HIGH: Check = Check {
    id: "limiter-too-high",
    severity: Severity::Error,
    means: "The memory limiter is set so high that the kernel ends the agent before the limiter acts.",
    evidence: "`limit_mib` or `limit_percentage` of the configuration, and the memory limit of the container. At or above it is an \
               error, above nine tenths of it a warning.",
    remedy: "The limiter at three quarters of the container's limit, or a larger limit.",
};

pub(super) static NEAR_LIMIT: Check = Check {
    id: "memory-near-limit",
    severity: Severity::Warning,
    means: "The agent uses more than nine tenths of its container's memory.",
    evidence: "Its own metric `otelcol_process_memory_rss`, and the memory limit of the container.",
    remedy: "A larger limit, or smaller batches.",
};

pub(super) static REFUSING: Check = Check {
    id: "limiter-refusing",
    severity: Severity::Note,
    means: "The agent has refused data for want of memory since it started: senders were told to come again. That is the purpose of \
            its limiter; if it goes on, memory is short.",
    evidence: "Its own metrics `otel_agent_receiver_refused_requests` with reason `memory` and \
               `otelcol_processor_memory_limiter_refused_…`. While requests are refused at this moment it is `receiver-refusing` instead.",
    remedy: "A larger limit, or a backend that takes the data faster.",
};

pub(super) static LIMITER_MISSING: Check = Check {
    id: "limiter-missing",
    severity: Severity::Warning,
    means: "The configuration has no memory limiter.",
    evidence: "No `memory_limiter` among the processors.",
    remedy: "One with percentages, first in each pipeline.",
};

pub(super) static LIMIT_MISSING: Check = Check {
    id: "memory-limit-missing",
    severity: Severity::Warning,
    means: "The container has no memory limit: percentages of the limiter are of the whole node, and the node ends the agent among the \
            first when memory is short.",
    evidence: "`resources.limits.memory` of the container.",
    remedy: "A limit.",
};
