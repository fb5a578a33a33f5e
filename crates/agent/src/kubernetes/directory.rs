//! The pods of a node, for those who ask and for the feed that keeps them.

mod counts;
mod shared;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::task::AbortHandle;

use super::address::AddressClass;
use super::feed;
use super::interest::{Interest, Kind};
use super::objects::{Key, Known};
use super::pod::{Object, Pod};
use super::right::Trouble;
use super::source::{GRACE, Source};
use crate::telemetry::Metrics;
pub(super) use shared::Shared;

/// Which pods exist on this node, and what is known of them. Clones are the same directory; with the last one its feed ends.
///
/// Looking up waits for nobody and allocates nothing on a hit.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

/// The directories of an agent. Clones are the same; a directory is shared by all who name its source, also over a reload,
/// and ends with the last of them.
#[derive(Clone, Default)]
pub struct Directories {
    open: Arc<Mutex<HashMap<Source, Weak<Inner>>>>,
}

// === impl Directories ===

impl Directories {
    /// The directory of a source, with what is wanted of it. Needs a Tokio runtime for what runs beside it. It is filled
    /// when [`Directory::synced`] says so; when it is already open it learns what more is wanted.
    ///
    /// # Errors
    /// The source cannot be used: no service account or kubeconfig, a file that is no list of pods.
    pub fn open(&self, source: &Source, interest: Interest, metrics: &Metrics) -> anyhow::Result<Directory> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, inner| inner.strong_count() > 0);
        if let Some(inner) = open.get(source).and_then(Weak::upgrade) {
            inner.shared.want(interest);
            return Ok(Directory { inner });
        }
        let shared = Arc::new(Shared::new(interest, source.grace, metrics));
        let tasks = feed::start(source, &shared)?;
        let inner = Arc::new(Inner { shared, tasks });
        open.insert(source.clone(), Arc::downgrade(&inner));
        Ok(Directory { inner })
    }

    /// How many pods are known, in all directories.
    #[must_use]
    pub fn pods(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().filter_map(Weak::upgrade).map(|inner| inner.shared.read().len()).sum()
    }

    /// The pod that has an address now, in whichever directory knows it.
    #[must_use]
    pub fn by_address(&self, address: IpAddr) -> Option<Arc<Pod>> {
        let open: Vec<_> = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.values().filter_map(Weak::upgrade).collect()
        };
        open.into_iter().find_map(|inner| Directory { inner }.by_address(address))
    }
}

// === impl Directory ===

impl Directory {
    /// The pod that has an address now: the newest that runs. IPv4 in IPv6 clothes is IPv4.
    #[must_use]
    pub fn by_address(&self, address: IpAddr) -> Option<Arc<Pod>> {
        self.inner.shared.read().by_address(address).cloned()
    }

    /// The pod with a UID, also one that ended some minutes ago.
    #[must_use]
    pub fn by_uid(&self, uid: &str) -> Option<Arc<Pod>> {
        self.inner.shared.read().by_uid(uid).cloned()
    }

    /// The pod with a container of this id (without its runtime), also one that ended some minutes ago.
    #[must_use]
    pub fn by_container(&self, id: &str) -> Option<Arc<Pod>> {
        self.inner.shared.read().by_container(id).cloned()
    }

    /// The pod of a name, also one that ended some minutes ago if there is none that did not.
    #[must_use]
    pub fn by_name(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.inner.shared.read().by_name(namespace, name).cloned()
    }

    /// The newest pod that `wanted` takes, those that have not ended first. It looks at all of them.
    #[must_use]
    pub fn find(&self, wanted: &dyn Fn(&Pod) -> bool) -> Option<Arc<Pod>> {
        self.inner.shared.read().find(wanted).cloned()
    }

    /// What is wanted of a namespace.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<Arc<Object>> {
        self.inner.shared.read().objects.get(Kind::Namespace, "", name).map(Known::object)
    }

    /// What is wanted of a node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<Arc<Object>> {
        self.inner.shared.read().objects.get(Kind::Node, "", name).map(Known::object)
    }

    /// The UID of the namespace `kube-system`, which stands for the cluster.
    #[must_use]
    pub fn cluster_uid(&self) -> Option<Arc<str>> {
        self.inner.shared.read().objects.cluster_uid.clone()
    }

    /// What an address is, as far as this node knows.
    #[must_use]
    pub fn class_of(&self, address: IpAddr) -> AddressClass {
        self.inner.shared.read().class_of(address)
    }

    /// How many pods have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.shared.read().len()
    }

    /// Whether there is no pod that has not ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the feed has said what there is, at least once.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.inner.shared.synced()
    }

    /// Waits until [`Directory::synced`].
    pub async fn wait_synced(&self) {
        self.inner.shared.wait_synced().await;
    }

    /// A number that grows with every change of anything.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.shared.generation()
    }

    /// Waits until [`Directory::generation`] is above this one.
    pub async fn changed_since(&self, generation: u64) {
        self.inner.shared.changed_since(generation).await;
    }

    /// Tells the feed that an address is not known, so that one that asks only now and then asks soon.
    pub fn hint_unknown(&self, address: IpAddr) {
        if self.class_of(address) == AddressClass::Unknown {
            self.inner.shared.hint();
        }
    }

    /// The permissions that are missing right now.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.inner.shared.troubles.list()
    }

    /// A directory that knows these pods and never learns of others; for tests and examples.
    #[must_use]
    pub fn fixed(pods: Vec<Pod>) -> Self {
        let shared = Shared::new(Interest::default(), GRACE, &Metrics::new());
        shared.replace_all(pods.into_iter().map(as_seen).collect(), 0);
        shared.set_synced();
        Self { inner: Arc::new(Inner { shared: Arc::new(shared), tasks: Vec::new() }) }
    }

    /// Adds or replaces a pod, for tests: also of a [fixed](Directory::fixed) directory.
    pub fn put(&self, pod: Pod) {
        self.inner.shared.see(as_seen(pod));
    }

    /// Deletes a pod, for tests.
    pub fn delete(&self, uid: &str) {
        self.inner.shared.delete(uid, 0);
    }

    /// Sets a namespace or node, for tests.
    pub fn put_object(&self, kind: Kind, object: Object) {
        self.put_object_in(kind, "", object);
    }

    /// Sets a controller in a namespace, for tests.
    pub fn put_object_in(&self, kind: Kind, namespace: &str, object: Object) {
        let key = Key { kind, namespace: namespace.into(), name: Arc::clone(&object.name) };
        self.inner.shared.set_object(&key, Some(Known::of(object)));
    }

    /// Sets the UID of the cluster, for tests.
    pub fn put_cluster_uid(&self, uid: &str) {
        self.inner.shared.set_cluster_uid(uid);
    }
}

#[cfg(test)]
impl Directory {
    /// A directory that is fed by something else than its source.
    pub(super) fn fed(shared: Arc<Shared>, tasks: Vec<AbortHandle>) -> Self {
        Self { inner: Arc::new(Inner { shared, tasks }) }
    }

    /// Somebody wants more of it.
    pub(super) fn want(&self, more: Interest) {
        self.inner.shared.want(more);
    }
}

/// As a feed sees it, with the controllers that it already has.
fn as_seen(pod: Pod) -> super::index::Seen {
    let controller = pod.owners.deployment.as_ref().or(pod.owners.cronjob.as_ref());
    let guess = controller.map(|owner| Arc::clone(&owner.name));
    super::index::Seen { pod, version: 0, guess }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("pods", &self.len()).field("synced", &self.synced()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.close();
    }
}

#[cfg(test)]
mod tests;
