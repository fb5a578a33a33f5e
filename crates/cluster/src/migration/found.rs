//! The collector that is there: its workload, its configuration, its Services, and who manages it.

use anyhow::{anyhow, bail};
use serde::Serialize;
use serde_json::Value;

use super::objects::{Objects, containers, list, map, name, namespace, template, text};
use super::{Support, Target};

/// A collector.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// `Deployment`, `DaemonSet`, `StatefulSet` or `OpenTelemetryCollector`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Where its configuration is from: `ConfigMap otel/collector, key relay`.
    pub config_from: String,
    /// The ConfigMap, if it is one.
    pub config_map: Option<String>,
    /// Its Services.
    pub services: Vec<Service>,
    /// Who made it, and would make it again.
    pub manager: Manager,
    /// Labels that select its pods.
    #[serde(skip)]
    pub selector: Vec<(String, String)>,
    /// Its configuration.
    #[serde(skip)]
    pub config: Value,
    /// Its pod template.
    #[serde(skip)]
    pub template: Value,
}

/// One Service in front of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its address; empty if it has none.
    pub cluster_ip: String,
    /// Its ports, with the port of the container behind each.
    pub ports: Vec<(u16, u16)>,
}

/// Who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "by")]
pub enum Manager {
    /// Somebody with `kubectl`, or something that leaves no sign.
    Plain,
    /// A release of Helm.
    Helm {
        /// Its name.
        release: String,
        /// Its namespace.
        namespace: String,
    },
    /// The OpenTelemetry Operator.
    Operator {
        /// The name of the `OpenTelemetryCollector`.
        name: String,
    },
}

impl Found {
    /// `deployment/collector -n otel`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{} -n {}", self.kind.to_lowercase(), self.name, self.namespace)
    }

    /// The container that is the collector.
    pub(super) fn container(&self) -> Option<&Value> {
        list(&self.template, "/spec/containers").iter().max_by_key(|container| likeness(container))
    }

    /// How long its `batch` processors may keep data, in seconds: what it took last is sent after that.
    #[must_use]
    pub fn longest_batch(&self) -> f64 {
        let processors = map(&self.config, "/processors").filter(|(id, _)| id.split('/').next() == Some("batch"));
        processors.map(|(_, settings)| seconds(text(settings, "/timeout"))).fold(0.0, f64::max)
    }
}

/// Finds it: by name, or the only one that looks like one. `config` is its text and where that is from, given by hand.
pub(super) fn find(
    objects: &Objects,
    from: Option<&str>,
    config: Option<(&str, &str)>,
    target: &Target,
    support: Support<'_>,
) -> anyhow::Result<Found> {
    let object = match from {
        Some(from) => named(objects, from)?,
        None => only(objects, target)?,
    };
    let template = template(object).cloned().unwrap_or(Value::Null);
    let mut found = Found {
        kind: text(object, "/kind").to_owned(),
        namespace: namespace(object).to_owned(),
        name: name(object).to_owned(),
        image: String::new(),
        config_from: String::new(),
        config_map: None,
        services: Vec::new(),
        manager: manager(object),
        selector: selector(object),
        config: Value::Null,
        template,
    };
    if let Some(container) = found.container() {
        found.image = text(container, "/image").to_owned();
    }
    let (text, place, config_map) = match config {
        Some((text, place)) => (text.to_owned(), place.to_owned(), None),
        None => super::source::configuration(objects, &found, object)?,
    };
    found.config = (support.read)(&text).map_err(|error| anyhow!("{place} is not YAML that can be read: {error}"))?;
    if !found.config.get("service").is_some_and(Value::is_object) {
        bail!("{place} is no configuration of a Collector: it has no `service`; give the right one with --config FILE");
    }
    (found.config_from, found.config_map) = (place, config_map);
    found.services = services(objects, &found);
    Ok(found)
}

fn named<'a>(objects: &'a Objects, from: &str) -> anyhow::Result<&'a Value> {
    let Some((namespace, name)) = from.split_once('/') else {
        bail!("`--from {from}`: write it as namespace/name, for instance `--from observability/otel-collector`");
    };
    let kinds = ["Deployment", "DaemonSet", "StatefulSet", "OpenTelemetryCollector"];
    let found = kinds.iter().find_map(|kind| objects.one(kind, namespace, name));
    found.ok_or_else(|| {
        let all: Vec<String> = candidates(objects).map(full_name).collect();
        let seen = if all.is_empty() {
            "none that looks like a collector was seen".to_owned()
        } else {
            format!("there is {}", all.join(", "))
        };
        let unseen =
            objects.unseen.first().map(|unseen| format!("; not everything was seen: {unseen}")).unwrap_or_default();
        anyhow!("there is no Deployment, DaemonSet, StatefulSet or OpenTelemetryCollector {from}; {seen}{unseen}")
    })
}

