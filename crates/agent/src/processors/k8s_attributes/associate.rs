//! Which pod a resource is about: by the address that it came from, or by its attributes.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;
use wire::AttributeEditor;

use super::config::{self, Config};
use crate::kubernetes::{Directory, Pod, plain};

/// The ways to find a pod, in order.
#[derive(Debug)]
pub(super) struct Associations {
    list: Vec<Association>,
}

/// One way to find a pod: all of its sources must be there and agree.
#[derive(Debug)]
struct Association {
    sources: Vec<Source>,
    /// Its sources as the Collector names them in its metrics.
    identifier: String,
}

/// A fact by which a pod is found.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// The address of the connection.
    Connection,
    /// The value of an attribute.
    Attribute(Name),
}

#[derive(Debug, PartialEq, Eq)]
enum Name {
    Namespace,
    Pod,
    Uid,
    Container,
    /// An attribute that holds the address of the pod.
    Address(String),
    /// `host.name`, where it holds an address.
    Host,
    /// An attribute that is extracted, too.
    Extracted(String),
}

/// What a source says in one request.
#[derive(Clone, Copy, Debug)]
enum Fact<'a> {
    Address(IpAddr),
    Text(&'a str),
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The pod.
    pub(super) pod: Option<Arc<Pod>>,
    /// Which association it was found by, or the first one that might have found it; `None` if none applies.
    pub(super) by: Option<usize>,
    /// The address that this association took from the connection, or where there are no associations configured, from
    /// wherever it took it.
    pub(super) address: Option<IpAddr>,
    /// The association by which the address of the connection was looked up in vain.
    pub(super) connection_missed: Option<usize>,
}

impl Associations {
    /// Those of the settings; without any, the Collector's own order.
    pub(super) fn new(config: &Config) -> Associations {
        if config.pod_association.is_empty() {
            return Associations::built_in();
        }
        let list = config.pod_association.iter().map(Association::new).collect();
        Associations { list }
    }

    fn built_in() -> Associations {
        let one = |source: Source| Association { sources: vec![source], identifier: "connection".to_owned() };
        let attribute = |name: &str| Source::Attribute(Name::Address(name.to_owned()));
        let list = vec![
            one(attribute("k8s.pod.ip")),
            one(attribute("ip")),
            one(Source::Connection),
            one(Source::Attribute(Name::Host)),
        ];
        Associations { list }
    }

    /// How the Collector names each association in its metrics.
    pub(super) fn identifiers(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|association| association.identifier.as_str())
    }

    /// Attributes that pods are found by, beyond those that every pod has.
    pub(super) fn searched(&self) -> Vec<String> {
        let sources = self.list.iter().flat_map(|association| &association.sources);
        let extracted = sources.filter_map(|source| match source {
            Source::Attribute(Name::Extracted(name)) => Some(name.clone()),
            _ => None,
        });
        extracted.collect()
    }

    /// The address that a gateway is to find the pod by; `None` if no association applies or it does not use one.
    pub(super) fn address(&self, attributes: &AttributeEditor<'_>, peer: Option<IpAddr>) -> Option<IpAddr> {
        self.list.iter().find_map(|association| {
            let facts = association.facts(attributes, peer)?;
            Some(association.address(&facts))
        })?
    }

    /// Finds the pod. An association whose sources are there but lead to no pod is passed over for the next.
    /// `is` says whether a pod has a value for an extracted attribute.
    pub(super) fn find(
        &self,
        attributes: &AttributeEditor<'_>,
        peer: Option<IpAddr>,
        directory: &Directory,
        is: &dyn Fn(&Pod, &str, &str) -> bool,
    ) -> Found {
        let mut found = Found::default();
        for (index, association) in self.list.iter().enumerate() {
            let Some(facts) = association.facts(attributes, peer) else { continue };
            let pod = association.look_up(&facts, directory, is);
            if pod.is_some() {
                let address = association.address(&facts);
                return Found { pod, by: Some(index), address, connection_missed: found.connection_missed };
            }
            if association.uses_connection() {
                found.connection_missed = Some(index);
            }
            if found.by.is_none() {
                found.by = Some(index);
                found.address = association.address(&facts);
            }
        }
        found
    }
}

impl Association {
    fn new(config: &config::Association) -> Association {
        let sources = config.sources.iter().map(|source| match (source.from.as_str(), source.name.as_str()) {
            ("connection", _) => Source::Connection,
            (_, "k8s.namespace.name") => Source::Attribute(Name::Namespace),
            (_, "k8s.pod.name") => Source::Attribute(Name::Pod),
            (_, "k8s.pod.uid") => Source::Attribute(Name::Uid),
            (_, "container.id") => Source::Attribute(Name::Container),
            (_, "k8s.pod.ip") => Source::Attribute(Name::Address("k8s.pod.ip".to_owned())),
            (_, "host.name") => Source::Attribute(Name::Host),
            (_, other) => Source::Attribute(Name::Extracted(other.to_owned())),
        });
        let identifier = config.sources.iter().map(|source| match source.from.as_str() {
            "connection" => "connection".to_owned(),
            from => format!("{from}/{}", source.name),
        });
        Association { identifier: identifier.collect::<Vec<_>>().join("+"), sources: sources.collect() }
    }

