//! Pods from a file, where there is no API: in demonstrations, in tests, on machines without Kubernetes.
//!
//! The file is a pod, or a list of pods as `kubectl get pods -o yaml` or `-o json` writes it. Namespaces and nodes may be
//! among them. Its time and size are looked at every other second; what it says replaces what it said before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::spawn;
use crate::kubernetes::directory::Shared;
use crate::kubernetes::interest::{Interest, Kind};
use crate::kubernetes::manifest::{ObjectManifest, PodManifest};
use crate::kubernetes::objects::{Key, Known};
use crate::kubernetes::source::Filter;
use crate::settings::{FileId, Node, Problems, Yaml, parse};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads the file, and starts to look whether it changes.
pub(super) fn start(path: &Path, filter: &Filter, shared: &Arc<Shared>) -> anyhow::Result<AbortHandle> {
    let feed = FileFeed { path: path.to_owned(), filter: filter.clone(), shared: Arc::clone(shared) };
    // Asked for before the file is read, so that no wish falls between.
    let (interest, stamp) = (shared.interest(), feed.stamp());
    feed.read()?;
    feed.shared.set_listed();
    feed.shared.set_synced();
    Ok(spawn(feed.run(stamp, interest)))
}

struct FileFeed {
    path: PathBuf,
    filter: Filter,
    shared: Arc<Shared>,
}

/// What changes when a file does.
type Stamp = Option<(SystemTime, u64)>;

impl FileFeed {
    async fn run(self, mut stamp: Stamp, mut interest: watch::Receiver<Interest>) {
        loop {
            let more = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => false,
                // The sender is in `shared`, so that it cannot be gone.
                _ = interest.changed() => true,
            };
            let now = self.stamp();
            if now == stamp && !more {
                continue;
            }
            stamp = now;
            if let Err(error) = self.read() {
                let (path, error) = (self.path.display(), format!("{error:#}"));
                self.shared.counts.failure("pods", "file");
                tracing::warn!(%path, error, "The file with pods cannot be read again; what it said before stays in use.");
            }
        }
    }

    fn stamp(&self) -> Stamp {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    fn read(&self) -> anyhow::Result<()> {
        let path = &self.path;
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read the pods of {}", path.display()))?;
        let list = objects(&text).with_context(|| format!("{} is no list of pods", path.display()))?;
        let interest = self.shared.interest().borrow().clone();
        let mut pods = Vec::new();
        for object in list {
            match kind(&object) {
                Some("Pod") | None => {
                    let pod: PodManifest = serde_json::from_value(object)
                        .with_context(|| format!("a pod of {} has a field of another type", path.display()))?;
                    if pod.uid().is_empty() {
                        bail!("a pod of {} has no `metadata.uid`", path.display());
                    }
                    pods.extend(self.filter.takes(&pod).then(|| pod.seen(&interest)));
                }
                Some(other) => self.object(other, &object, &interest),
            }
        }
        self.shared.counts.list();
        self.shared.replace_all(pods, 0);
        Ok(())
    }

    /// A namespace or node; other kinds are left.
    fn object(&self, kind: &str, object: &Value, interest: &Interest) {
        let Some(kind) = [Kind::Namespace, Kind::Node].into_iter().find(|known| known.as_str() == kind) else { return };
        let Ok(ObjectManifest { metadata }) = serde_json::from_value(object.clone()) else { return };
        if kind == Kind::Namespace && metadata.name.as_deref() == Some("kube-system") && interest.cluster_uid {
            self.shared.set_cluster_uid(metadata.uid.as_deref().unwrap_or_default());
        }
        if let (Some(interest), Some(name)) = (interest.of(kind), &metadata.name) {
            let key = Key { kind, namespace: Arc::default(), name: name.as_str().into() };
            self.shared.set_object(&key, Some(Known::new(metadata, interest)));
        }
    }
}

/// The objects of a list, or the one object that it is; YAML includes JSON.
fn objects(text: &str) -> anyhow::Result<Vec<Value>> {
    let mut problems = Problems::default();
    let Some(root) = parse(FileId(0), text, &mut problems) else { bail!("{}", problems.lines().trim_end()) };
    let mut root = json(&root);
    match root.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        Some(Value::Null) => Ok(Vec::new()),
        None if root.get("metadata").is_some() => Ok(vec![root]),
        _ => bail!("it has neither `items` nor `metadata`"),
    }
}

fn kind(object: &Value) -> Option<&str> {
    object.get("kind").and_then(Value::as_str)
}

fn json(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => (*value).into(),
        Yaml::Int(value) => (*value).into(),
        Yaml::Float(value) => (*value).into(),
        Yaml::Str(text) => text.as_str().into(),
        Yaml::Seq(items) => items.iter().map(json).collect(),
        Yaml::Map(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect())
        }
    }
}

#[cfg(test)]
mod tests;
