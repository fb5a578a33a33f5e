//! The collector's configuration, as far as it runs here: components that the agent lacks are left out, keys that it lacks are
//! taken off, and the result is one that its own loader accepts. Whatever is different stands in a line of its own.

use anyhow::bail;
use serde::Serialize;
use serde_json::{Map, Value};

use super::found::Found;
use super::{Standing, Support, rewrite};

/// The sections of components, and what one of them is called.
pub(super) const SECTIONS: [(&str, &str); 5] = [
    ("receivers", "receiver"),
    ("processors", "processor"),
    ("exporters", "exporter"),
    ("connectors", "connector"),
    ("extensions", "extension"),
];

/// The configuration for the agent. What may hold a secret is in its manifests alone, not in a report.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// What became of each part.
    pub lines: Vec<Line>,
    /// The configuration as YAML; empty if no pipeline is left.
    #[serde(skip)]
    pub text: String,
    /// Environment variables that the agent's pod needs, as a container has them.
    #[serde(skip)]
    pub variables: Vec<Value>,
    /// Sources of more variables, as a container has them.
    #[serde(skip)]
    pub variables_from: Vec<Value>,
    /// Volumes that the configuration refers to, as a pod has them.
    #[serde(skip)]
    pub volumes: Vec<Value>,
    /// Where they are mounted.
    #[serde(skip)]
    pub mounts: Vec<Value>,
    /// Secrets and ConfigMaps of the old namespace that the pod refers to: `secret/backend`.
    pub references: Vec<String>,
    /// Signals that the old one takes over OTLP and the agent would not: `logs`.
    pub stay: Vec<String>,
}

/// What became of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Which: `receivers::jaeger`.
    pub path: String,
    /// Whether it runs.
    pub state: State,
    /// What is different, or why not.
    pub what: String,
    /// What to do; empty if nothing.
    pub remedy: String,
}

/// Whether it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// As it is.
    Runs,
    /// With what the line says.
    Changed,
    /// No pipeline needs it.
    NotNeeded,
    /// It does not run here: a gap.
    LeftOut,
}

impl Carried {
    /// What the old one does and the agent does not.
    pub fn gaps(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.state == State::LeftOut)
    }

    /// Variables as the loader takes them: a stand-in for what only the cluster knows.
    #[must_use]
    pub fn known_variables(&self) -> Vec<(String, String)> {
        rewrite::known(&self.variables)
    }
}

/// Being carried over.
pub(super) struct Carrying<'a> {
    pub(super) found: &'a Found,
    pub(super) config: Map<String, Value>,
    pub(super) lines: Vec<Line>,
}

/// Carries it over.
pub(super) fn carry(found: &Found, support: Support<'_>) -> anyhow::Result<Carried> {
    let Some(config) = found.config.as_object().cloned() else { bail!("{} is no mapping", found.config_from) };
    let mut carrying = Carrying { found, config, lines: Vec::new() };
    carrying.leave_out_components(support);
    carrying.prune();
    carrying.rewrite();
    let variables = rewrite::variables(found, &carrying.config);
    carrying.take_off_what_is_refused(support, &rewrite::known(&variables));
    carrying.say_what_runs();
    carrying.lines.sort_by_key(|line| section_number(&line.path));
    let any = carrying.pipelines().next().is_some();
    let text = if any { serde_saphyr::to_string(&carrying.config)? } else { String::new() };
    // What was taken off may have been the last use of a variable.
    let variables = rewrite::variables(found, &carrying.config);
    let (volumes, mounts) = rewrite::volumes(found, &carrying.config);
    let container = found.container().cloned().unwrap_or_default();
    let variables_from = container.get("envFrom").and_then(Value::as_array).cloned().unwrap_or_default();
    let references = rewrite::references(&[&variables, &variables_from, &volumes]);
    let (before, after) = (signals(&found.config), signals(&Value::Object(carrying.config)));
    let stay = before.into_iter().filter(|signal| !after.contains(signal)).collect();
    Ok(Carried { lines: carrying.lines, text, variables, variables_from, volumes, mounts, references, stay })
}