    fn uses_connection(&self) -> bool {
        self.sources.contains(&Source::Connection)
    }

    /// What its sources say; `None` if one of them says nothing.
    fn facts<'a>(&self, attributes: &'a AttributeEditor<'_>, peer: Option<IpAddr>) -> Option<SmallVec<[Fact<'a>; 4]>> {
        self.sources.iter().map(|source| source.fact(attributes, peer)).collect()
    }

    /// The address that `k8s.pod.ip` is set to when this association is used: the Collector sets it when it was taken
    /// from the connection, and its built-in order counts as that.
    fn address(&self, facts: &[Fact<'_>]) -> Option<IpAddr> {
        let built_in = self.identifier == "connection";
        self.sources.iter().zip(facts).find_map(|(source, fact)| match fact {
            Fact::Address(address) if built_in || *source == Source::Connection => Some(*address),
            _ => None,
        })
    }

    fn look_up(
        &self,
        facts: &[Fact<'_>],
        directory: &Directory,
        is: &dyn Fn(&Pod, &str, &str) -> bool,
    ) -> Option<Arc<Pod>> {
        let agrees = |pod: &Pod| self.sources.iter().zip(facts).all(|(source, fact)| source.agrees(fact, pod, is));
        let candidate = match self.quick(facts, directory) {
            Some(candidate) => candidate,
            None => directory.find(&agrees),
        };
        candidate.filter(|pod| agrees(pod))
    }

    /// The one pod that it can be, looked up by the fact that tells most; the outer `None` if all have to be looked at.
    fn quick(&self, facts: &[Fact<'_>], directory: &Directory) -> Option<Option<Arc<Pod>>> {
        let text = |name: &Name| {
            let mut pairs = self.sources.iter().zip(facts);
            pairs.find_map(|(source, fact)| match (source, fact) {
                (Source::Attribute(known), Fact::Text(text)) if known == name => Some(*text),
                _ => None,
            })
        };
        let address = facts.iter().find_map(|fact| match fact {
            Fact::Address(address) => Some(*address),
            Fact::Text(_) => None,
        });
        if let Some(uid) = text(&Name::Uid) {
            return Some(directory.by_uid(uid));
        }
        if let Some(address) = address {
            return Some(directory.by_address(address));
        }
        if let Some(id) = text(&Name::Container) {
            return Some(directory.by_container(id));
        }
        match (text(&Name::Namespace), text(&Name::Pod)) {
            (Some(namespace), Some(name)) => Some(directory.by_name(namespace, name)),
            _ if facts.is_empty() => Some(None),
            _ => None,
        }
    }
}

impl Source {
    fn fact<'a>(&self, attributes: &'a AttributeEditor<'_>, peer: Option<IpAddr>) -> Option<Fact<'a>> {
        let text = |name: &str| attributes.get(name).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
        let address = |text: &str| text.parse().ok().map(plain).map(Fact::Address);
        match self {
            Source::Connection => peer.map(Fact::Address),
            Source::Attribute(Name::Host) => address(text("host.name")?),
            Source::Attribute(Name::Address(name)) => {
                let text = text(name)?;
                Some(address(text).unwrap_or(Fact::Text(text)))
            }
            Source::Attribute(name) => text(name.as_str()).map(Fact::Text),
        }
    }

    fn agrees(&self, fact: &Fact<'_>, pod: &Pod, is: &dyn Fn(&Pod, &str, &str) -> bool) -> bool {
        let text = match fact {
            // All pods on the host's network share their address.
            Fact::Address(address) => return !pod.host_network && pod.addresses.contains(address),
            Fact::Text(text) => *text,
        };
        match self {
            Source::Attribute(Name::Namespace) => *pod.namespace == *text,
            Source::Attribute(Name::Pod) => *pod.name == *text,
            Source::Attribute(Name::Uid) => *pod.uid == *text,
            Source::Attribute(Name::Container) => {
                let mut instances = pod.containers.iter().flat_map(|container| &container.instances);
                instances.any(|instance| *instance.id == *text)
            }
            Source::Attribute(Name::Extracted(name)) => is(pod, name, text),
            Source::Connection | Source::Attribute(Name::Address(_) | Name::Host) => false,
        }
    }
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Name::Namespace => "k8s.namespace.name",
            Name::Pod => "k8s.pod.name",
            Name::Uid => "k8s.pod.uid",
            Name::Container => "container.id",
            Name::Host => "host.name",
            Name::Address(name) | Name::Extracted(name) => name,
        }
    }
}
