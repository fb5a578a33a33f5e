//! The level of Pod Security that the pods need, and what raises it above `restricted`.

use super::Context;
use crate::values::{Routing, StorageType, Values};
use crate::workload::Workload;

/// A level of the Pod Security standards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing of the node is touched.
    Restricted,
    /// Something of the node is used.
    Privileged,
}

impl Level {
    /// The word in the labels of a namespace.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Restricted => "restricted",
            Level::Privileged => "privileged",
        }
    }
}

/// The level that the pods need, and what of the choices raises it.
#[must_use]
pub fn level(workload: &Workload, values: &Values) -> (Level, Vec<String>) {
    let reasons = Context { workload, values }.reasons();
    let level = if reasons.is_empty() { Level::Restricted } else { Level::Privileged };
    (level, reasons)
}

impl<'a> Context<'a> {
    fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let values = self.values;
        if values.host_network {
            reasons.push("hostNetwork: the agent uses the node's network".to_owned());
        }
        if values.routing() == Some(Routing::HostPort) {
            reasons.push("routing host-port: the agent's ports are ports of the node".to_owned());
        }
        for path in self.node_paths() {
            reasons.push(format!("storage hostPath: {path} is a folder of the node"));
        }
        let of_node = values.extra_volumes.iter().filter_map(|volume| Some((&volume.name, volume.host_path.as_ref()?)));
        reasons
            .extend(of_node.map(|(name, path)| format!("extraVolumes {name}: {} is a folder of the node", path.path)));
        reasons
    }

    /// Folders of the node that are mounted for the configuration.
    pub(super) fn node_paths(&self) -> Vec<&str> {
        if self.values.storage.r#type == StorageType::HostPath { self.folders() } else { Vec::new() }
    }

    /// Folders that the configuration uses and that no volume of the person's own holds.
    pub(super) fn folders(&self) -> Vec<&'a str> {
        let mounts = &self.values.extra_volume_mounts;
        let held = |path: &str| {
            let below =
                |mount: &str| path == mount || path.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'));
            mounts.iter().any(|mount| below(mount.mount_path.trim_end_matches('/')))
        };
        let mut folders: Vec<&'a str> =
            self.workload.paths.iter().map(|path| path.path.as_str()).filter(|path| !held(path)).collect();
        folders.dedup();
        folders
    }
}
