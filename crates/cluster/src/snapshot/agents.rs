//! The agent in the cluster: what makes its pods, its pods, what is told of them, its configuration.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde::Deserialize;

use super::access::{self, Reviewed};
use super::controllers::Controller;
use super::events::Event;
use super::inside::{self, Inside};
use super::meta::{Metadata, or_default};
use super::pods::Pod;
use super::reader::{Reader, Seen, Wanted};
use super::{Options, Snapshot};

/// One DaemonSet or Deployment of the agent, and what belongs to it.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// What makes its pods.
    pub controller: Controller,
    /// Its pods.
    pub pods: Seen<Vec<Pod>>,
    /// What is told of it and of its pods.
    pub events: Seen<Vec<Event>>,
    /// Its configuration; none if no ConfigMap is mounted, or the one that is mounted is not there.
    pub configuration: Seen<Option<Configuration>>,
    /// What some of its pods say of themselves.
    pub inside: Vec<Inside>,
    /// The rights that its configuration needs.
    pub access: Seen<Vec<Reviewed>>,
}

/// A configuration as the agent reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Of the ConfigMap.
    pub config_map: String,
    /// In it.
    pub key: String,
    /// The YAML.
    pub text: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigMap {
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    data: BTreeMap<String, String>,
}

impl Agent {
    /// The namespace that it lives in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.controller.metadata.namespace
    }

    /// `daemonset open-telemetry/otel-agent`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.controller.kind.to_lowercase(), self.controller.metadata.full_name())
    }

    /// What a pod said of itself, if it was asked.
    #[must_use]
    pub fn inside(&self, pod: &str) -> Option<&Inside> {
        self.inside.iter().find(|inside| inside.pod == pod)
    }

    /// Events of a reason that are about an object of a kind.
    pub fn events_of<'a>(&'a self, kind: &'a str, name: &'a str) -> impl Iterator<Item = &'a Event> {
        let events = self.events.items().iter();
        events.filter(move |event| event.involved_object.kind == kind && event.involved_object.name == name)
    }

    /// Whether a pod was made for it.
    #[must_use]
    pub fn owns(&self, pod: &Pod) -> bool {
        if pod.metadata.namespace != self.namespace() {
            return false;
        }
        let controller = &self.controller;
        match pod.metadata.owner() {
            Some(owner) if controller.is_daemon_set() => {
                owner.kind == "DaemonSet" && owner.name == controller.metadata.name
            }
            Some(owner) if owner.kind == "DaemonSet" => false,
            _ => controller.spec.selector.matches(&pod.metadata.labels),
        }
    }
}

/// Which of these are the agent: by the name that was asked for, else those that look like it.
pub(super) fn choose(controllers: &[Controller], options: &Options) -> Vec<Agent> {
    let in_place = |controller: &&Controller| {
        options.namespace.as_deref().is_none_or(|namespace| controller.metadata.namespace == namespace)
    };
    let chosen = controllers.iter().filter(in_place).filter(|controller| match &options.name {
        Some(name) => controller.metadata.name == *name,
        None => controller.looks_like_the_agent(),
    });
    chosen.map(|controller| Agent { controller: controller.clone(), ..Agent::default() }).collect()
}

/// Reads what belongs to an agent.
pub(super) async fn complete(
    agent: &mut Agent,
    reader: &Reader,
    snapshot: &Snapshot,
    options: &Options,
    needs: super::Needs<'_>,
) {
    let namespace = agent.namespace().to_owned();
    let events = Wanted::list("v1", "events", Some(&namespace));
    let (pods, events, configuration) = tokio::join!(
        pods(agent, reader, snapshot),
        reader.list(&events, |_: &mut Event| {}),
        configuration(&agent.controller, reader)
    );
    (agent.pods, agent.events, agent.configuration) = (pods, events, configuration);
    let sample = sample(agent.pods.items(), options.sample);
    let text = agent.configuration.some().and_then(Option::as_ref).map(|configuration| &configuration.text);
    let container = agent.controller.spec.template.spec.agent();
    let rights = text.zip(container).map(|(text, container)| needs(text, container)).unwrap_or_default();
    let account = match agent.controller.spec.template.spec.service_account_name.as_str() {
        "" => "default",
        account => account,
    };
    let (inside, access) = tokio::join!(
        join_all(sample.iter().map(|pod| inside::read(reader, pod))),
        access::read(reader, &namespace, account, &rights)
    );
    (agent.inside, agent.access) = (inside, access);
}

/// Its pods: from those of the cluster, or those of its namespace where the cluster's may not be read.
async fn pods(agent: &Agent, reader: &Reader, snapshot: &Snapshot) -> Seen<Vec<Pod>> {
    let own = |pods: &[Pod]| pods.iter().filter(|pod| agent.owns(pod)).cloned().collect();
    match &snapshot.pods {
        Seen::Known(all) => Seen::Known(own(all)),
        Seen::Part(..) | Seen::Unseen(_) => {
            let wanted = Wanted::list("v1", "pods", Some(agent.namespace()));
            reader.list(&wanted, |_: &mut Pod| {}).await.map(|all| own(&all))
        }
    }
}

