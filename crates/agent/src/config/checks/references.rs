//! Everything that is named is configured, and fits where it is named. The words are the Collector's.

use wire::Signal;

use crate::component::{About, Registry};
use crate::config::checks::place_of;
use crate::config::plan::signal_of;
use crate::config::written::{Components, Config, PipelineConfig};
use crate::settings::{ComponentId, Problems, nearest};
use crate::{exporters, processors, receivers};

/// Checks `service` against what is configured.
pub(in crate::config) fn check(config: &Config, problems: &mut Problems) {
    check_sections(config, problems);
    for (id, pipeline) in &config.service.pipelines {
        check_pipeline(config, id, pipeline, problems);
    }
    check_extensions(config, problems);
}

fn check_sections(config: &Config, problems: &mut Problems) {
    let mut missing = |section: &str, what: &str, remedy: &str| {
        problems.error(section, place_of(&config.tree, section), what, remedy);
    };
    let empty = |section: &str| config.tree.get(section).is_none_or(|node| node.entries().is_empty());
    if empty("receivers") {
        missing(
            "receivers",
            "no receiver configuration specified in config",
            "add `receivers: {otlp: {protocols: {grpc: {}, http: {}}}}`",
        );
    }
    if empty("exporters") {
        missing(
            "exporters",
            "no exporter configuration specified in config",
            "add an exporter, for instance `exporters: {debug: {}}`",
        );
    }
    if config
        .tree
        .get("service")
        .and_then(|service| service.get("pipelines"))
        .is_none_or(|node| node.entries().is_empty())
    {
        let remedy = "add one: `service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}`";
        missing("service::pipelines", "service must have at least one pipeline", remedy);
    }
}

fn check_pipeline(config: &Config, id: &ComponentId, pipeline: &PipelineConfig, problems: &mut Problems) {
    let path = format!("service::pipelines::{id}");
    let place = |below: &str| place_of(&config.tree, &format!("{path}::{below}"));
    let signal = signal_of(&id.kind);
    if signal.is_none() {
        let (what, remedy) = unknown_signal(id);
        problems.error(&path, place(""), what, remedy);
    }
    for (key, list) in [("receiver", &pipeline.receivers), ("exporter", &pipeline.exporters)] {
        if list.is_empty() {
            let remedy = format!("add `{key}s: [{}]`", example(config, key));
            problems.error(&path, place(&format!("{key}s")), format!("must have at least one {key}"), remedy);
        }
    }
    for (index, processor) in pipeline.processors.iter().enumerate() {
        if pipeline.processors.iter().take(index).any(|earlier| earlier == processor) {
            let what = format!("references processor \"{processor}\" multiple times");
            let remedy =
                format!("keep one; a second one of its kind needs a name, for instance `{}/2`", processor.kind);
            problems.error(&path, place(&format!("processors::{index}")), what, remedy);
        }
    }
    let mut named = Named { config, path: &path, signal, problems };
    named.check(&receivers::Config::REGISTRY, &config.receivers, &pipeline.receivers);
    named.check(&processors::Config::REGISTRY, &config.processors, &pipeline.processors);
    named.check(&exporters::Config::REGISTRY, &config.exporters, &pipeline.exporters);
    named.check_conditions(&pipeline.processors);
}

/// Checks the ids in one pipeline.
struct Named<'a> {
    config: &'a Config,
    path: &'a str,
    signal: Option<Signal>,
    problems: &'a mut Problems,
}

