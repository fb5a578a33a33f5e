//! Which node's pods are known. Nobody watches the whole cluster without having said so.

use super::config::{Config, Source};

/// What is wrong about the node, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The key to blame.
    pub at: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// It depends on the environment alone, which may be another one where the agent runs.
    pub only_here: bool,
}

/// Variables that deployments use for the name of the node.
const USUAL: [&str; 3] = ["KUBE_NODE_NAME", "K8S_NODE_NAME", "NODE_NAME"];

/// The node whose pods are known; `None` for those of all nodes.
///
/// # Errors
/// The node should be named and is not.
pub(super) fn of(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>, Flaw> {
    if config.passthrough {
        return Ok(None);
    }
    let named = |name: &&'static str| variable(name).filter(|value| !value.trim().is_empty());
    let filter = &config.filter;
    if !filter.node_from_env_var.is_empty() {
        let name = filter.node_from_env_var.as_str();
        let state = match variable(name) {
            Some(value) if !value.trim().is_empty() => return one(config, value),
            Some(_) => format!("`node_from_env_var` is configured but envvar \"{name}\" is empty"),
            None => format!("`node_from_env_var` is configured but envvar \"{name}\" is not set"),
        };
        let other = USUAL.iter().find(|usual| **usual != name && named(usual).is_some());
        let remedy = match other {
            Some(other) => format!("\"{other}\" is set here: write `node_from_env_var: {other}`, or {}", snippet(name)),
            None => snippet(name),
        };
        return Err(Flaw { at: "filter::node_from_env_var", what: state, remedy, only_here: false });
    }
    match &filter.node {
        Some(node) if !node.trim().is_empty() => return one(config, node.clone()),
        Some(_) => {
            let what = "`filter::node` is empty, so that the pods of all nodes would be watched".to_owned();
            let remedy = format!("write `node_from_env_var: KUBE_NODE_NAME` and {}", snippet("KUBE_NODE_NAME"));
            return Err(Flaw { at: "filter::node", what, remedy, only_here: false });
        }
        None => {}
    }
    let needs_none = filter.is_narrow() || config.whole_cluster || config.source != Source::Api;
    if needs_none {
        return Ok(None);
    }
    if let Some(node) = USUAL.iter().find_map(named) {
        return Ok(Some(node));
    }
    let what =
        "there is no `filter` and no node name, so that the pods of the whole cluster would be watched".to_owned();
    let remedy =
        format!("{}; a gateway that is to know all pods says `whole_cluster: true`", snippet("KUBE_NODE_NAME"));
    Err(Flaw { at: "filter", what, remedy, only_here: true })
}

fn one(config: &Config, node: String) -> Result<Option<String>, Flaw> {
    if !config.whole_cluster {
        return Ok(Some(node));
    }
    let what = format!("`whole_cluster: true` and a filter for the node \"{node}\" contradict each other");
    Err(Flaw { at: "whole_cluster", what, remedy: "remove one of them".to_owned(), only_here: false })
}

/// How Kubernetes sets the variable.
fn snippet(name: &str) -> String {
    format!(
        "add to the agent's container `env: [{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}]` \
         (outside of Kubernetes: `{name}=NODE otel-agent …`)"
    )
}
