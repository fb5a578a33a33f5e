//! Applications that send to the old collector, by the environment variables of OpenTelemetry's SDKs, and the command that
//! moves each.

use serde::Serialize;
use serde_json::Value;

use super::Target;
use super::address::{Address, Leads, expanded};
use super::found::Found;
use super::objects::{Objects, containers, list, map, name, namespace, text};

/// Who sends to the old collector.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applications {
    /// Those that a command moves.
    pub moves: Vec<Move>,
    /// Those that somebody has to look at.
    pub by_hand: Vec<ByHand>,
    /// How many workloads already send to the agent.
    pub moved: usize,
}

/// One application, or a ConfigMap of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// `Deployment`, or `ConfigMap`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The container; empty for a ConfigMap.
    pub container: String,
    /// The variables: name, value now, value then.
    pub variables: Vec<Change>,
    /// Workloads that have to be restarted to see it: `deployment/shop`.
    pub restarts: Vec<String>,
    /// What moves it, one command a line.
    pub commands: Vec<String>,
    /// What moves it back.
    pub undo: Vec<String>,
    /// Who else writes this object, and will write the old value again.
    pub managed_by: String,
}

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What it is; empty if it is not set.
    pub from: String,
    /// What it becomes.
    pub to: String,
}

/// Something that no command can be made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ByHand {
    /// `deployment/shop -n shop, container app`.
    pub place: String,
    /// The variable and its value.
    pub what: String,
    /// Why, and what to do.
    pub remedy: String,
}

