//! How pods are replaced: a new one before the old one wherever two fit on a node.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Context;
use crate::values::{Mode, Rollout, Routing, StorageType, Values};
use crate::workload::Workload;

/// Why two pods do not fit on one node at the same time; none if they do.
pub(crate) fn alone_because(workload: &Workload, values: &Values) -> Option<String> {
    if values.host_network {
        return Some("with hostNetwork two pods cannot have the same port of one node".to_owned());
    }
    if values.routing() == Some(Routing::HostPort) {
        return Some("with routing host-port two pods cannot have the same port of one node".to_owned());
    }
    let folder = workload.paths.iter().find(|path| path.exclusive)?;
    let shared = values.storage.r#type == StorageType::HostPath;
    shared.then(|| format!("two pods cannot both use {} of one node", folder.path))
}

impl Context<'_> {
    /// How many more, and how many fewer there may be meanwhile.
    pub(super) fn rollout(&self) -> (IntOrString, IntOrString, String) {
        let Rollout { max_surge, max_unavailable } = self.values.rollout.clone();
        let written = max_surge.is_some() || max_unavailable.is_some();
        let none = || IntOrString::Int(0);
        match alone_because(self.workload, self.values) {
            _ if written => (max_surge.unwrap_or_else(none), max_unavailable.unwrap_or_else(none), String::new()),
            Some(why) if self.values.mode == Mode::Daemonset => {
                let note = format!("A pod is replaced by stopping it first: {why}.");
                (none(), IntOrString::String("10%".to_owned()), note)
            }
            _ => {
                let note =
                    "A new pod is ready before the old one is stopped, so that a node is never without an agent.";
                (IntOrString::Int(1), none(), note.to_owned())
            }
        }
    }
}
