//! Everything that was written, read into types: the components by id, and `service`.

use std::collections::BTreeMap;

use crate::component::Registry;
use crate::settings::{ComponentId, Entry, Node, Place, Problems, Reader, Setting, Shape, Yaml, nearest, settings};
use crate::telemetry::settings::TelemetryConfig;
use crate::{exporters, extensions, processors, receivers};

/// A whole configuration as written.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What takes telemetry in.
    pub receivers: Components<receivers::Config>,
    /// What happens on the way.
    pub processors: Components<processors::Config>,
    /// Where telemetry goes.
    pub exporters: Components<exporters::Config>,
    /// What stands beside the pipelines.
    pub extensions: Components<extensions::Config>,
    /// What is run, and how the agent tells about itself.
    pub service: Service,
    /// The tree that all of it was read from.
    pub tree: Node,
}

/// All components of one kind by id, in the order of the ids.
pub type Components<C> = BTreeMap<ComponentId, Written<C>>;

/// A component that was written.
#[derive(Clone, Debug)]
pub struct Written<C> {
    /// Where its id stands.
    pub place: Place,
    /// Its key, as written.
    pub key: String,
    /// Its settings; `None` when they have errors.
    pub config: Option<C>,
}

/// The section `service`.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// The extensions that are started, in order.
    pub extensions: Vec<ComponentId>,
    /// The pipelines in the order written.
    pub pipelines: Vec<(ComponentId, PipelineConfig)>,
    /// The agent's own telemetry.
    pub telemetry: TelemetryConfig,
}

settings! {
    /// One pipeline: where its items come from, what happens to them in which order, and where they go.
    pub struct PipelineConfig {
        /// Ids of receivers; at least one. A receiver may stand in several pipelines.
        pub receivers: Vec<ComponentId> = Vec::new(),
        /// Ids of processors, in the order in which they are run.
        pub processors: Vec<ComponentId> = Vec::new(),
        /// Ids of exporters; at least one. Each gets every item.
        pub exporters: Vec<ComponentId> = Vec::new(),
    }
}

settings! {
    /// What is run. Only what is named here is started.
    pub struct ServiceConfig {
        /// Ids of the extensions to start, in order. An extension that is configured but not named here is not started.
        pub extensions: Vec<ComponentId> = Vec::new(),
        /// The pipelines by id: `traces`, `metrics` or `logs`, with a `/name` when there are several.
        pub pipelines: BTreeMap<String, PipelineConfig> = BTreeMap::new(),
        /// The agent's own telemetry.
        pub telemetry: TelemetryConfig = TelemetryConfig::default(),
    }
}

/// The keys at the top of a configuration.
pub(super) const SECTIONS: [&str; 6] = ["receivers", "processors", "exporters", "connectors", "extensions", "service"];

impl Config {
    /// Reads a tree. What has errors is left out after they have been reported.
    #[must_use]
    pub fn read(tree: &Node, problems: &mut Problems) -> Config {
        let mut cx = Reader::new(problems, tree);
        for entry in tree.entries() {
            refuse_unknown_section(entry, &mut cx);
        }
        Config {
            receivers: read_components(&receivers::Config::REGISTRY, tree, "receivers", &mut cx),
            processors: read_components(&processors::Config::REGISTRY, tree, "processors", &mut cx),
            exporters: read_components(&exporters::Config::REGISTRY, tree, "exporters", &mut cx),
            extensions: read_components(&extensions::Config::REGISTRY, tree, "extensions", &mut cx),
            service: read_service(tree, &mut cx),
            tree: tree.clone(),
        }
    }
}

fn refuse_unknown_section(entry: &Entry, cx: &mut Reader<'_>) {
    if entry.key == "connectors" {
        for connector in entry.value.entries() {
            let what = format!("the Collector has the connector `{}`, otel-agent does not yet", connector.key);
            let remedy = "remove it; do this in a Collector behind the agent, where the `otlp_grpc` exporter sends to";
            cx.error_in(connector.place, &format!("connectors::{}", connector.key), what, remedy);
        }
        return;
    }
    if SECTIONS.contains(&entry.key.as_str()) {
        return;
    }
    let kind = entry.key.split('/').next().unwrap_or_default().trim();
    let remedy = match (nearest(&entry.key, SECTIONS), noun_of(kind)) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(noun)) => format!("`{kind}` is a kind of {noun}; indent it below `{noun}s:`"),
        (None, None) if ["pipelines", "telemetry"].contains(&kind) => "indent it below `service:`".to_owned(),
        (None, None) => format!("the sections are {}", SECTIONS.join(", ")),
    };
    cx.error_in(entry.place, &entry.key, format!("unknown section `{}`", entry.key), remedy);
}

