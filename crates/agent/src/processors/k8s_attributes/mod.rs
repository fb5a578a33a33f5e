//! `k8s_attributes`: which pod, deployment, namespace and node data comes from.
//!
//! The pod is found by the address that the data came from or by attributes of the resource (`associate`), in the
//! directory of [`crate::kubernetes`]; its attributes are encoded once (`recipe`) and spliced into every request. Data
//! of a pod that is not known yet waits for it a short while (`waiting`). What no pod is found for is counted and
//! explained (`misses`).

/// The settings.
pub mod config;

/// What `extract::metadata` may list.
pub mod fields;

mod associate;
mod image;
mod misses;
mod node;
mod recipe;
mod rules;
mod sources;
mod waiting;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use anyhow::bail;
use wire::{Action, AttributeEditor, Edits, Level, Signal, Value};

use crate::component::{About, Component, Needs, Status};
use crate::kubernetes::{Directories, Directory, Pod, Slot, plain};
use crate::pipeline::{Batch, Patience, Process, Rejected, Wait};
use crate::telemetry::{Counter, Metrics, table};
use associate::{Associations, Found};
pub use config::Config;
use fields::Field;
use misses::Misses;
pub use misses::{Miss, Reason};
use recipe::{Prepared, Recipe};
use rules::{From, Rules};
use waiting::Waiting;

impl Component for Config {
    const ABOUT: About = About {
        kind: "k8s_attributes",
        formerly: Some("k8sattributes"),
        summary: "adds attributes of the pod, deployment, namespace and node that data comes from",
        status: Status::Beta,
        signals: &Signal::ALL,
    };

    fn needs(&self) -> Needs {
        // Whichever node it is, the rights are the same.
        let source = sources::source(self, &|name| Some(variable(name).unwrap_or_else(|| "node".to_owned())));
        let rights = match source {
            Ok(Some(source)) => self.interest().rights(&source),
            _ => Vec::new(),
        };
        Needs { rights, ..Needs::default() }
    }
}

impl Config {
    fn interest(&self) -> crate::kubernetes::Interest {
        sources::interest(fields::Fields::named(&self.extract.metadata), &Rules::new(&self.extract))
    }

