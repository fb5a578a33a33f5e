//! What of the cluster somebody wants to know, and what that takes.

use super::kept::Keys;
use super::right::Right;
use super::source::{Feed, Source};

/// What of the cluster somebody wants to know. A directory serves all of its users, so it wants what any of them wants;
/// what nobody wants is neither read nor kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interest {
    /// Labels of pods.
    pub pod_labels: Keys,
    /// Annotations of pods.
    pub pod_annotations: Keys,
    /// The namespaces that pods here are in.
    pub namespaces: Option<ObjectInterest>,
    /// This node.
    pub nodes: Option<ObjectInterest>,
    /// The ReplicaSets of pods here, and with them the Deployments' UIDs.
    pub replicasets: Option<ObjectInterest>,
    /// The Deployments of pods here.
    pub deployments: Option<ObjectInterest>,
    /// The StatefulSets of pods here.
    pub statefulsets: Option<ObjectInterest>,
    /// The DaemonSets of pods here.
    pub daemonsets: Option<ObjectInterest>,
    /// The Jobs of pods here, and with them the CronJobs' UIDs.
    pub jobs: Option<ObjectInterest>,
    /// The CronJobs of pods here.
    pub cronjobs: Option<ObjectInterest>,
    /// The UID of the namespace `kube-system`, which stands for the cluster.
    pub cluster_uid: bool,
}

/// What is wanted of a namespace, node or controller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectInterest {
    /// Labels.
    pub labels: Keys,
    /// Annotations.
    pub annotations: Keys,
    /// Its UID.
    pub uid: bool,
}

/// A kind of object that pods have to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Namespace
    Namespace,
    /// Node
    Node,
    /// ReplicaSet
    ReplicaSet,
    /// Deployment
    Deployment,
    /// StatefulSet
    StatefulSet,
    /// DaemonSet
    DaemonSet,
    /// Job
    Job,
    /// CronJob
    CronJob,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::Namespace,
        Kind::Node,
        Kind::ReplicaSet,
        Kind::Deployment,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::Job,
        Kind::CronJob,
    ];

    /// Its name in objects.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Namespace => "Namespace",
            Kind::Node => "Node",
            Kind::ReplicaSet => "ReplicaSet",
            Kind::Deployment => "Deployment",
            Kind::StatefulSet => "StatefulSet",
            Kind::DaemonSet => "DaemonSet",
            Kind::Job => "Job",
            Kind::CronJob => "CronJob",
        }
    }

    /// Its name in addresses of the API.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Kind::Namespace => "namespaces",
            Kind::Node => "nodes",
            Kind::ReplicaSet => "replicasets",
            Kind::Deployment => "deployments",
            Kind::StatefulSet => "statefulsets",
            Kind::DaemonSet => "daemonsets",
            Kind::Job => "jobs",
            Kind::CronJob => "cronjobs",
        }
    }

    /// Its API group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Kind::Namespace | Kind::Node => "",
            Kind::ReplicaSet | Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet => "apps",
            Kind::Job | Kind::CronJob => "batch",
        }
    }

    /// Whether it is in a namespace.
    #[must_use]
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Kind::Namespace | Kind::Node)
    }

    fn why(self) -> &'static str {
        match self {
            Kind::Namespace => "labels and annotations of the namespaces that pods here are in",
            Kind::Node => "UID, labels and annotations of this node",
            Kind::ReplicaSet => "UIDs of Deployments, labels and annotations of ReplicaSets",
            Kind::Deployment => "labels and annotations of Deployments",
            Kind::StatefulSet => "labels and annotations of StatefulSets",
            Kind::DaemonSet => "labels and annotations of DaemonSets",
            Kind::Job => "UIDs of CronJobs, labels and annotations of Jobs",
            Kind::CronJob => "labels and annotations of CronJobs",
        }
    }

    /// The permission to read one.
    #[must_use]
    pub(super) fn right(self, namespace: Option<&str>) -> Right {
        Right {
            group: self.group(),
            resource: self.resource(),
            verbs: &["get"],
            name: None,
            namespace: namespace.filter(|_| self.is_namespaced()).map(Into::into),
            why: self.why(),
        }
    }
}

impl Interest {
    /// What both want.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let both = |one: Option<ObjectInterest>, other: Option<ObjectInterest>| match (one, other) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
        Self {
            pod_labels: self.pod_labels.and(other.pod_labels),
            pod_annotations: self.pod_annotations.and(other.pod_annotations),
            namespaces: both(self.namespaces, other.namespaces),
            nodes: both(self.nodes, other.nodes),
            replicasets: both(self.replicasets, other.replicasets),
            deployments: both(self.deployments, other.deployments),
            statefulsets: both(self.statefulsets, other.statefulsets),
            daemonsets: both(self.daemonsets, other.daemonsets),
            jobs: both(self.jobs, other.jobs),
            cronjobs: both(self.cronjobs, other.cronjobs),
            cluster_uid: self.cluster_uid || other.cluster_uid,
        }
    }

    /// What is wanted of a kind of objects.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&ObjectInterest> {
        match kind {
            Kind::Namespace => self.namespaces.as_ref(),
            Kind::Node => self.nodes.as_ref(),
            Kind::ReplicaSet => self.replicasets.as_ref(),
            Kind::Deployment => self.deployments.as_ref(),
            Kind::StatefulSet => self.statefulsets.as_ref(),
            Kind::DaemonSet => self.daemonsets.as_ref(),
            Kind::Job => self.jobs.as_ref(),
            Kind::CronJob => self.cronjobs.as_ref(),
        }
    }

    /// The permissions that it takes to learn this from a source, and no more.
    #[must_use]
    pub fn rights(&self, source: &Source) -> Vec<Right> {
        let namespace = source.filter.namespace.as_deref();
        let mut rights: Vec<Right> = match &source.feed {
            Feed::Api { .. } => vec![Right::pods(namespace)],
            Feed::Kubelet(_) => vec![Right::KUBELET_PODS],
            Feed::File(_) => return Vec::new(),
        };
        let kinds = Kind::ALL.into_iter().filter(|kind| self.of(*kind).is_some());
        rights.extend(kinds.map(|kind| kind.right(namespace)));
        if self.cluster_uid && self.namespaces.is_none() {
            rights.push(Right::CLUSTER_UID);
        }
        rights
    }
}

impl ObjectInterest {
    /// What both want.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            labels: self.labels.and(other.labels),
            annotations: self.annotations.and(other.annotations),
            uid: self.uid || other.uid,
        }
    }
}
