//! What makes pods: DaemonSets, Deployments and StatefulSets, in one shape.
#![expect(missing_docs, reason = "the fields have the names and meanings of the Kubernetes API")]

use serde::Deserialize;
use serde_json::Value;

use super::meta::{Condition, Metadata, Selector, or_default};
use super::pods::PodSpec;

/// The label that the manifests of the agent carry.
pub(super) const NAME_LABEL: &str = "app.kubernetes.io/name";

/// What the agent is called: its objects, its container, its image.
pub(super) const AGENT: &str = "otel-agent";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Controller {
    /// `DaemonSet`, `Deployment` or `StatefulSet`; lists do not say it of their items.
    #[serde(skip)]
    pub kind: &'static str,
    pub metadata: Metadata,
    pub spec: ControllerSpec,
    pub status: ControllerStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ControllerSpec {
    pub replicas: Option<u32>,
    pub selector: Selector,
    pub template: Template,
    /// DaemonSets and StatefulSets.
    pub update_strategy: Strategy,
    pub min_ready_seconds: u32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Template {
    pub metadata: Metadata,
    pub spec: PodSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    #[serde(rename = "type")]
    pub kind: String,
    pub rolling_update: Option<RollingUpdate>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    pub max_surge: Value,
    pub max_unavailable: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ControllerStatus {
    pub observed_generation: i64,
    // DaemonSets
    pub desired_number_scheduled: u32,
    pub current_number_scheduled: u32,
    pub number_ready: u32,
    pub updated_number_scheduled: u32,
    pub number_available: u32,
    pub number_misscheduled: u32,
    // the others
    pub replicas: u32,
    pub ready_replicas: u32,
    pub updated_replicas: u32,
    pub available_replicas: u32,
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
}

/// How many pods there are to be, and are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    pub desired: u32,
    pub current: u32,
    pub ready: u32,
    pub up_to_date: u32,
    pub available: u32,
}

impl Controller {
    /// `daemonset/otel-agent`, as kubectl takes it.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.metadata.name)
    }

    /// Whether it is to have a pod on each node.
    #[must_use]
    pub fn is_daemon_set(&self) -> bool {
        self.kind == "DaemonSet"
    }

    /// How many pods there are to be, and are.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let status = &self.status;
        if self.is_daemon_set() {
            return Numbers {
                desired: status.desired_number_scheduled,
                current: status.current_number_scheduled,
                ready: status.number_ready,
                up_to_date: status.updated_number_scheduled,
                available: status.number_available,
            };
        }
        Numbers {
            desired: self.spec.replicas.unwrap_or(1),
            current: status.replicas,
            ready: status.ready_replicas,
            up_to_date: status.updated_replicas,
            available: status.available_replicas,
        }
    }

    /// Whether it looks like the agent: by its label, its name, or the image of a container.
    #[must_use]
    pub fn looks_like_the_agent(&self) -> bool {
        let labelled = |metadata: &Metadata| metadata.labels.get(NAME_LABEL).is_some_and(|name| name == AGENT);
        labelled(&self.metadata)
            || labelled(&self.spec.template.metadata)
            || self.metadata.name == AGENT
            || self.spec.template.spec.containers.iter().any(|container| container.image_name() == AGENT)
    }
}