    /// What the pipelines of this processor share. Needs a Tokio runtime.
    ///
    /// # Errors
    /// There is no name of the node, or the pods cannot be read from where they should be.
    pub fn open(
        &self,
        id: &str,
        directories: &Directories,
        patience: &Patience,
        metrics: &Metrics,
    ) -> anyhow::Result<Arc<Enricher>> {
        let source =
            sources::source(self, &variable).map_err(|flaw| anyhow::anyhow!("{}; {}", flaw.what, flaw.remedy))?;
        let directory = source.map(|source| directories.open(&source, self.interest(), metrics)).transpose()?;
        Ok(Arc::new(Enricher::new(self, id, directory, patience, metrics)))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// What the pipelines of one processor share: the pods, their attributes, who waits, what was missed.
pub struct Enricher {
    id: String,
    recipe: Recipe,
    associations: Associations,
    /// `None` if nothing is asked of Kubernetes.
    directory: Option<Directory>,
    slot: Slot,
    cluster: OnceLock<Edits>,
    waiting: Waiting,
    misses: Misses,
    mismatches: Counter,
    wait_for_metadata: Option<std::time::Duration>,
    /// The first list of pods is expected within this time.
    metadata_timeout: std::time::Duration,
    metrics: Metrics,
}

/// The processor of one pipeline.
pub struct K8sAttributes {
    enricher: Arc<Enricher>,
    /// How many resources a pod was found for by each association, and how many it was not; what no association applies
    /// to stands last.
    evaluated: Vec<[Counter; 2]>,
}

impl Enricher {
    fn new(
        config: &Config,
        id: &str,
        directory: Option<Directory>,
        patience: &Patience,
        metrics: &Metrics,
    ) -> Enricher {
        let associations = Associations::new(config);
        let wait_for_metadata = config.wait_for_metadata.then(|| config.wait_for_metadata_timeout.to_std());
        Enricher {
            recipe: Recipe::new(config, associations.searched()),
            misses: Misses::new(id, associations.identifiers(), metrics),
            associations,
            directory,
            slot: Slot::new(),
            cluster: OnceLock::new(),
            waiting: Waiting::new(config.new_pod_wait.to_std(), patience, id, metrics),
            mismatches: metrics.counter(&table::K8S_MISMATCHES, &[("processor", id)]),
            wait_for_metadata,
            metadata_timeout: config.wait_for_metadata_timeout.to_std(),
            metrics: metrics.clone(),
            id: id.to_owned(),
        }
    }

    /// Waits until the pods are known, if the settings say so.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let (Some(directory), Some(timeout)) = (&self.directory, self.wait_for_metadata) else { return Ok(()) };
        if tokio::time::timeout(timeout, directory.wait_synced()).await.is_ok() {
            return Ok(());
        }
        let troubles = directory.troubles();
        let told = troubles.iter().map(|trouble| {
            let message = &trouble.message;
            format!("the right to {} is missing ({}): {message}\n{}", trouble.right, trouble.right.why, trouble.remedy)
        });
        let told = told.collect::<Vec<_>>().join("\n");
        let told = if told.is_empty() {
            "the log says what the API server answered; `wait_for_metadata_timeout` says how long to wait".to_owned()
        } else {
            told
        };
        bail!("failed to wait for caches to sync: the pods were not known after {timeout:?}; {told}");
    }

    /// Whether the pods are known, or none are asked for.
    #[must_use]
    pub fn is_informed(&self) -> bool {
        self.directory.as_ref().is_none_or(Directory::synced)
    }

    /// Waits until the pods are known, or the time for that is over.
    pub async fn informed(&self) {
        let Some(directory) = &self.directory else { return };
        if tokio::time::timeout(self.metadata_timeout, directory.wait_synced()).await.is_err() {
            tracing::warn!(processor = self.id, after = ?self.metadata_timeout,
                "The pods of this node are not known yet. Applications are let in nevertheless; their data waits for its pod, \
                 and goes on without attributes if it stays unknown.");
        }
    }

    /// The id of the processor.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The last resources that no pod was found for, the oldest first.
    #[must_use]
    pub fn last_misses(&self) -> Vec<Miss> {
        self.misses.last()
    }

    /// The processor for one pipeline.
    #[must_use]
    pub fn of_pipeline(self: &Arc<Self>, signal: Signal) -> K8sAttributes {
        let counters = |identifier: &str| {
            ["success", "error"].map(|status| {
                let labels = [("status", status), ("pod_identifier", identifier), ("otelcol_signal", signal.name())];
                self.metrics.counter(&table::K8S_ASSOCIATION, &labels)
            })
        };
        let evaluated = self.associations.identifiers().chain([""]).map(counters).collect();
        K8sAttributes { enricher: Arc::clone(self), evaluated }
    }

    /// What is added for a pod, made once.
    fn prepared(&self, pod: &Pod) -> Arc<Prepared> {
        pod.kept(&self.slot, |pod| self.recipe.prepare(pod))
    }

    fn find(&self, attributes: &AttributeEditor<'_>, peer: Option<IpAddr>, directory: &Directory) -> Found {
        let is = |pod: &Pod, name: &str, value: &str| self.prepared(pod).searched(name) == Some(value);
        self.associations.find(attributes, peer, directory, &is)
    }

    /// Adds what there is to a resource; says whether a pod was found and by which association.
    fn enrich(
        &self,
        attributes: &mut AttributeEditor<'_>,
        peer: Option<IpAddr>,
        directory: &Directory,
    ) -> (bool, Option<usize>) {
        let found = self.find(attributes, peer, directory);
        let prepared = found.pod.as_deref().map(|pod| self.prepared(pod));
        let ignored = prepared.as_ref().is_some_and(|prepared| prepared.ignored);
        let pod = found.pod.as_deref().filter(|_| !ignored);
        if let Some(address) = found.address.filter(|_| self.recipe.fields.has(Field::PodIp))
            && pod.is_none_or(|pod| pod.addresses.first() != Some(&address))
        {
            attributes.set(Action::Fill, Field::PodIp.as_str(), &Value::Str(address.to_string()));
        }
        match (pod, prepared) {
            (Some(pod), Some(prepared)) => {
                self.look_for_mismatch(pod, peer, directory);
                prepared.apply(attributes);
                self.add_cluster(attributes, directory);
            }
            _ => {
                if !ignored {
                    self.miss(&found, peer, directory);
                }
                self.add_by_names(attributes, directory);
            }
        }
        (pod.is_some(), found.by)
    }

    /// The address that it came from is another pod's than the attributes say: a gateway, or a mistake.
    fn look_for_mismatch(&self, pod: &Pod, peer: Option<IpAddr>, directory: &Directory) {
        let Some(peer) = peer.filter(|peer| !pod.addresses.contains(peer)) else { return };
        if directory.by_address(peer).is_some() {
            self.mismatches.add(1);
        }
    }

    fn add_cluster(&self, attributes: &mut AttributeEditor<'_>, directory: &Directory) {
        if !self.recipe.fields.has(Field::ClusterUid) {
            return;
        }
        if self.cluster.get().is_none()
            && let Some(uid) = directory.cluster_uid()
        {
            let mut edits = Edits::new();
            edits.set(Action::Fill, Field::ClusterUid.as_str(), &(&*uid).into());
            let _ = self.cluster.set(edits);
        }
        if let Some(edits) = self.cluster.get() {
            attributes.apply(edits);
        }
    }

    fn miss(&self, found: &Found, peer: Option<IpAddr>, directory: &Directory) {
        let reason = match (found.by, peer) {
            (None, _) => Reason::NoIdentifier,
            (Some(_), Some(peer)) if found.connection_missed.is_some() => Reason::of_address(peer, directory),
            (Some(_), _) if !directory.synced() => Reason::NotSynced,
            (Some(_), _) => Reason::NoSuchPod,
        };
        self.misses.add(found.connection_missed.or(found.by), peer, reason);
    }

    /// Without a pod, what is known of the namespace, the node and the controllers that the resource itself names.
    fn add_by_names(&self, attributes: &mut AttributeEditor<'_>, directory: &Directory) {
        let mut edits = Edits::new();
        let text = |key: &str| attributes.get(key).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
        if let Some(name) = text("k8s.namespace.name") {
            self.recipe.add_namespace(name, directory.namespace(name).as_deref(), &mut edits);
        }
        if let Some(name) = text("k8s.node.name") {
            self.recipe.add_node(directory.node(name).as_deref(), &mut edits);
        }
        for (from, key) in CONTROLLERS {
            if self.recipe.rules.have(from)
                && let Some(uid) = text(key)
            {
                let owner = |pod: &Pod| {
                    let of_kind = recipe::owners(pod).into_iter().find(|(kind, _)| *kind == from);
                    let owner = of_kind.and_then(|(_, owner)| owner);
                    owner.filter(|owner| owner.uid.as_deref() == Some(uid)).and_then(|owner| owner.object.clone())
                };
                let object = directory.find(&|pod| owner(pod).is_some()).and_then(|pod| owner(&pod));
                self.recipe.add_object(from, object.as_deref(), &mut edits);
            }
        }
        if !edits.is_empty() {
            attributes.apply(&edits);
        }
    }

    /// Only the address that data came from, for a gateway that knows the pods.
    fn pass_through(&self, batch: &Batch, peer: Option<IpAddr>) -> wire::Chain {
        wire::edit(batch.signal, &batch.body, Level::Resource, &mut |attributes| {
            if let Some(address) = self.associations.address(attributes, peer) {
                attributes.set(Action::Fill, Field::PodIp.as_str(), &Value::Str(address.to_string()));
            }
        })
    }
}

/// The attributes that name what a pod belongs to.
const CONTROLLERS: [(From, &str); 6] = [
    (From::Deployment, "k8s.deployment.uid"),
    (From::ReplicaSet, "k8s.replicaset.uid"),
    (From::StatefulSet, "k8s.statefulset.uid"),
    (From::DaemonSet, "k8s.daemonset.uid"),
    (From::Job, "k8s.job.uid"),
    (From::CronJob, "k8s.cronjob.uid"),
];

impl K8sAttributes {
    fn peer(batch: &Batch) -> Option<IpAddr> {
        batch.origin.peer.map(|peer| plain(peer.ip()))
    }

