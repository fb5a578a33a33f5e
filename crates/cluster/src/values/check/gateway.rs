//! Whether the configuration fits the mode: which pods it knows, and where its data is.

use super::Check;
use crate::problem::Problem;
use crate::values::{Mode, StorageType};
use crate::workload::Scope;

pub(super) fn check(check: &Check<'_>, problems: &mut Vec<Problem>) {
    pods(check, problems);
    if check.values.mode == Mode::Daemonset {
        return;
    }
    if check.values.storage.r#type == StorageType::HostPath {
        let what = "a pod of a deployment comes back on another node, and a folder of the node stays where it was";
        problems.push(Problem::error("storage.type", what, "use `--storage emptyDir`"));
    }
    if check.values.host_network && check.values.replicas != Some(1) {
        let what = "with hostNetwork two agents cannot be on the same node; a deployment may want to put them there";
        problems.push(Problem::error("hostNetwork", what, "leave it out, or use `--mode daemonset`"));
    }
}

fn pods(check: &Check<'_>, problems: &mut Vec<Problem>) {
    for pods in &check.workload.pods {
        let processor = &pods.processor;
        if pods.kubeconfig {
            let what = format!("`{processor}` has `auth_type: kubeConfig`, and a pod has no kubeconfig");
            problems.push(Problem::warning("config", what, "write `auth_type: serviceAccount`, unless you mount one"));
        }
        match (&pods.scope, check.values.mode) {
            (Scope::Node { .. }, Mode::Deployment) => {
                let what = format!(
                    "`{processor}` knows the pods of one node only, and a gateway hears of those of every node"
                );
                problems.push(Problem::error("config", what, "replace its `filter` by `whole_cluster: true`"));
            }
            (Scope::Node { variable: None }, Mode::Daemonset) => {
                let what = format!("`{processor}` names a node itself; every agent would know the pods of that node");
                problems.push(Problem::error("config", what, "write `filter: {node_from_env_var: K8S_NODE_NAME}`"));
            }
            (Scope::Cluster, Mode::Daemonset) => {
                let what = format!(
                    "`{processor}` on every node knows the pods of all nodes: as many watches of everything as there are nodes"
                );
                problems.push(Problem::error(
                    "config",
                    what,
                    "write `filter: {node_from_env_var: K8S_NODE_NAME}` instead",
                ));
            }
            _ => {}
        }
    }
}
