//! The pods that stand for a cluster.

use std::collections::BTreeSet;

use anyhow::Context;

use crate::settings::{FileId, Node, Problems, parse};

/// The embedded list.
pub(super) const LIST: &str = include_str!("../../../../../deploy/demo/pods.yaml");

/// What the demo needs to know of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    /// Its name.
    pub(super) name: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// The deployment that it belongs to: its replica set without the hash.
    pub(super) deployment: String,
    /// The node that it runs on.
    pub(super) node: String,
    /// Its address.
    pub(super) ip: String,
}

/// The list as a file, for as long as the demo plays.
pub(super) struct File(String);

impl File {
    /// Writes it where temporary files go.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(super) fn write() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("otel-agent-demo-{}.yaml", std::process::id()));
        let text = path.to_string_lossy().into_owned();
        std::fs::write(&path, LIST).with_context(|| format!("cannot write {text}"))?;
        Ok(Self(text))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // What is left of it does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Reads the pods of a list as `kubectl get pods -o yaml` prints it.
///
/// # Errors
///
/// The text is not such a list.
pub(super) fn read(text: &str) -> anyhow::Result<Vec<Pod>> {
    let mut problems = Problems::default();
    let list = parse(FileId(0), text, &mut problems).context("the list of pods is not YAML")?;
    let items = list.get("items").context("the list of pods has no items")?;
    items
        .items()
        .iter()
        .map(|item| pod(item).context("a pod of the list lacks a name, node, address or owner"))
        .collect()
}

fn pod(item: &Node) -> Option<Pod> {
    let text = |node: &Node, key: &str| Some(node.get(key)?.text()?.to_owned());
    let metadata = item.get("metadata")?;
    let hash = text(metadata.get("labels")?, "pod-template-hash")?;
    let owner = text(metadata.get("ownerReferences")?.items().first()?, "name")?;
    Some(Pod {
        name: text(metadata, "name")?,
        namespace: text(metadata, "namespace")?,
        deployment: owner.strip_suffix(&hash)?.trim_end_matches('-').to_owned(),
        node: text(item.get("spec")?, "nodeName")?,
        ip: text(item.get("status")?, "podIP")?,
    })
}

/// How many different ones there are.
#[must_use]
pub(super) fn distinct<'a>(pods: &'a [Pod], of: impl Fn(&'a Pod) -> &'a str) -> usize {
    pods.iter().map(of).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_list_is_three_pods_of_two_deployments_on_two_nodes() {
        let pods = read(LIST).unwrap();
        assert_eq!(pods.len(), 3);
        assert_eq!(distinct(&pods, |pod| &pod.deployment), 2);
        assert_eq!(distinct(&pods, |pod| &pod.node), 2);
        assert_eq!(pods[0].deployment, "fastapi-metrics");
    }

    #[test]
    fn a_pod_that_lacks_something_is_an_error() {
        assert!(read("items: [{metadata: {name: a}}]").is_err());
        assert!(read("items").is_err());
    }
}
