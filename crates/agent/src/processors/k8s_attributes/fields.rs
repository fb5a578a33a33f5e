//! The attributes that `extract::metadata` may list.

use crate::settings::words;

words! {
    /// An attribute that can be added.
    pub enum Field {
        /// UID of the namespace `kube-system`.
        ClusterUid = "k8s.cluster.uid",
        /// Its id, without the name of the runtime.
        ContainerId = "container.id",
        /// As in the pod's spec, without tag and digest.
        ContainerImageName = "container.image.name",
        /// As the container's status has them.
        ContainerImageRepoDigests = "container.image.repo_digests",
        /// What `container.image.tags` was called; it is not added any more.
        ContainerImageTag = "container.image.tag",
        /// A list with the tag, `latest` if there is none.
        ContainerImageTags = "container.image.tags",
        /// The container.
        ContainerName = "k8s.container.name",
        /// The cron job that the pod's job is of.
        CronJobName = "k8s.cronjob.name",
        /// Its UID.
        CronJobUid = "k8s.cronjob.uid",
        /// The daemon set that the pod is of.
        DaemonSetName = "k8s.daemonset.name",
        /// Its UID.
        DaemonSetUid = "k8s.daemonset.uid",
        /// The deployment that the pod's replica set is of.
        DeploymentName = "k8s.deployment.name",
        /// Its UID.
        DeploymentUid = "k8s.deployment.uid",
        /// The job that the pod is of.
        JobName = "k8s.job.name",
        /// Its UID.
        JobUid = "k8s.job.uid",
        /// The pod's namespace.
        NamespaceName = "k8s.namespace.name",
        /// The node that the pod runs on.
        NodeName = "k8s.node.name",
        /// Its UID.
        NodeUid = "k8s.node.uid",
        /// The host name that the pod's spec gives it, which may be empty.
        PodHostname = "k8s.pod.hostname",
        /// Its address.
        PodIp = "k8s.pod.ip",
        /// Its name.
        PodName = "k8s.pod.name",
        /// When it was made.
        PodStartTime = "k8s.pod.start_time",
        /// Its UID.
        PodUid = "k8s.pod.uid",
        /// The replica set that the pod is of.
        ReplicaSetName = "k8s.replicaset.name",
        /// Its UID.
        ReplicaSetUid = "k8s.replicaset.uid",
        /// Namespace, pod and container.
        ServiceInstanceId = "service.instance.id",
        /// A well-known label, or the name of what made the pod.
        ServiceName = "service.name",
        /// The namespace.
        ServiceNamespace = "service.namespace",
        /// A well-known label, or tag and digest of the image.
        ServiceVersion = "service.version",
        /// The stateful set that the pod is of.
        StatefulSetName = "k8s.statefulset.name",
        /// Its UID.
        StatefulSetUid = "k8s.statefulset.uid",
    }
}

impl Field {
    /// Those that are added when nothing is listed.
    pub const DEFAULT: [Field; 8] = [
        Field::ContainerImageName,
        Field::ContainerImageTags,
        Field::DeploymentName,
        Field::NamespaceName,
        Field::NodeName,
        Field::PodName,
        Field::PodStartTime,
        Field::PodUid,
    ];

    /// The field with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Field> {
        Field::WORDS.iter().find(|(word, _)| *word == text).map(|(_, field)| *field)
    }
}

/// Some of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields(u64);

impl Fields {
    /// Those with these names; others are left out.
    #[must_use]
    pub fn named(names: &[String]) -> Fields {
        names.iter().filter_map(|name| Field::parse(name)).collect()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(self, field: Field) -> bool {
        self.0 & bit(field) != 0
    }

    /// Whether one of these is one of them.
    #[must_use]
    pub fn has_any(self, fields: &[Field]) -> bool {
        fields.iter().any(|field| self.has(*field))
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Fields {
        Fields(fields.into_iter().fold(0, |bits, field| bits | bit(field)))
    }
}

fn bit(field: Field) -> u64 {
    1 << (field as u8)
}
