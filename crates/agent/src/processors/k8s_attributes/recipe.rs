//! What is added for a pod: its attributes, in the order in which they are set, encoded once.

use regex::Regex;
use smallvec::SmallVec;
use wire::{Action, AttributeEditor, Edits, Value, view::AnyValue};

use super::config::Config;
use super::fields::{Field, Fields};
use super::image::Image;
use super::rules::{From, Kind, Rules};
use super::sources::{NAME_LABELS, VERSION_LABEL};
use crate::kubernetes::{Container, ContainerKind, Object, Owner, Pod};

/// How attributes are made from a pod.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) fields: Fields,
    pub(super) rules: Rules,
    /// Names of pods that nothing is added for.
    excluded: Vec<Regex>,
    /// Attributes that pods are found by, beyond those that every pod has.
    searched: Vec<String>,
}

/// The attributes of one pod, ready to be put into requests.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Nothing is to be added for it.
    pub(super) ignored: bool,
    /// Its own.
    own: Edits,
    containers: Box<[PreparedContainer]>,
    /// The one that is meant when the resource names none.
    sole: Option<usize>,
    /// Those of what it belongs to.
    around: Edits,
    /// Attributes that pods are found by, with their values.
    searched: Box<[(Box<str>, Box<str>)]>,
}

#[derive(Debug)]
struct PreparedContainer {
    name: Box<str>,
    edits: Edits,
    instances: SmallVec<[PreparedInstance; 1]>,
}

/// One life of a container.
#[derive(Debug)]
struct PreparedInstance {
    restart_count: u32,
    id: Box<str>,
    edits: Edits,
}

/// Attributes by name; a later one takes the place of an earlier one.
#[derive(Debug, Default)]
struct Attributes(Vec<(String, String)>);

const FIELDS_OF_CONTAINERS: [Field; 7] = [
    Field::ContainerName,
    Field::ContainerId,
    Field::ContainerImageName,
    Field::ContainerImageTags,
    Field::ContainerImageRepoDigests,
    Field::ServiceVersion,
    Field::ServiceInstanceId,
];

impl Recipe {
    /// Makes the settings ready; reading them has checked them. `searched` are names of attributes that pods are found by.
    pub(super) fn new(config: &Config, searched: Vec<String>) -> Recipe {
        let mut excluded = config.exclude.pods.clone();
        if excluded.is_empty() {
            excluded = super::config::Exclude::default().pods;
        }
        Recipe {
            fields: Fields::named(&config.extract.metadata),
            rules: Rules::new(&config.extract),
            excluded: excluded.iter().filter_map(|pod| Regex::new(&pod.name).ok()).collect(),
            searched,
        }
    }

    /// Everything that is added for a pod.
    pub(super) fn prepare(&self, pod: &Pod) -> Prepared {
        if pod.ignored || self.excluded.iter().any(|name| name.is_match(&pod.name)) {
            return Prepared { ignored: true, ..Prepared::default() };
        }
        let own = self.own(pod);
        let wanted = |(name, _): &&(String, String)| self.searched.contains(name);
        let searched = own.0.iter().filter(wanted).map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let containers: Box<[PreparedContainer]> = match self.fields.has_any(&FIELDS_OF_CONTAINERS) {
            true => pod.containers.iter().map(|container| self.container(pod, container)).collect(),
            false => Box::default(),
        };
        Prepared {
            ignored: false,
            searched: searched.collect(),
            own: own.edits(),
            sole: if containers.is_empty() { None } else { sole(&pod.containers) },
            containers,
            around: self.around(pod),
        }
    }