fn read_components<C>(registry: &Registry<C>, tree: &Node, section: &str, cx: &mut Reader<'_>) -> Components<C> {
    let mut components = Components::new();
    let Some(section) = tree.entry(section) else { return components };
    let mut cx = cx.inside(section);
    if !matches!(section.value.value, Yaml::Map(_) | Yaml::Null) {
        let example = registry.known.first().map_or("type", |known| known.about.kind);
        cx.unexpected(&Shape::plain(&format!("a mapping of {}s by id", registry.noun), &format!("{example}: {{}}")));
    }
    for entry in section.value.entries() {
        let Some(id) = read_id(entry, &mut cx) else { continue };
        if let Some(first) = components.get(&id) {
            let what = format!("duplicate name \"{id}\" after unmarshaling; first in line {}", first.place.line);
            cx.error_in(entry.place, &entry.key, what, "rename one of them: `type/name`");
            continue;
        }
        let config = read_component(registry, &id, entry, &mut cx);
        components.insert(id, Written { place: entry.place, key: entry.key.clone(), config });
    }
    components
}

fn read_id(entry: &Entry, cx: &mut Reader<'_>) -> Option<ComponentId> {
    let remedy = "write the id as `type` or `type/name`";
    ComponentId::parse(&entry.key).map_err(|what| cx.error_in(entry.place, &entry.key, what, remedy)).ok()
}

fn read_component<C>(registry: &Registry<C>, id: &ComponentId, entry: &Entry, cx: &mut Reader<'_>) -> Option<C> {
    let Some(known) = registry.find(&id.kind) else {
        let (what, remedy) = unknown_kind(registry, id);
        cx.error_in(entry.place, &entry.key, what, remedy);
        return None;
    };
    if known.about.formerly == Some(id.kind.as_str()) {
        let what = format!("\"{}\" alias is deprecated; use \"{}\" instead", id.kind, known.about.kind);
        cx.note_in(entry.place, &entry.key, what, "both work; the id stays in metrics and logs as it is written here");
    }
    (known.read)(&entry.value, &mut cx.inside(entry))
}

fn unknown_kind<C>(registry: &Registry<C>, id: &ComponentId) -> (String, String) {
    let noun = registry.noun;
    if let Some((kind, instead)) = registry.not_yet.iter().find(|(kind, _)| *kind == id.kind) {
        return (format!("the Collector has the {noun} `{kind}`, otel-agent does not yet"), (*instead).to_owned());
    }
    let what = format!("unknown type: \"{}\" for id: \"{id}\"", id.kind);
    let kinds: Vec<&str> = registry.kinds().collect();
    let list = kinds.join(", ");
    let remedy = match (nearest(&id.kind, kinds.iter().copied()), noun_of(&id.kind)) {
        (Some(near), _) => format!("did you mean `{near}`? otel-agent has the {noun}s {list}"),
        (None, Some(other)) => format!("`{}` is a kind of {other}; move it under `{other}s:`", id.kind),
        (None, None) => format!("otel-agent has the {noun}s {list}"),
    };
    (what, remedy)
}

/// Which kind of component a type is.
fn noun_of(kind: &str) -> Option<&'static str> {
    fn has<C>(registry: &Registry<C>, kind: &str) -> Option<&'static str> {
        registry.find(kind).map(|_| registry.noun)
    }
    has(&receivers::Config::REGISTRY, kind)
        .or_else(|| has(&processors::Config::REGISTRY, kind))
        .or_else(|| has(&exporters::Config::REGISTRY, kind))
        .or_else(|| has(&extensions::Config::REGISTRY, kind))
}

fn read_service(tree: &Node, cx: &mut Reader<'_>) -> Service {
    let Some(entry) = tree.entry("service") else { return Service::default() };
    let node = &entry.value;
    let mut cx = cx.inside(entry);
    ServiceConfig::LISTING.admit(node, &mut cx);
    Service {
        extensions: read_key(node, "extensions", &mut cx),
        pipelines: read_pipelines(node, &mut cx),
        telemetry: read_key(node, "telemetry", &mut cx),
    }
}

fn read_key<T: Setting + Default>(node: &Node, key: &str, cx: &mut Reader<'_>) -> T {
    let read = node.entry(key).map(|entry| T::read_over(T::default(), &entry.value, &mut cx.inside(entry)));
    read.flatten().unwrap_or_default()
}

/// Pipelines are read one by one, so that one with errors does not hide the others.
fn read_pipelines(service: &Node, cx: &mut Reader<'_>) -> Vec<(ComponentId, PipelineConfig)> {
    let Some(section) = service.entry("pipelines") else { return Vec::new() };
    let mut cx = cx.inside(section);
    if !matches!(section.value.value, Yaml::Map(_) | Yaml::Null) {
        cx.unexpected(&Shape::plain("a mapping of pipelines by id", "traces: {receivers: [otlp], exporters: [debug]}"));
    }
    let mut pipelines = Vec::new();
    for entry in section.value.entries() {
        let id = read_id(entry, &mut cx);
        let config = PipelineConfig::read(&entry.value, &mut cx.inside(entry));
        if let (Some(id), Some(config)) = (id, config) {
            pipelines.push((id, config));
        }
    }
    pipelines
}