/// Those in trouble first, since their words say most; then as many others as are wanted.
fn sample(pods: &[Pod], size: usize) -> Vec<&Pod> {
    let trouble = |pod: &Pod| {
        let restarts: u32 = pod.status.container_statuses.iter().map(|status| status.restart_count).sum();
        (pod.is_ready(), std::cmp::Reverse(restarts))
    };
    let mut bound: Vec<&Pod> = pods.iter().filter(|pod| !pod.spec.node_name.is_empty() && !pod.is_over()).collect();
    bound.sort_by_key(|pod| trouble(pod));
    // Half for those in trouble at most, so that one that runs is heard as well.
    let (ready, not): (Vec<&Pod>, Vec<&Pod>) = bound.into_iter().partition(|pod| pod.is_ready());
    let of_troubled = if ready.is_empty() { size } else { size.div_ceil(2).max(size.saturating_sub(ready.len())) };
    let troubled: Vec<&Pod> = not.into_iter().take(of_troubled).collect();
    let left = size - troubled.len();
    troubled.into_iter().chain(ready.into_iter().take(left)).collect()
}

/// The configuration that the container is started with: the key of the ConfigMap that `--config` leads to.
async fn configuration(controller: &Controller, reader: &Reader) -> Seen<Option<Configuration>> {
    let spec = &controller.spec.template.spec;
    let Some(container) = spec.agent() else { return Seen::Known(None) };
    let path = config_path(container.command.iter().chain(&container.args));
    let mounts = container.volume_mounts.iter().filter(|mount| match &path {
        Some(path) => path.strip_prefix(&mount.mount_path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        None => true,
    });
    let volumes = mounts.flat_map(|mount| spec.volumes.iter().filter(move |volume| volume.name == mount.name));
    let Some(volume) = volumes.filter_map(|volume| volume.config_map.as_ref()).next() else { return Seen::Known(None) };
    let file = path.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or("agent.yaml");
    let item = volume.items.iter().find(|item| item.path == file);
    let wanted_key = item.map_or(file, |item| &item.key).to_owned();
    let wanted = Wanted::one("configmaps", &controller.metadata.namespace, &volume.name);
    let read: Seen<Option<ConfigMap>> = reader.object(&wanted).await;
    read.map(|map| map.and_then(|map| of_map(map, &wanted_key)))
}

fn of_map(mut map: ConfigMap, key: &str) -> Option<Configuration> {
    let only = (map.data.len() == 1).then(|| map.data.keys().next().cloned()).flatten();
    let key = if map.data.contains_key(key) { key.to_owned() } else { only? };
    let text = map.data.remove(&key)?;
    Some(Configuration { config_map: map.metadata.name, key, text })
}

/// What `--config` names, if it is a file.
fn config_path<'a>(arguments: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--config") {
            Some("") => arguments.peek().map(|next| next.as_str()),
            Some(value) => value.strip_prefix('='),
            None => None,
        };
        if let Some(value) = value {
            let value = value.strip_prefix("file:").unwrap_or(value);
            return value.starts_with('/').then(|| value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(arguments: &[&str]) -> Option<String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        config_path(arguments.iter())
    }

    #[test]
    fn the_configuration_is_found_by_the_argument() {
        let expected = Some("/etc/otel-agent/agent.yaml".to_owned());
        assert_eq!(path(&["--config=/etc/otel-agent/agent.yaml"]), expected);
        assert_eq!(path(&["--set", "a=b", "--config", "file:/etc/otel-agent/agent.yaml"]), expected);
        assert_eq!(path(&["--config=yaml:a: b"]), None);
        assert_eq!(path(&["run"]), None);
    }

    #[test]
    fn pods_in_trouble_are_heard_first_but_not_alone() {
        let pod = |name: &str, ready: bool, restarts: u32| -> Pod {
            let ready = if ready { "True" } else { "False" };
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": name}, "spec": {"nodeName": "n"},
                "status": {"conditions": [{"type": "Ready", "status": ready}],
                           "containerStatuses": [{"name": "otel-agent", "restartCount": restarts}]},
            }))
            .unwrap()
        };
        let pods = [pod("a", true, 0), pod("b", true, 0), pod("c", false, 9), pod("d", false, 1), pod("e", false, 2)];
        let names = |size| sample(&pods, size).iter().map(|pod| pod.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(4), ["c", "e", "a", "b"]);
        assert_eq!(names(1), ["c"]);
        assert_eq!(names(9), ["c", "e", "d", "a", "b"]);
    }
}
