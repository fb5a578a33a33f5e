//! A pod as others see it: what is known of it now, in one piece that never changes.

use std::any::Any;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use smallvec::SmallVec;

use super::kept::Kept;

/// A pod with everything that is asked for. It never changes: whatever happens to it, its namespace, its node or its
/// owners makes another one.
#[derive(Debug, Default)]
pub struct Pod {
    /// `metadata.uid`
    pub uid: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
    /// `metadata.namespace`
    pub namespace: Arc<str>,
    /// `spec.nodeName`; none before it is scheduled.
    pub node: Option<Arc<str>>,
    /// `spec.hostname`, when the pod sets one.
    pub hostname: Option<Arc<str>>,
    /// `metadata.creationTimestamp`, RFC 3339 as the API gives it.
    pub created: Arc<str>,
    /// `status.startTime`, RFC 3339 as the API gives it.
    pub started: Option<Arc<str>>,
    /// Every entry of `status.podIPs`, IPv4 never as IPv6. Those of a pod on the host's network are the node's.
    pub addresses: Addresses,
    /// `status.hostIPs`: addresses of the node.
    pub host_addresses: Addresses,
    /// It shares the node's network, so that no address tells it apart.
    pub host_network: bool,
    /// `status.phase`
    pub phase: Phase,
    /// It has a deletion timestamp: it is about to end, or has ended.
    pub deleted: bool,
    /// Its annotation asks to leave its telemetry as it is.
    pub ignored: bool,
    /// The labels that somebody wants.
    pub labels: Kept,
    /// The annotations that somebody wants.
    pub annotations: Kept,
    /// What it belongs to.
    pub owners: Owners,
    /// Its containers, also those that run before and those added later.
    pub containers: Box<[Container]>,
    /// Its namespace, when somebody wants something of it.
    pub namespace_object: Option<Arc<Object>>,
    /// Its node, when somebody wants something of it.
    pub node_object: Option<Arc<Object>>,
    /// What was made for it once; see [`Pod::kept`].
    pub(super) made: Made,
}

/// The addresses of a pod: one, or two where it has both families.
pub type Addresses = SmallVec<[IpAddr; 2]>;

/// How far a pod has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not all of its containers have started.
    Pending,
    /// It runs.
    Running,
    /// All containers ended well, and none starts again.
    Succeeded,
    /// All containers ended, one of them badly.
    Failed,
    /// Its node does not say.
    #[default]
    Unknown,
}

impl Phase {
    /// Whether no container of it runs any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// What a pod belongs to, directly or through what it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// Its ReplicaSet.
    pub replicaset: Option<Owner>,
    /// The Deployment of its ReplicaSet.
    pub deployment: Option<Owner>,
    /// Its StatefulSet.
    pub statefulset: Option<Owner>,
    /// Its DaemonSet.
    pub daemonset: Option<Owner>,
    /// Its Job.
    pub job: Option<Owner>,
    /// The CronJob of its Job.
    pub cronjob: Option<Owner>,
}

/// Something that a pod belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: Arc<str>,
    /// Its UID; none where only the name follows from what a pod says of itself.
    pub uid: Option<Arc<str>>,
    /// What is known of it beyond that, when somebody wants it.
    pub object: Option<Arc<Object>>,
}

/// A namespace, node or controller, with what is wanted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: Arc<str>,
    /// Its UID.
    pub uid: Arc<str>,
    /// The labels that somebody wants.
    pub labels: Kept,
    /// The annotations that somebody wants.
    pub annotations: Kept,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// `name`
    pub name: Arc<str>,
    /// `image`, as the pod's specification has it.
    pub image: Arc<str>,
    /// Which list of the specification it stands in.
    pub kind: ContainerKind,
    /// It now, and as far as the status tells before its last restart; the newest first.
    pub instances: SmallVec<[Instance; 1]>,
}

/// Which list of a pod's specification a container stands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContainerKind {
    /// `containers`
    #[default]
    Main,
    /// `initContainers`
    Init,
    /// `ephemeralContainers`
    Ephemeral,
}

/// One life of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// How many lives it had before.
    pub restart_count: u32,
    /// Its id, without the runtime's `containerd://`.
    pub id: Arc<str>,
    /// `imageID`, as the status has it; empty when it has none.
    pub image_id: Arc<str>,
}

/// Names one kind of value that is made once for each pod; see [`Pod::kept`]. Dropped, its values go too, at the latest
/// with their pods.
#[derive(Debug, Default)]
pub struct Slot(Arc<()>);

/// Values by slot.
#[derive(Default)]
pub(super) struct Made(RwLock<Values>);

type Values = SmallVec<[(Weak<()>, Value); 1]>;

type Value = Arc<dyn Any + Send + Sync>;

// === impl Pod ===