    fn own(&self, pod: &Pod) -> Attributes {
        let mut all = Attributes::default();
        let has = |field| self.fields.has(field);
        let mut put = |field: Field, value: &str| {
            if has(field) {
                all.put(field.as_str(), value);
            }
        };
        put(Field::PodName, &pod.name);
        put(Field::ServiceName, &pod.name);
        put(Field::PodHostname, pod.hostname.as_deref().unwrap_or_default());
        if has(Field::PodIp) {
            put(Field::PodIp, &pod.addresses.first().map(ToString::to_string).unwrap_or_default());
        }
        put(Field::NamespaceName, &pod.namespace);
        put(Field::ServiceNamespace, &pod.namespace);
        if !pod.created.is_empty() {
            put(Field::PodStartTime, &pod.created);
        }
        put(Field::PodUid, &pod.uid);
        let owners = &pod.owners;
        // What stands higher wins as the name of the service.
        for (owner, name, uid) in [
            (&owners.replicaset, Field::ReplicaSetName, Field::ReplicaSetUid),
            (&owners.deployment, Field::DeploymentName, Field::DeploymentUid),
            (&owners.daemonset, Field::DaemonSetName, Field::DaemonSetUid),
            (&owners.statefulset, Field::StatefulSetName, Field::StatefulSetUid),
            (&owners.job, Field::JobName, Field::JobUid),
            (&owners.cronjob, Field::CronJobName, Field::CronJobUid),
        ] {
            let Some(owner) = owner else { continue };
            put(name, &owner.name);
            put(Field::ServiceName, &owner.name);
            if let Some(value) = &owner.uid {
                put(uid, value);
            }
        }
        put(Field::NodeName, pod.node.as_deref().unwrap_or_default());
        self.rules.apply(Kind::Label, From::Pod, &pod.labels, &mut |name, value| all.put(name, value));
        for (field, labels) in [(Field::ServiceName, &NAME_LABELS[..]), (Field::ServiceVersion, &[VERSION_LABEL][..])] {
            for value in labels.iter().filter_map(|label| pod.labels.get(label)).filter(|_| has(field)) {
                all.put(field.as_str(), value);
            }
        }
        // After the labels, so that what somebody wrote for OpenTelemetry wins.
        self.rules.apply(Kind::Annotation, From::Pod, &pod.annotations, &mut |name, value| all.put(name, value));
        all
    }

    fn container(&self, pod: &Pod, container: &Container) -> PreparedContainer {
        let mut edits = Edits::new();
        let mut put = |action: Action, field: Field, value: Value| {
            if self.fields.has(field) {
                edits.set(action, field.as_str(), &value);
            }
        };
        let image = Image::parse(&container.image);
        put(Action::Fill, Field::ContainerName, (&*container.name).into());
        if let Some(image) = &image {
            put(Action::Fill, Field::ContainerImageName, image.name.into());
            let tag = image.tag.unwrap_or("latest");
            put(Action::Insert, Field::ContainerImageTags, Value::Array(vec![tag.into()]));
        }
        let instance = format!("{}.{}.{}", pod.namespace, pod.name, container.name);
        put(Action::Fill, Field::ServiceInstanceId, instance.into());
        if let Some(version) = image.and_then(|image| image.version()) {
            put(Action::Fill, Field::ServiceVersion, version.into());
        }
        let instances = container.instances.iter().map(|instance| {
            let mut edits = Edits::new();
            if self.fields.has(Field::ContainerId) && !instance.id.is_empty() {
                edits.insert(Field::ContainerId.as_str(), &(&*instance.id).into());
            }
            if self.fields.has(Field::ContainerImageRepoDigests)
                && let Some(digest) = Image::canonical(&instance.image_id)
            {
                let digests = Value::Array(vec![digest.into()]);
                edits.insert(Field::ContainerImageRepoDigests.as_str(), &digests);
            }
            PreparedInstance { restart_count: instance.restart_count, id: (&*instance.id).into(), edits }
        });
        PreparedContainer { name: (&*container.name).into(), instances: instances.collect(), edits }
    }

    fn around(&self, pod: &Pod) -> Edits {
        let mut edits = Edits::new();
        self.add_namespace(&pod.namespace, pod.namespace_object.as_deref(), &mut edits);
        self.add_node(pod.node_object.as_deref(), &mut edits);
        for (from, owner) in owners(pod) {
            self.add_object(from, owner.and_then(|owner| owner.object.as_deref()), &mut edits);
        }
        edits
    }

    /// What is added for a namespace, of which nothing but the name need be known.
    pub(super) fn add_namespace(&self, name: &str, namespace: Option<&Object>, edits: &mut Edits) {
        self.add_object(From::Namespace, namespace, edits);
        if self.fields.has(Field::ServiceNamespace) {
            edits.set(Action::Fill, Field::ServiceNamespace.as_str(), &name.into());
        }
    }