impl Move {
    /// `shop/checkout`: what `--application` takes.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Finds all of them.
pub(super) fn find(objects: &Objects, found: &Found, target: &Target, stay: &[String]) -> Applications {
    let mut all = Applications::default();
    let address = Address::of(found, target, stay);
    for (object, template) in objects.workloads() {
        let is_old = namespace(object) == found.namespace && name(object) == found.name;
        let is_new = namespace(object) == target.namespace && name(object) == target.name;
        if !is_old && !is_new {
            of_workload(object, template, &address, &mut all);
        }
    }
    for config_map in objects.of_kind("ConfigMap") {
        let own = found.config_map.as_deref() == Some(name(config_map)) && namespace(config_map) == found.namespace;
        if !own {
            of_config_map(objects, config_map, &address, &mut all);
        }
    }
    for instrumentation in objects.of_kind("Instrumentation") {
        let endpoint = text(instrumentation, "/spec/exporter/endpoint");
        if let Leads::ToOld(to) = address.leads(endpoint, namespace(instrumentation)) {
            let reference = format!("instrumentation/{} -n {}", name(instrumentation), namespace(instrumentation));
            let patch = format!("{{\"spec\":{{\"exporter\":{{\"endpoint\":\"{to}\"}}}}}}");
            all.by_hand.push(ByHand {
                place: reference.clone(),
                what: format!("spec.exporter.endpoint={endpoint}"),
                remedy: format!(
                    "{} patch {reference} --type merge -p '{patch}', then restart the pods that the Operator injects into",
                    target.kubectl
                ),
            });
        }
    }
    all
}

fn of_workload(object: &Value, template: &Value, address: &Address<'_>, all: &mut Applications) {
    let (kind, space) = (text(object, "/kind"), namespace(object));
    let mut moved = false;
    for container in containers(template) {
        let place =
            format!("{}/{} -n {space}, container {}", kind.to_lowercase(), name(object), text(container, "/name"));
        let mut changes = Vec::new();
        for variable in list(container, "/env") {
            let (variable_name, raw) = (text(variable, "/name"), text(variable, "/value"));
            let value = expanded(raw, list(container, "/env"));
            let part = format!("$({variable_name})");
            if list(container, "/env").iter().any(|other| text(other, "/value").contains(&part)) {
                // It is a part of another one, which is looked at as a whole.
                continue;
            }
            match address.leads(&value, space) {
                Leads::ToAgent => moved |= is_endpoint(variable_name),
                Leads::Elsewhere => {}
                Leads::ToOld(_) if address.stays(variable_name) => all.by_hand.push(ByHand {
                    place: place.clone(),
                    what: format!("{variable_name}={raw}"),
                    remedy: "it stays: the agent has no pipeline for that signal, the old collector has".to_owned(),
                }),
                Leads::ToOld(to) if is_endpoint(variable_name) => {
                    changes.push(Change { name: variable_name.to_owned(), from: raw.to_owned(), to });
                    let set = |name: &str| list(container, "/env").iter().any(|env| text(env, "/name") == name);
                    changes
                        .extend(address.kept(variable_name, raw, &value).into_iter().filter(|kept| !set(&kept.name)));
                }
                Leads::ToOld(to) => all.by_hand.push(ByHand {
                    place: place.clone(),
                    what: format!("{variable_name}={raw}"),
                    remedy: format!("no variable of OpenTelemetry's SDKs: look at what reads it; the agent is at {to}"),
                }),
                Leads::ToOldOtherwise => all.by_hand.push(ByHand {
                    place: place.clone(),
                    what: format!("{variable_name}={raw}"),
                    remedy: "that port of the old collector does not take OTLP: let the application send OTLP first"
                        .to_owned(),
                }),
            }
        }
        let words = list(container, "/command").iter().chain(list(container, "/args")).filter_map(Value::as_str);
        for word in words.filter(|word| address.mentions(word, space)) {
            all.by_hand.push(ByHand {
                place: place.clone(),
                what: format!("argument `{word}`"),
                remedy: format!("write {} there", address.target.host()),
            });
        }
        if !changes.is_empty() {
            all.moves.push(move_of(object, container, changes, address.target));
        }
    }
    all.moved += usize::from(moved);
}

fn move_of(object: &Value, container: &Value, changes: Vec<Change>, target: &Target) -> Move {
    let reference = format!("{}/{} -n {}", text(object, "/kind").to_lowercase(), name(object), namespace(object));
    let container = text(container, "/name");
    let set = |value: fn(&Change) -> &str| {
        // A dash behind the name takes a variable away.
        let pair = |change: &Change| match value(change) {
            "" => format!("{}-", change.name),
            value => quoted(&format!("{}={value}", change.name)),
        };
        let pairs: Vec<String> = changes.iter().map(pair).collect();
        vec![format!("{} set env {reference} -c {container} {}", target.kubectl, pairs.join(" "))]
    };
    Move {
        kind: text(object, "/kind").to_owned(),
        namespace: namespace(object).to_owned(),
        name: name(object).to_owned(),
        container: container.to_owned(),
        commands: set(|change| &change.to),
        undo: set(|change| &change.from),
        variables: changes,
        restarts: Vec::new(),
        managed_by: managed_by(object),
    }
}

fn of_config_map(objects: &Objects, config_map: &Value, address: &Address<'_>, all: &mut Applications) {
    let space = namespace(config_map);
    let mut changes: Vec<Change> = Vec::new();
    for (key, value) in map(config_map, "/data") {
        let Some(from) = value.as_str().filter(|_| !address.stays(key)) else { continue };
        let Leads::ToOld(to) = address.leads(from.trim(), space) else { continue };
        changes.push(Change { name: key.clone(), from: from.to_owned(), to });
        let kept = address.kept(key, from, from.trim()).into_iter();
        changes.extend(kept.filter(|kept| !map(config_map, "/data").any(|(key, _)| *key == kept.name)));
    }
    if changes.is_empty() {
        return;
    }
    let restarts: Vec<String> = objects
        .workloads()
        .filter(|(object, template)| namespace(object) == space && reads(template, name(config_map)))
        .map(|(object, _)| format!("{}/{}", text(object, "/kind").to_lowercase(), name(object)))
        .collect();
    let kubectl = &address.target.kubectl;
    let patch = |value: fn(&Change) -> &str| {
        let data: serde_json::Map<String, Value> = changes
            .iter()
            .map(|change| (change.name.clone(), Some(value(change)).filter(|value| !value.is_empty()).into()))
            .collect();
        let patch = serde_json::json!({"data": data}).to_string();
        let mut commands = vec![format!(
            "{kubectl} patch configmap/{} -n {space} --type merge -p {}",
            name(config_map),
            quoted(&patch)
        )];
        // A Job that a CronJob starts later reads the new value by itself.
        let restarted = restarts.iter().filter(|workload| !workload.starts_with("cronjob/"));
        commands.extend(restarted.map(|workload| format!("{kubectl} rollout restart {workload} -n {space}")));
        commands
    };
    all.moves.push(Move {
        kind: "ConfigMap".to_owned(),
        namespace: space.to_owned(),
        name: name(config_map).to_owned(),
        container: String::new(),
        commands: patch(|change| &change.to),
        undo: patch(|change| &change.from),
        variables: changes,
        restarts,
        managed_by: managed_by(config_map),
    });
}

/// Whether a pod takes variables from a ConfigMap.
fn reads(template: &Value, config_map: &str) -> bool {
    containers(template).any(|container| {
        list(container, "/envFrom").iter().any(|from| text(from, "/configMapRef/name") == config_map)
            || list(container, "/env").iter().any(|env| text(env, "/valueFrom/configMapKeyRef/name") == config_map)
    })
}

fn managed_by(object: &Value) -> String {
    let release = text(object, "/metadata/annotations/meta.helm.sh~1release-name");
    let argo = text(object, "/metadata/annotations/argocd.argoproj.io~1tracking-id");
    let flux = text(object, "/metadata/labels/kustomize.toolkit.fluxcd.io~1name");
    match (release, argo, flux) {
        ("", "", "") => String::new(),
        ("", "", flux) => format!("Flux ({flux})"),
        ("", argo, _) => format!("Argo CD ({})", argo.split(':').next().unwrap_or_default()),
        (release, ..) => format!("the Helm release {release}"),
    }
}

fn is_endpoint(variable: &str) -> bool {
    ["", "TRACES_", "METRICS_", "LOGS_"].iter().any(|signal| variable == format!("OTEL_EXPORTER_OTLP_{signal}ENDPOINT"))
}

/// As one word of a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
