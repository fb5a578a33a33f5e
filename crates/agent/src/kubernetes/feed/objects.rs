//! What pods have to do with: their namespaces, their node, their controllers, the cluster.
//!
//! Each is read by name when the first pod here has to do with it, metadata only, and again every few minutes; the reasons
//! are in docs/decisions/0006. Nobody wants anything: nothing is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::Request;
use http::header::ACCEPT;
use tokio::time::Instant;

use super::backoff::{Backoff, spread};
use super::{Failure, failed};
use crate::kubernetes::connection::Connection;
use crate::kubernetes::directory::Shared;
use crate::kubernetes::interest::{Interest, Kind};
use crate::kubernetes::manifest::{Metadata, ObjectManifest};
use crate::kubernetes::objects::{Key, Known};
use crate::kubernetes::right::Right;
use crate::kubernetes::source::Source;

/// How old what is known of an object may be.
const REFRESH: (Duration, Duration) = (Duration::from_mins(4), Duration::from_mins(5));

/// Pods that come together are served together.
const GATHER: Duration = Duration::from_millis(50);

/// So many are read at the same time.
const AT_ONCE: usize = 4;

/// The first round may keep the directory from being synced for this long.
const FIRST_ROUND: Duration = Duration::from_secs(5);

/// Of an object only the metadata.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Brings the objects.
pub(super) struct Objects {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    namespace: Option<String>,
    node: Option<Arc<str>>,
    due: BTreeMap<Key, Due>,
}

/// When an object is read next.
struct Due {
    at: Instant,
    backoff: Backoff,
}

impl Objects {
    pub(super) fn new(connection: Arc<Connection>, source: &Source, shared: Arc<Shared>) -> Self {
        let namespace = source.filter.namespace.clone();
        let node = source.filter.node.as_deref().map(Into::into);
        Self { connection, shared, namespace, node, due: BTreeMap::new() }
    }

    pub(super) async fn run(mut self) {
        self.shared.wait_listed().await;
        let mut wishes = self.shared.interest();
        let mut interest = wishes.borrow_and_update().clone();
        let mut first = true;
        loop {
            let generation = self.shared.generation();
            self.plan(&interest);
            if first {
                let _ = tokio::time::timeout(FIRST_ROUND, self.read_due(&interest)).await;
                self.shared.set_synced();
                first = false;
            } else {
                self.read_due(&interest).await;
            }
            let next = self.due.values().map(|due| due.at).min();
            let next = next.unwrap_or_else(|| Instant::now() + REFRESH.1);
            tokio::select! {
                () = self.shared.changed_since(generation), if !is_empty(&interest) => tokio::time::sleep(GATHER).await,
                // The sender is in `shared`, so that it cannot be gone.
                _ = wishes.changed() => {
                    interest = wishes.borrow_and_update().clone();
                    // Of what was read only what was wanted was kept.
                    self.due.values_mut().for_each(|due| *due = Due::now());
                }
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Adds what pods here have to do with now, and drops what they no longer do.
    fn plan(&mut self, interest: &Interest) {
        let mut wanted = self.shared.wanted_objects(interest);
        if let Some(node) = self.node.as_ref().filter(|_| interest.nodes.is_some()) {
            wanted.insert(Key { kind: Kind::Node, namespace: Arc::default(), name: Arc::clone(node) });
        }
        if interest.cluster_uid {
            wanted.insert(kube_system());
        }
        let gone: BTreeSet<Key> = self.due.keys().filter(|key| !wanted.contains(key)).cloned().collect();
        for key in gone {
            self.due.remove(&key);
            self.shared.set_object(&key, None);
        }
        for key in wanted {
            self.due.entry(key).or_insert_with(Due::now);
        }
    }

    async fn read_due(&mut self, interest: &Interest) {
        let now = Instant::now();
        let due: Vec<Key> = self.due.iter().filter(|(_, due)| due.at <= now).map(|(key, _)| key.clone()).collect();
        let connection = &self.connection;
        let mut answers = stream::iter(due)
            .map(|key| async move {
                let answer = read(connection, &key).await;
                (key, answer)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((key, answer)) = answers.next().await {
            let Some(due) = self.due.get_mut(&key) else { continue };
            let right = right(&key, interest, self.namespace.as_deref());
            match answer {
                Ok(metadata) => {
                    self.shared.troubles.granted(&right);
                    due.backoff.reset();
                    due.at = Instant::now() + spread(REFRESH.0, REFRESH.1);
                    take(&self.shared, &key, metadata, interest);
                }
                Err(failure) => {
                    if failure.code == 404 {
                        // It is gone, or so new that the server's memory does not have it.
                        self.shared.set_object(&key, None);
                    }
                    failed(&failure, &right, connection, &self.shared);
                    due.at = Instant::now() + due.backoff.next().max(connection.away());
                }
            }
        }
    }
}

impl Due {
    fn now() -> Due {
        Due { at: Instant::now(), backoff: Backoff::default() }
    }
}

fn take(shared: &Shared, key: &Key, metadata: Metadata, interest: &Interest) {
    if interest.cluster_uid && *key == kube_system() {
        shared.set_cluster_uid(metadata.uid.as_deref().unwrap_or_default());
    }
    if let Some(wanted) = interest.of(key.kind) {
        shared.set_object(key, Some(Known::new(metadata, wanted)));
    }
}

/// Reads one object from the server's memory.
async fn read(connection: &Connection, key: &Key) -> Result<Metadata, Failure> {
    let group = match key.kind.group() {
        "" => "api/v1".to_owned(),
        group => format!("apis/{group}/v1"),
    };
    let space = if key.namespace.is_empty() { String::new() } else { format!("namespaces/{}/", key.namespace) };
    let path = format!("/{group}/{space}{}/{}?resourceVersion=0", key.kind.resource(), key.name);
    let request = Request::get(path).header(ACCEPT, METADATA_ONLY).body(Vec::new());
    let request = request.map_err(|error| Failure { code: 0, message: error.to_string() })?;
    let object: ObjectManifest = connection.client().request(request).await.map_err(|error| Failure::new(&error))?;
    Ok(object.metadata)
}

/// The right that it takes to read an object.
fn right(key: &Key, interest: &Interest, namespace: Option<&str>) -> Right {
    if interest.namespaces.is_none() && *key == kube_system() {
        return Right::CLUSTER_UID;
    }
    key.kind.right(namespace)
}

fn kube_system() -> Key {
    Key { kind: Kind::Namespace, namespace: Arc::default(), name: "kube-system".into() }
}

fn is_empty(interest: &Interest) -> bool {
    !interest.cluster_uid && Kind::ALL.into_iter().all(|kind| interest.of(kind).is_none())
}
