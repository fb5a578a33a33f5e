//! What a directory counts.

use crate::kubernetes::index::Changes;
use crate::telemetry::{Counter, Gauge, Metrics, table};

/// Counters of the pods.
pub(in crate::kubernetes) struct Counts {
    pub(super) size: Gauge,
    added: Counter,
    updated: Counter,
    deleted: Counter,
    metrics: Metrics,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            size: metrics.gauge(&table::K8S_POD_TABLE_SIZE, &[]),
            added: metrics.counter(&table::K8S_POD_ADDED, &[]),
            updated: metrics.counter(&table::K8S_POD_UPDATED, &[]),
            deleted: metrics.counter(&table::K8S_POD_DELETED, &[]),
            metrics: metrics.clone(),
        }
    }

    pub(super) fn pods(&self, changes: Changes) {
        self.added.add(changes.added);
        self.updated.add(changes.updated);
        self.deleted.add(changes.ended);
        let more = i64::try_from(changes.added).unwrap_or(i64::MAX);
        self.size.add(more - i64::try_from(changes.ended).unwrap_or(i64::MAX));
    }

    /// A feed did not get what it asked for.
    pub(in crate::kubernetes) fn failure(&self, resource: &str, reason: &str) {
        self.metrics.counter(&table::KUBERNETES_FAILURES, &[("resource", resource), ("reason", reason)]).add(1);
    }

    /// A feed began anew with a complete list.
    pub(in crate::kubernetes) fn list(&self) {
        self.metrics.counter(&table::KUBERNETES_LISTS, &[]).add(1);
    }

    /// A request to an API server or kubelet was answered; `code` is its status, or what went wrong.
    pub(in crate::kubernetes) fn request(&self, resource: &str, verb: &str, code: &str) {
        let labels = [("resource", resource), ("verb", verb), ("code", code)];
        self.metrics.counter(&table::KUBERNETES_REQUESTS, &labels).add(1);
    }
}