fn only<'a>(objects: &'a Objects, target: &Target) -> anyhow::Result<&'a Value> {
    let own = |object: &&Value| name(object) == target.name && namespace(object) == target.namespace;
    let all: Vec<&Value> = candidates(objects).filter(|object| !own(object)).collect();
    match all.as_slice() {
        [one] => Ok(one),
        [] => {
            let unseen =
                objects.unseen.first().map(|unseen| format!(" Not everything was seen: {unseen}.")).unwrap_or_default();
            bail!("nothing that looks like a Collector was found.{unseen} Name it with --from namespace/name")
        }
        several => {
            let names: Vec<String> = several.iter().map(|object| full_name(object)).collect();
            bail!("there are several Collectors; choose one with --from namespace/name: {}", names.join(", "))
        }
    }
}

/// What looks like a collector: workloads by their image or command; an Operator's object unless its workload is there too.
fn candidates(objects: &Objects) -> impl Iterator<Item = &Value> {
    objects.items.iter().filter(|object| match text(object, "/kind") {
        "Deployment" | "DaemonSet" | "StatefulSet" => template(object)
            .is_some_and(|template| list(template, "/spec/containers").iter().any(|one| likeness(one) > 0)),
        "OpenTelemetryCollector" => {
            let workload = format!("{}-collector", name(object));
            !objects.workloads().any(|(other, _)| namespace(other) == namespace(object) && name(other) == workload)
        }
        _ => false,
    })
}

/// How much a container looks like a collector.
fn likeness(container: &Value) -> u8 {
    let image = text(container, "/image").rsplit('/').next().unwrap_or_default().to_lowercase();
    let words = || list(container, "/command").iter().chain(list(container, "/args")).filter_map(Value::as_str);
    let collector = |word: &str| {
        word.contains("otelcol") || word.contains("opentelemetry-collector") || word.contains("otel-collector")
    };
    if collector(&image) || words().any(collector) {
        2
    } else {
        u8::from(image.contains("collector") && words().any(|word| word.starts_with("--config")))
    }
}

fn full_name(object: &Value) -> String {
    format!("{}/{} ({})", namespace(object), name(object), text(object, "/kind"))
}

fn manager(object: &Value) -> Manager {
    let release = text(object, "/metadata/annotations/meta.helm.sh~1release-name");
    if !release.is_empty() {
        let namespace = text(object, "/metadata/annotations/meta.helm.sh~1release-namespace").to_owned();
        return Manager::Helm { release: release.to_owned(), namespace };
    }
    if text(object, "/kind") == "OpenTelemetryCollector" {
        return Manager::Operator { name: name(object).to_owned() };
    }
    let owners = list(object, "/metadata/ownerReferences");
    match owners.iter().find(|owner| text(owner, "/kind") == "OpenTelemetryCollector") {
        Some(owner) => Manager::Operator { name: text(owner, "/name").to_owned() },
        None => Manager::Plain,
    }
}

fn services(objects: &Objects, found: &Found) -> Vec<Service> {
    let labels = pairs(&found.template, "/metadata/labels");
    let selects = |service: &&Value| {
        let mut selector = map(service, "/spec/selector").peekable();
        namespace(service) == found.namespace
            && selector.peek().is_some()
            && selector.all(|(key, value)| {
                labels.iter().any(|(own, text)| own == key && Some(text.as_str()) == value.as_str())
            })
    };
    let mut services: Vec<Service> =
        objects.of_kind("Service").filter(selects).map(|service| read_service(service, found)).collect();
    // The Operator makes these, but files do not have them.
    if services.is_empty()
        && let Manager::Operator { name } = &found.manager
    {
        let ports = vec![(4317, 4317), (4318, 4318)];
        let made = |suffix: &str| Service {
            name: format!("{name}-collector{suffix}"),
            cluster_ip: String::new(),
            ports: ports.clone(),
        };
        services.extend([made(""), made("-headless")]);
    }
    services
}

fn read_service(service: &Value, found: &Found) -> Service {
    let named_port = |wanted: &str| {
        let ports = containers(&found.template).flat_map(|container| list(container, "/ports"));
        ports.into_iter().find(|port| text(port, "/name") == wanted).and_then(|port| number(port.get("containerPort")))
    };
    let port = |port: &Value| {
        let own = number(port.get("port"))?;
        let target = match port.get("targetPort") {
            Some(Value::String(name)) => name.parse().ok().or_else(|| named_port(name)),
            other => number(other),
        };
        Some((own, target.unwrap_or(own)))
    };
    let cluster_ip = match text(service, "/spec/clusterIP") {
        "None" => "",
        address => address,
    };
    Service {
        name: name(service).to_owned(),
        cluster_ip: cluster_ip.to_owned(),
        ports: list(service, "/spec/ports").iter().filter_map(port).collect(),
    }
}

/// Labels that select the pods of a workload.
pub(super) fn selector(object: &Value) -> Vec<(String, String)> {
    pairs(object, "/spec/selector/matchLabels")
}

fn pairs(object: &Value, place: &str) -> Vec<(String, String)> {
    map(object, place).filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// A duration of Go with one unit: `200ms`, `10s`, `1m`. Anything else is nothing.
fn seconds(text: &str) -> f64 {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
    let value = units.iter().find_map(|(unit, size)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * size));
    value.unwrap_or_default()
}

/// A port number.
pub(super) fn number(value: Option<&Value>) -> Option<u16> {
    value.and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok())
}
