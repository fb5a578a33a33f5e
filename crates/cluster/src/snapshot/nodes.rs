//! Nodes: what they let run on them, and how much.
#![expect(missing_docs, reason = "the fields have the names and meanings of the Kubernetes API")]

use std::collections::BTreeMap;

use serde::Deserialize;

use super::meta::{Condition, Metadata, condition, or_default};
use super::quantity::Quantity;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    pub metadata: Metadata,
    pub spec: NodeSpec,
    pub status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    pub unschedulable: bool,
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    #[serde(deserialize_with = "or_default")]
    pub taints: Vec<Taint>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    pub allocatable: BTreeMap<String, Quantity>,
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<NodeAddress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeAddress {
    #[serde(rename = "type")]
    pub kind: String,
    pub address: String,
}

impl Node {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether its kubelet says that it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        condition(&self.status.conditions, "Ready").is_some_and(|ready| ready.status == "True")
    }

    /// Why no DaemonSet's pod can run there at all, if so: a node without a machine, or with another system.
    #[must_use]
    pub fn is_foreign(&self) -> Option<&'static str> {
        let label = |key: &str| self.metadata.labels.get(key).map(String::as_str);
        if label("type") == Some("virtual-kubelet") || self.has_taint("virtual-kubelet.io/provider") {
            return Some("a virtual node, which has no machine behind it");
        }
        if label("eks.amazonaws.com/compute-type") == Some("fargate") {
            return Some("a Fargate node, on which no DaemonSet runs");
        }
        (label("kubernetes.io/os") == Some("windows")).then_some("a Windows node, and the agent runs on Linux")
    }

    fn has_taint(&self, key: &str) -> bool {
        self.spec.taints.iter().any(|taint| taint.key == key)
    }
}
