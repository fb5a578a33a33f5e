//! What is known of namespaces, nodes and controllers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::interest::{Interest, Kind, ObjectInterest};
use super::manifest::{Metadata, OwnerReference};
use super::pod::{Object, Owner, Pod};

/// Namespaces, nodes and controllers.
#[derive(Debug, Default)]
pub(super) struct Objects {
    kinds: HashMap<Kind, HashMap<Arc<str>, Known>>,
    pub(super) cluster_uid: Option<Arc<str>>,
}

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// Empty where the kind is in no namespace.
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) object: Arc<Object>,
    /// What it names as its owners.
    owners: Vec<OwnerReference>,
}

impl Objects {
    pub(super) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Known> {
        let known = self.kinds.get(&kind)?;
        if namespace.is_empty() {
            return known.get(name);
        }
        // Only where something changes, not where data passes.
        known.get(in_one(namespace, name).as_str())
    }

    /// Whether that changed anything.
    pub(super) fn set(&mut self, key: &Key, known: Option<Known>) -> bool {
        let all = self.kinds.entry(key.kind).or_default();
        let at: Arc<str> =
            if key.namespace.is_empty() { key.name.clone() } else { in_one(&key.namespace, &key.name).into() };
        match known {
            Some(known) if all.get(&at) == Some(&known) => false,
            Some(known) => {
                all.insert(at, known);
                true
            }
            None => all.remove(&at).is_some(),
        }
    }
}

fn in_one(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

impl Known {
    /// What is wanted of an object.
    pub(super) fn new(metadata: Metadata, interest: &ObjectInterest) -> Self {
        let object = Object {
            name: metadata.name.unwrap_or_default().into(),
            uid: metadata.uid.unwrap_or_default().into(),
            labels: interest.labels.keep(metadata.labels.unwrap_or_default()),
            annotations: interest.annotations.keep(metadata.annotations.unwrap_or_default()),
        };
        Self { object: Arc::new(object), owners: metadata.owner_references.unwrap_or_default() }
    }

    /// An object that nothing more is known of.
    pub(super) fn of(object: Object) -> Self {
        Self { object: Arc::new(object), owners: Vec::new() }
    }

    pub(super) fn object(&self) -> Arc<Object> {
        Arc::clone(&self.object)
    }

    /// The owner of a kind that it names.
    pub(super) fn owner(&self, kind: Kind) -> Option<Owner> {
        let reference = self.owners.iter().find(|reference| reference.kind == kind.as_str())?;
        Some(Owner { name: reference.name.as_str().into(), uid: Some(reference.uid.as_str().into()), object: None })
    }
}

/// The objects that are wanted because of these pods.
pub(super) fn wanted<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>, interest: &Interest) -> BTreeSet<Key> {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| interest.of(*kind).is_some()).collect();
    if kinds.is_empty() {
        return BTreeSet::new();
    }
    pods.flat_map(|pod| kinds.iter().filter_map(|kind| key_of(pod, *kind))).collect()
}

/// The object of a kind that a pod has to do with.
pub(super) fn key_of(pod: &Pod, kind: Kind) -> Option<Key> {
    let owners = &pod.owners;
    let name = match kind {
        Kind::Namespace => Some(&pod.namespace),
        Kind::Node => pod.node.as_ref(),
        Kind::ReplicaSet => owners.replicaset.as_ref().map(|owner| &owner.name),
        Kind::Deployment => owners.deployment.as_ref().map(|owner| &owner.name),
        Kind::StatefulSet => owners.statefulset.as_ref().map(|owner| &owner.name),
        Kind::DaemonSet => owners.daemonset.as_ref().map(|owner| &owner.name),
        Kind::Job => owners.job.as_ref().map(|owner| &owner.name),
        Kind::CronJob => owners.cronjob.as_ref().map(|owner| &owner.name),
    };
    let namespace = if kind.is_namespaced() { Arc::clone(&pod.namespace) } else { Arc::default() };
    name.filter(|name| !name.is_empty()).map(|name| Key { kind, namespace, name: Arc::clone(name) })
}
