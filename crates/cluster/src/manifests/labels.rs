//! Names and labels of the objects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::{Context, NAME};

/// What a Service for Prometheus is recognised by.
pub(super) const METRICS: &str = "metrics";
/// What the pods and everything else are.
pub(super) const AGENT: &str = "agent";

/// The labels that pods are selected by. They cannot be changed once a DaemonSet is there, so they are few and stay.
pub(super) fn selector() -> BTreeMap<String, String> {
    owned([("app.kubernetes.io/name", NAME), ("app.kubernetes.io/instance", NAME)])
}

pub(super) fn label_selector() -> LabelSelector {
    LabelSelector { match_labels: Some(selector()), ..LabelSelector::default() }
}

impl Context<'_> {
    /// The labels of an object.
    pub(super) fn labels(&self, component: &str) -> BTreeMap<String, String> {
        let mut labels = self.values.labels.clone();
        labels.extend(selector());
        labels.extend(owned([
            ("app.kubernetes.io/component", component),
            ("app.kubernetes.io/part-of", "opentelemetry"),
            ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
        ]));
        labels
    }

    /// The metadata of an object in the agent's namespace.
    pub(super) fn metadata(&self, name: &str) -> ObjectMeta {
        ObjectMeta { namespace: Some(self.values.namespace.clone()), ..self.cluster_metadata(name) }
    }

    /// The metadata of an object of the cluster.
    pub(super) fn cluster_metadata(&self, name: &str) -> ObjectMeta {
        ObjectMeta { name: Some(name.to_owned()), labels: Some(self.labels(AGENT)), ..ObjectMeta::default() }
    }
}

pub(super) fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}