impl Carrying<'_> {
    pub(super) fn say(&mut self, path: &str, state: State, what: impl Into<String>, remedy: impl Into<String>) {
        self.lines.push(Line { path: path.to_owned(), state, what: what.into(), remedy: remedy.into() });
    }

    /// The pipelines by id.
    pub(super) fn pipelines(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.config
            .get("service")
            .and_then(|service| service.get("pipelines"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    pub(super) fn pipelines_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.config.get_mut("service")?.get_mut("pipelines")?.as_object_mut()
    }

    /// The ids that `service` names in a section.
    fn used(&self, section: &str) -> Vec<String> {
        let words = |list: Option<&Value>| -> Vec<String> {
            list.and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|id| Some(id.as_str()?.to_owned()))
                .collect()
        };
        match section {
            "extensions" => words(self.config.get("service").and_then(|service| service.get("extensions"))),
            // A connector stands among the receivers and among the exporters of pipelines.
            "connectors" => {
                let both =
                    self.pipelines().flat_map(|(_, pipeline)| [pipeline.get("receivers"), pipeline.get("exporters")]);
                both.flat_map(words).filter(|id| self.component("connectors", id).is_some()).collect()
            }
            section => self.pipelines().flat_map(|(_, pipeline)| words(pipeline.get(section))).collect(),
        }
    }

    pub(super) fn component(&self, section: &str, id: &str) -> Option<&Value> {
        self.config.get(section)?.get(id)
    }

    pub(super) fn ids(&self, section: &str) -> Vec<String> {
        let components = self.config.get(section).and_then(Value::as_object);
        components.into_iter().flat_map(Map::keys).cloned().collect()
    }

    fn leave_out_components(&mut self, support: Support<'_>) {
        for (section, noun) in SECTIONS {
            let used = self.used(section);
            for id in self.ids(section) {
                let kind = id.split('/').next().unwrap_or_default().trim().to_owned();
                let path = format!("{section}::{id}");
                if !used.contains(&id) {
                    self.say(&path, State::NotNeeded, "nothing in `service` names it", "");
                    self.remove(section, &id);
                    continue;
                }
                if section == "receivers" && rewrite::scrapes_itself(&kind, self.component(section, &id)) {
                    let what = "it only scrapes the Collector itself; the agent's own metrics are on port 8888";
                    self.say(&path, State::NotNeeded, what, "let Prometheus scrape that (a ServiceMonitor: --values)");
                    self.remove(section, &id);
                    continue;
                }
                let (what, remedy) = match (support.component)(noun, &kind) {
                    Standing::Runs => continue,
                    Standing::NotYet(remedy) if remedy.starts_with("remove it") => {
                        self.say(&path, State::NotNeeded, format!("otel-agent has no {noun} `{kind}`"), remedy);
                        self.remove(section, &id);
                        continue;
                    }
                    Standing::NotYet(remedy) => (format!("otel-agent does not have the {noun} `{kind}` yet"), remedy),
                    Standing::Unknown => {
                        let remedy = "keep a Collector for it, beside or behind the agent";
                        (format!("otel-agent does not have the {noun} `{kind}`"), remedy.to_owned())
                    }
                };
                self.say(&path, State::LeftOut, what, remedy);
                self.remove(section, &id);
            }
        }
    }

    /// Takes a component out of its section and out of everything that names it.
    pub(super) fn remove(&mut self, section: &str, id: &str) {
        if let Some(components) = self.config.get_mut(section).and_then(Value::as_object_mut) {
            components.shift_remove(id);
            if components.is_empty() {
                self.config.shift_remove(section);
            }
        }
        let Some(service) = self.config.get_mut("service").and_then(Value::as_object_mut) else { return };
        let without = |list: &mut Value| {
            if let Some(ids) = list.as_array_mut() {
                ids.retain(|other| other.as_str() != Some(id));
            }
        };
        if section == "extensions" {
            service.get_mut("extensions").into_iter().for_each(without);
            return;
        }
        let lists: &[&str] = if section == "connectors" { &["receivers", "exporters"] } else { &[section] };
        let pipelines = service.get_mut("pipelines").and_then(Value::as_object_mut);
        for pipeline in pipelines.into_iter().flat_map(Map::values_mut) {
            for list in lists {
                pipeline.get_mut(*list).into_iter().for_each(without);
            }
        }
    }

    /// Pipelines without a way in or out go, and then what only they used.
    pub(super) fn prune(&mut self) {
        let none =
            |pipeline: &Value, list: &str| pipeline.get(list).and_then(Value::as_array).is_none_or(Vec::is_empty);
        let gone: Vec<(String, &str)> = self
            .pipelines()
            .filter_map(|(id, pipeline)| {
                let missing = ["receivers", "exporters"].into_iter().find(|list| none(pipeline, list))?;
                Some((id.clone(), missing))
            })
            .collect();
        for (id, missing) in gone {
            self.pipelines_mut().map(|pipelines| pipelines.shift_remove(&id));
            let what = format!("none of its {missing} is left");
            self.say(&format!("service::pipelines::{id}"), State::LeftOut, what, "it goes on in the old Collector");
        }
        for section in ["receivers", "processors", "exporters"] {
            let used = self.used(section);
            for id in self.ids(section).into_iter().filter(|id| !used.contains(id)) {
                self.say(&format!("{section}::{id}"), State::NotNeeded, "only pipelines that are left out use it", "");
                self.remove(section, &id);
            }
        }
    }

    fn say_what_runs(&mut self) {
        for (section, _) in SECTIONS {
            for id in self.ids(section) {
                let path = format!("{section}::{id}");
                let below = format!("{path}::");
                if !self.lines.iter().any(|line| line.path == path || line.path.starts_with(&below)) {
                    self.say(&path, State::Runs, "", "");
                }
            }
        }
    }
}

/// Signals that are taken over OTLP.
fn signals(config: &Value) -> Vec<String> {
    let pipelines = config.pointer("/service/pipelines").and_then(Value::as_object).into_iter().flatten();
    let otlp = |id: &Value| id.as_str().is_some_and(|id| id.split('/').next() == Some("otlp"));
    let taken = pipelines.filter(|(_, pipeline)| super::objects::list(pipeline, "/receivers").iter().any(otlp));
    let mut signals: Vec<String> = taken.filter_map(|(id, _)| Some(id.split('/').next()?.to_owned())).collect();
    signals.sort();
    signals.dedup();
    signals
}

fn section_number(path: &str) -> usize {
    let section = path.split("::").next().unwrap_or_default();
    SECTIONS.iter().position(|(known, _)| *known == section).unwrap_or(SECTIONS.len())
}