    fn count(&self, (found, by): (bool, Option<usize>)) {
        let counters = by.and_then(|index| self.evaluated.get(index)).or(self.evaluated.last());
        if let Some([success, error]) = counters {
            if found { success.add(1) } else { error.add(1) }
        }
    }
}

impl Process for K8sAttributes {
    fn wait(&self, batch: &Batch) -> Option<Wait<'_>> {
        let directory = self.enricher.directory.as_ref()?;
        let peer = Self::peer(batch)?;
        if !self.enricher.waiting.may(peer, directory) {
            return None;
        }
        // Rare from here on. Does a resource of it need that pod?
        let mut needed = false;
        let _unchanged = wire::edit(batch.signal, &batch.body, Level::Resource, &mut |attributes| {
            let found = self.enricher.find(attributes, Some(peer), directory);
            needed |= found.pod.is_none() && found.by.is_some();
        });
        if !needed {
            return None;
        }
        self.enricher.waiting.wait(peer, directory)
    }

    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected> {
        let peer = Self::peer(&batch);
        let body = match &self.enricher.directory {
            None => self.enricher.pass_through(&batch, peer),
            Some(directory) => wire::edit(batch.signal, &batch.body, Level::Resource, &mut |attributes| {
                self.count(self.enricher.enrich(attributes, peer, directory));
            }),
        };
        batch.with_body(body).map(Some)
    }
}

impl std::fmt::Debug for Enricher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enricher({})", self.id)
    }
}

#[cfg(test)]
mod tests;
