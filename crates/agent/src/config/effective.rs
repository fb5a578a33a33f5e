//! The effective configuration: what was written with every default filled in, and the origin of each value.

use crate::config::output;
use crate::config::source::Sources;
use crate::config::written::{Components, Config, PipelineConfig};
use crate::settings::secret::REDACTED;
use crate::settings::{ComponentId, Entry, Node, Setting, Yaml};
use crate::{exporters, extensions, processors, receivers};

/// Whether secrets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `[REDACTED]` stands for each.
    Redacted,
    /// They are shown.
    Unredacted,
}

/// The effective configuration as YAML, the origin of each value behind it.
#[must_use]
pub fn yaml(config: &Config, sources: &Sources, mode: Mode) -> String {
    output::yaml(&tree(config, mode), &|node| Some(origin(node, sources)))
}

/// The effective configuration as JSON.
#[must_use]
pub fn json(config: &Config, mode: Mode) -> String {
    output::json(&tree(config, mode))
}

/// Where a value comes from: `agent.yaml:5`, `--set`, `default`.
fn origin(node: &Node, sources: &Sources) -> String {
    let Some(source) = sources.get(node.place.file) else { return "default".to_owned() };
    let place = match source.name.as_str() {
        "--set" => "--set".to_owned(),
        name => format!("{name}:{}", node.place.line),
    };
    match &node.expansion {
        Some(expansion) => format!("{place}, {}", expansion.from),
        None => place,
    }
}

fn tree(config: &Config, mode: Mode) -> Node {
    let mut sections = Vec::new();
    add_section(&mut sections, config, "receivers", &config.receivers, receivers::Config::write, mode);
    add_section(&mut sections, config, "processors", &config.processors, processors::Config::write, mode);
    add_section(&mut sections, config, "exporters", &config.exporters, exporters::Config::write, mode);
    add_section(&mut sections, config, "extensions", &config.extensions, extensions::Config::write, mode);
    sections.push(Entry { key: "service".to_owned(), place: config.tree.place, value: service(config, mode) });
    Node { value: Yaml::Map(sections), ..Node::default() }
}

fn add_section<C>(
    sections: &mut Vec<Entry>,
    config: &Config,
    section: &str,
    components: &Components<C>,
    write: fn(&C) -> Option<Yaml>,
    mode: Mode,
) {
    let nothing = Node::default();
    let written = config.tree.get(section).unwrap_or(&nothing);
    let entry = |written: &Entry| {
        let component = components.values().find(|component| component.key == written.key)?;
        let effective = write(component.config.as_ref()?)?;
        Some(Entry { value: overlay(&written.value, effective, mode), ..written.clone() })
    };
    let entries: Vec<Entry> = written.entries().iter().filter_map(entry).collect();
    if !entries.is_empty() {
        let value = Node { value: Yaml::Map(entries), ..Node::default() };
        sections.push(Entry { key: section.to_owned(), place: written.place, value });
    }
}

fn service(config: &Config, mode: Mode) -> Node {
    let nothing = Node::default();
    let written = config.tree.get("service").unwrap_or(&nothing);
    let service = &config.service;
    let pipeline = |(id, pipeline): &(ComponentId, PipelineConfig)| {
        Entry::unwritten(id.to_string(), pipeline.write().unwrap_or_default())
    };
    let effective = Yaml::Map(vec![
        Entry::unwritten("extensions", service.extensions.write().unwrap_or_default()),
        Entry::unwritten("pipelines", Yaml::Map(service.pipelines.iter().map(pipeline).collect())),
        Entry::unwritten("telemetry", service.telemetry.write().unwrap_or_default()),
    ]);
    overlay(written, effective, mode)
}

/// Gives each effective value the place of what was written for it.
fn overlay(written: &Node, effective: Yaml, mode: Mode) -> Node {
    let value = match effective {
        Yaml::Map(entries) => {
            let known: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
            let placed = entries.into_iter().map(|entry| match written.entry(&entry.key) {
                Some(written) => Entry { value: overlay(&written.value, entry.value.value, mode), ..written.clone() },
                None => entry,
            });
            // Keys without an effect, and what is written in a section that is off.
            let others = written.entries().iter().filter(|entry| !known.contains(&entry.key) && entry.key != "enabled");
            let others: Vec<Entry> = if mode == Mode::Redacted { Vec::new() } else { others.cloned().collect() };
            Yaml::Map(placed.chain(others).collect())
        }
        Yaml::Seq(items) if items.len() == written.items().len() => {
            let pairs = written.items().iter().zip(items);
            Yaml::Seq(pairs.map(|(written, item)| overlay(written, item.value, mode)).collect())
        }
        Yaml::Str(text) if text == REDACTED && mode == Mode::Unredacted => {
            Yaml::Str(written.text().unwrap_or(REDACTED).to_owned())
        }
        value => value,
    };
    Node { value, place: written.place, expansion: written.expansion.clone() }
}