    /// What is added for a node.
    pub(super) fn add_node(&self, node: Option<&Object>, edits: &mut Edits) {
        self.add_object(From::Node, node, edits);
        if let Some(node) = node.filter(|node| self.fields.has(Field::NodeUid) && !node.uid.is_empty()) {
            edits.set(Action::Fill, Field::NodeUid.as_str(), &(&*node.uid).into());
        }
    }

    /// What labels and annotations of an object add.
    pub(super) fn add_object(&self, from: From, object: Option<&Object>, edits: &mut Edits) {
        let Some(object) = object else { return };
        let mut all = Attributes::default();
        self.rules.apply(Kind::Label, from, &object.labels, &mut |name, value| all.put(name, value));
        self.rules.apply(Kind::Annotation, from, &object.annotations, &mut |name, value| all.put(name, value));
        all.add_to(edits);
    }
}

/// What a pod belongs to, in the order in which it is looked at.
pub(super) fn owners(pod: &Pod) -> [(From, Option<&Owner>); 6] {
    let owners = &pod.owners;
    [
        (From::Deployment, owners.deployment.as_ref()),
        (From::ReplicaSet, owners.replicaset.as_ref()),
        (From::StatefulSet, owners.statefulset.as_ref()),
        (From::DaemonSet, owners.daemonset.as_ref()),
        (From::Job, owners.job.as_ref()),
        (From::CronJob, owners.cronjob.as_ref()),
    ]
}

/// The container that is meant when none is named: the only one that has ever run, or else the only one. One that was
/// added to look at the pod is never meant.
fn sole(containers: &[Container]) -> Option<usize> {
    let own = || containers.iter().enumerate().filter(|(_, container)| container.kind != ContainerKind::Ephemeral);
    let only = |mut some: Box<dyn Iterator<Item = (usize, &Container)> + '_>| match (some.next(), some.next()) {
        (Some((index, _)), None) => Some(index),
        _ => None,
    };
    only(Box::new(own().filter(|(_, container)| !container.instances.is_empty()))).or_else(|| only(Box::new(own())))
}

impl Prepared {
    /// Adds everything to a resource.
    pub(super) fn apply(&self, attributes: &mut AttributeEditor<'_>) {
        attributes.apply(&self.own);
        if let Some(container) = self.container(attributes) {
            attributes.apply(&container.edits);
            if let Some(instance) = container.instance(attributes) {
                attributes.apply(&instance.edits);
            }
        }
        if !self.around.is_empty() {
            attributes.apply(&self.around);
        }
    }

    /// The value of an attribute that pods are found by.
    pub(super) fn searched(&self, name: &str) -> Option<&str> {
        self.searched.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    /// The container that the resource is about.
    fn container(&self, attributes: &AttributeEditor<'_>) -> Option<&PreparedContainer> {
        if self.containers.is_empty() {
            return None;
        }
        let text = |key: &str| attributes.get(key).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
        if let Some(name) = text("k8s.container.name") {
            return self.containers.iter().find(|container| *container.name == *name);
        }
        if let Some(id) = text("container.id") {
            let runs = |container: &&PreparedContainer| container.instances.iter().any(|instance| *instance.id == *id);
            return self.containers.iter().find(runs);
        }
        self.containers.get(self.sole?)
    }
}

impl PreparedContainer {
    /// The life of it that the resource is about: the one it names, or else the present one.
    fn instance(&self, attributes: &AttributeEditor<'_>) -> Option<&PreparedInstance> {
        let restarts = match attributes.get("k8s.container.restart_count") {
            None => return self.instances.iter().max_by_key(|instance| instance.restart_count),
            Some(AnyValue::Int(number)) => u32::try_from(number).ok()?,
            Some(AnyValue::Str(text)) => text.parse().ok()?,
            Some(_) => return None,
        };
        self.instances.iter().find(|instance| instance.restart_count == restarts)
    }
}

impl Attributes {
    fn put(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    fn edits(&self) -> Edits {
        let mut edits = Edits::new();
        self.add_to(&mut edits);
        edits
    }

    fn add_to(&self, edits: &mut Edits) {
        for (name, value) in &self.0 {
            edits.set(Action::Fill, name, &value.as_str().into());
        }
    }
}