impl Named<'_> {
    /// Conditions of processors on things that the signal does not have.
    fn check_conditions(&mut self, processors: &[ComponentId]) {
        for id in processors {
            let written = self.config.processors.get(id).and_then(|written| written.config.as_ref());
            let (Some(processors::Config::Attributes(attributes)), Some(signal)) = (written, self.signal) else {
                continue;
            };
            if let Err((key, what)) = attributes.check_for(signal) {
                let path = format!("processors::{id}::{key}");
                let remedy =
                    format!("{} is in a pipeline of {}; give that one an `attributes` of its own", id, signal.name());
                self.problems.error(&path, place_of(&self.config.tree, &path), what, remedy);
            }
        }
    }

    fn check<C>(&mut self, registry: &Registry<C>, written: &Components<C>, ids: &[ComponentId]) {
        for (index, id) in ids.iter().enumerate() {
            let about = registry.find(&id.kind).map(|known| known.about);
            if !written.contains_key(id) {
                self.undefined(registry.noun, index, id, written.keys(), about);
            } else if let (Some(about), Some(signal)) = (about, self.signal) {
                self.supports(registry.noun, index, id, about, signal);
            }
        }
    }

    fn undefined<'i>(
        &mut self,
        noun: &str,
        index: usize,
        id: &ComponentId,
        written: impl Iterator<Item = &'i ComponentId>,
        about: Option<About>,
    ) {
        let written: Vec<String> = written.map(ToString::to_string).collect();
        let remedy = match nearest(&id.to_string(), written.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if about.is_some() => format!("add `{id}:` under `{noun}s:`"),
            None if written.is_empty() => format!("configure it under `{noun}s:`"),
            None => format!("configured {noun}s: {}", written.join(", ")),
        };
        let what = format!("references {noun} \"{id}\" which is not configured");
        let place = place_of(&self.config.tree, &format!("{}::{noun}s::{index}", self.path));
        self.problems.error(self.path, place, what, remedy);
    }

    fn supports(&mut self, noun: &str, index: usize, id: &ComponentId, about: About, signal: Signal) {
        if about.signals.contains(&signal) {
            return;
        }
        let signal = signal.name();
        let what =
            format!("failed to create \"{id}\" {noun} for data type \"{signal}\": telemetry type is not supported");
        let takes: Vec<&str> = about.signals.iter().map(|signal| signal.name()).collect();
        let remedy = format!("`{}` works with {}", about.kind, takes.join(", "));
        let place = place_of(&self.config.tree, &format!("{}::{noun}s::{index}", self.path));
        self.problems.error(self.path, place, what, remedy);
    }
}

fn unknown_signal(id: &ComponentId) -> (String, String) {
    if id.kind == "profiles" {
        let what = format!(
            "pipeline \"{id}\": profiling signal support is at alpha level, gated under the \
             \"service.profilesSupport\" feature gate"
        );
        return (what, "remove the pipeline; otel-agent carries traces, metrics and logs".to_owned());
    }
    let signals = Signal::ALL.map(Signal::name);
    let remedy = match nearest(&id.kind, signals) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("a pipeline is named {}, with `/name` behind it when there are several", signals.join(", ")),
    };
    (format!("in \"{id}\" id: unknown pipeline signal: \"{}\"", id.kind), remedy)
}

fn example(config: &Config, noun: &str) -> String {
    let first = match noun {
        "receiver" => config.receivers.keys().next(),
        _ => config.exporters.keys().next(),
    };
    let fallback = if noun == "receiver" { "otlp" } else { "debug" };
    first.map_or_else(|| fallback.to_owned(), ToString::to_string)
}

fn check_extensions(config: &Config, problems: &mut Problems) {
    let path = "service::extensions";
    let written: Vec<String> = config.extensions.keys().map(ToString::to_string).collect();
    for (index, id) in config.service.extensions.iter().enumerate() {
        let place = place_of(&config.tree, &format!("{path}::{index}"));
        if !config.extensions.contains_key(id) {
            let remedy = match nearest(&id.to_string(), written.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{id}:` under `extensions:`"),
            };
            problems.error(path, place, format!("references extension \"{id}\" which is not configured"), remedy);
        } else if config.service.extensions.iter().take(index).any(|earlier| earlier == id) {
            problems.warning(path, place, format!("`{id}` is listed twice; it is started once"), "remove one of them");
        }
    }
}
