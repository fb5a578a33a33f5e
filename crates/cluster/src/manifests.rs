//! From a configuration and what somebody chose to the objects of a deployment. Kubernetes' own kinds are its own types; those of
//! the Prometheus Operator are small types of ours.

/// The configuration that is deployed when nobody brings one.
pub mod configuration;

/// The level of Pod Security that the pods need, and why.
pub mod security;

/// What is rendered into the repository: the default, the profiles, each advanced pattern.
pub mod patterns;

mod access;
mod labels;
mod monitoring;
mod network;
/// The pod of an agent.
pub mod pod;
mod rollout;
mod services;
mod workloads;
mod yaml;

use serde::Serialize;
use serde_json::Value;

use crate::values::Values;
use crate::workload::Workload;

pub(crate) use rollout::alone_because;
pub use yaml::yaml;

/// What everything is called.
pub const NAME: &str = "otel-agent";
/// The Service without an address of its own: for discovery and for Prometheus.
pub const HEADLESS: &str = "otel-agent-headless";
/// The key of the ConfigMap.
pub const CONFIG_KEY: &str = "agent.yaml";
/// Where the ConfigMap is mounted.
pub const CONFIG_FOLDER: &str = "/etc/otel-agent";

/// One object of a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// `DaemonSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The object itself, its keys in the order in which people read them.
    pub value: Value,
    /// Why it is as it is, for the person who reads the rendered text; may be empty.
    pub note: String,
}

impl Object {
    fn new(object: &impl Serialize, note: &str) -> Object {
        // What Kubernetes' types hold is text, numbers, lists and maps with text as keys: always JSON.
        let value = yaml::ordered(serde_json::to_value(object).unwrap_or_default());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Object { kind: text(&value["kind"]), name: text(&value["metadata"]["name"]), value, note: note.to_owned() }
    }
}

/// The objects of a deployment, in an order in which they can be applied.
#[must_use]
pub fn render(workload: &Workload, values: &Values) -> Vec<Object> {
    let cx = Context { workload, values };
    let mut objects = Vec::new();
    objects.extend(access::namespace(&cx));
    objects.extend(access::priority_class(&cx));
    objects.extend(access::account_and_roles(&cx));
    objects.push(configuration::config_map(&cx));
    objects.extend(services::services(&cx));
    objects.extend(workloads::workload(&cx));
    objects.extend(network::policy(&cx));
    objects.extend(monitoring::monitors(&cx));
    objects
}

/// Folders that the configuration uses and that no volume of the person's own holds.
pub(crate) fn folders_without_volume<'a>(workload: &'a Workload, values: &'a Values) -> Vec<&'a str> {
    Context { workload, values }.folders()
}

/// What every renderer reads.
struct Context<'a> {
    workload: &'a Workload,
    values: &'a Values,
}

#[cfg(test)]
mod tests;