impl Pod {
    /// A value that is made once for this pod and slot, and kept with the pod: its attributes, encoded.
    ///
    /// Two callers at the same moment may both make it; both get the one that was kept. A slot has one type.
    pub fn kept<T: Send + Sync + 'static>(&self, slot: &Slot, make: impl FnOnce(&Pod) -> T) -> Arc<T> {
        if let Some(found) = self.made.find(slot) {
            return found;
        }
        let value = Arc::new(make(self));
        self.made.add(slot, value)
    }

    /// About how many bytes it takes, what is shared with others not counted.
    #[must_use]
    pub fn memory(&self) -> usize {
        // Two counters before the text, and what the allocator rounds up to.
        let text = |text: &Arc<str>| (text.len() + 16).next_multiple_of(16);
        let maybe = |value: &Option<Arc<str>>| value.as_ref().map_or(0, text);
        let owners = &self.owners;
        let owners = [
            &owners.replicaset,
            &owners.deployment,
            &owners.statefulset,
            &owners.daemonset,
            &owners.job,
            &owners.cronjob,
        ];
        let owner = |owner: &Owner| text(&owner.name) + maybe(&owner.uid);
        let instance = |instance: &Instance| text(&instance.id) + text(&instance.image_id);
        let container = |container: &Container| {
            let instances = &container.instances;
            let spilled = if instances.spilled() { instances.capacity() * size_of::<Instance>() } else { 0 };
            text(&container.name) + text(&container.image) + spilled + instances.iter().map(instance).sum::<usize>()
        };
        size_of::<Pod>()
            + text(&self.uid)
            + text(&self.name)
            + text(&self.namespace)
            + text(&self.created)
            + maybe(&self.hostname)
            + maybe(&self.started)
            + self.labels.heap()
            + self.annotations.heap()
            + owners.into_iter().flatten().map(owner).sum::<usize>()
            + size_of_val(&*self.containers)
            + self.containers.iter().map(container).sum::<usize>()
    }

    /// The same pod without what was made for it.
    pub(super) fn again(&self) -> Pod {
        Pod {
            uid: self.uid.clone(),
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            node: self.node.clone(),
            hostname: self.hostname.clone(),
            created: self.created.clone(),
            started: self.started.clone(),
            addresses: self.addresses.clone(),
            host_addresses: self.host_addresses.clone(),
            host_network: self.host_network,
            phase: self.phase,
            deleted: self.deleted,
            ignored: self.ignored,
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            owners: self.owners.clone(),
            containers: self.containers.clone(),
            namespace_object: self.namespace_object.clone(),
            node_object: self.node_object.clone(),
            made: Made::default(),
        }
    }
}

/// Whether everything that others see is the same; what was made for it does not count.
impl PartialEq for Pod {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid
            && self.name == other.name
            && self.namespace == other.namespace
            && self.node == other.node
            && self.hostname == other.hostname
            && self.created == other.created
            && self.started == other.started
            && self.addresses == other.addresses
            && self.host_addresses == other.host_addresses
            && self.host_network == other.host_network
            && self.phase == other.phase
            && self.deleted == other.deleted
            && self.ignored == other.ignored
            && self.labels == other.labels
            && self.annotations == other.annotations
            && self.owners == other.owners
            && self.containers == other.containers
            && self.namespace_object == other.namespace_object
            && self.node_object == other.node_object
    }
}

// === impl Slot, Made ===

impl Slot {
    /// Another one.
    #[must_use]
    pub fn new() -> Slot {
        Slot::default()
    }
}

impl Made {
    fn find<T: Send + Sync + 'static>(&self, slot: &Slot) -> Option<Arc<T>> {
        let made = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, value) = made.iter().find(|(owner, _)| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(&slot.0)))?;
        Arc::clone(value).downcast().ok()
    }

    fn add<T: Send + Sync + 'static>(&self, slot: &Slot, value: Arc<T>) -> Arc<T> {
        let mut made = self.0.write().unwrap_or_else(PoisonError::into_inner);
        made.retain(|(owner, _)| owner.strong_count() > 0);
        let first = made.iter().find(|(owner, _)| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(&slot.0)));
        if let Some(first) = first.and_then(|(_, first)| Arc::clone(first).downcast().ok()) {
            return first;
        }
        made.push((Arc::downgrade(&slot.0), Arc::clone(&value) as Value));
        value
    }
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_for_a_pod_and_slot_and_anew_for_the_next_pod() {
        let (pod, one, two) = (Pod::default(), Slot::new(), Slot::new());
        let first = pod.kept(&one, |_| "made".to_owned());
        assert!(Arc::ptr_eq(&first, &pod.kept(&one, |_| "again".to_owned())));
        assert_eq!(*pod.kept(&two, |_| 5), 5);
        assert_eq!(*pod.again().kept(&one, |_| "again".to_owned()), "again");
        assert_eq!(pod, pod.again());
    }

    #[test]
    fn the_values_of_a_dropped_slot_are_dropped_with_the_next_one_that_is_made() {
        let (pod, gone) = (Pod::default(), Slot::new());
        let value = Arc::downgrade(&pod.kept(&gone, |_| 1));
        drop(gone);
        pod.kept(&Slot::new(), |_| 2);
        assert_eq!(value.strong_count(), 0);
    }
}
