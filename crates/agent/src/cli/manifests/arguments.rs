//! The arguments of `manifests`: each sets a value, over those of the values file.

use std::path::{Path, PathBuf};

use cluster::problem as chosen;
use cluster::values::{MetricsTo, Mode, Profile, Routing, StorageType, Values};
use k8s_openapi::api::core::v1::{EnvVar, Toleration};

use super::Told;
use super::output::Output;
use crate::config::Request;

/// What to render.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Arguments {
    /// A file with values; what other arguments say goes before it
    #[arg(long, value_name = "FILE")]
    values: Option<String>,
    /// The agent's configuration, instead of the default one
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// How large the agents are: low, default or high
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// One agent on each node (daemonset), or a gateway for all (deployment)
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// How applications reach the agent of their node: local, prefer-local or host-port
    #[arg(long, value_name = "ROUTING")]
    routing: Option<Routing>,
    /// A label that nodes must have; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    node_selector: Vec<String>,
    /// A taint that does not keep agents away: KEY, KEY=VALUE or KEY=VALUE:EFFECT; `all`, `none`; may be repeated
    #[arg(long, value_name = "TAINT")]
    toleration: Vec<String>,
    /// The priority class of the agents; with a number behind it (otel-agent:1000000) it is rendered, too
    #[arg(long, value_name = "NAME[:VALUE]")]
    priority_class: Option<String>,
    /// Agents in the network of their node
    #[arg(long)]
    host_network: bool,
    /// What telemetry calls the cluster, k8s.cluster.name
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<String>,
    /// What telemetry calls the environment, deployment.environment.name
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// The image, with its tag or digest
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The namespace of everything
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Where to: host:port (gRPC), http://… or https://… (HTTP)
    #[arg(long, value_name = "ENDPOINT")]
    backend: Option<String>,
    /// Where metrics go: otlp, prometheus (shown on port 8889) or both
    #[arg(long, value_name = "WHERE")]
    metrics_to: Option<MetricsTo>,
    /// Where data is kept until it is sent: none (in memory), emptyDir or hostPath
    #[arg(long, value_name = "WHERE")]
    storage: Option<StorageType>,
    /// How many agents a deployment has
    #[arg(long, value_name = "NUMBER")]
    replicas: Option<u32>,
    /// An environment variable of the agents; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// A ServiceMonitor for the Prometheus Operator
    #[arg(long)]
    service_monitor: bool,
    /// A PodMonitor for the Prometheus Operator
    #[arg(long)]
    pod_monitor: bool,
    /// The alerts for the Prometheus Operator
    #[arg(long)]
    prometheus_rule: bool,
    /// A label of what the Prometheus Operator takes, often release=NAME; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    monitor_label: Vec<String>,
    /// The dashboard as a ConfigMap for Grafana
    #[arg(long)]
    dashboard: bool,
    /// A NetworkPolicy
    #[arg(long)]
    network_policy: bool,
    /// The version of the cluster: 1.34
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
    /// How it is written: yaml to standard output, or a folder for kustomize or helm
    #[arg(long, value_enum, default_value = "yaml", value_name = "FORMAT", hide_possible_values = true)]
    output: Output,
    /// The folder for --output kustomize and --output helm
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// Any value by its key: --set image.pullPolicy=Always; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Arguments {
    /// The values, and the configuration file if one is named. None after something wrong has been told.
    pub(super) fn values(&self, told: &mut Told) -> Option<(Values, Option<Request>)> {
        let mut values = Values::default();
        if let Some(file) = &self.values {
            let text = read(file, "--values", told)?;
            let written = told.read(file, &text)?;
            let mut problems = Vec::new();
            values.read(&written, &mut problems);
            problems.iter().for_each(|problem| told.choice(problem));
        }
        for set in &self.set {
            apply(set, &mut values, told);
        }
        self.apply(&mut values, told);
        let request = match &self.config {
            Some(file) => {
                values.config = Some(read(file, "--config", told)?.into());
                Some(Request { configs: vec![file.clone()], sets: Vec::new() })
            }
            None => None,
        };
        (!told.any_errors()).then_some((values, request))
    }

    /// Which folder is written, if it is one. None after something wrong has been told.
    pub(super) fn folder(&self, told: &mut Told) -> Option<Option<(Output, &Path)>> {
        match (self.output, &self.directory) {
            (Output::Yaml, None) => Some(None),
            (Output::Yaml, Some(_)) => {
                let remedy = "add `--output kustomize` or `--output helm`; YAML goes to standard output";
                told.argument("`--directory` names a folder, and there is no folder to write", remedy);
                None
            }
            (_, None) => {
                told.argument("this output is a folder, and none is named", "add `--directory FOLDER`");
                None
            }
            (output, Some(directory)) => Some(Some((output, directory))),
        }
    }

    /// The configuration file, if one is named.
    pub(super) fn request(&self) -> Option<Request> {
        self.config.clone().map(|file| Request { configs: vec![file], sets: Vec::new() })
    }

    fn apply(&self, values: &mut Values, told: &mut Told) {
        set(&mut values.profile, self.profile);
        set(&mut values.mode, self.mode);
        values.routing = self.routing.or(values.routing);
        values.host_network |= self.host_network;
        set(&mut values.cluster_name, self.cluster_name.clone());
        set(&mut values.environment, self.environment.clone());
        set(&mut values.namespace, self.namespace.clone());
        set(&mut values.backend.endpoint, self.backend.clone());
        set(&mut values.metrics_to, self.metrics_to);
        set(&mut values.storage.r#type, self.storage);
        set(&mut values.kubernetes_version, self.kubernetes_version.clone());
        values.replicas = self.replicas.or(values.replicas);
        if let Some(image) = &self.image {
            values.set_image(image);
        }
        for (key, value) in pairs("--node-selector", &self.node_selector, told) {
            values.node_selector.insert(key, value);
        }
        for (name, value) in pairs("--env", &self.env, told) {
            values.extra_envs.retain(|variable| variable.name != name);
            values.extra_envs.push(EnvVar { name, value: Some(value), ..EnvVar::default() });
        }
        if let Some(class) = &self.priority_class {
            priority_class(class, values, told);
        }
        tolerations(&self.toleration, values, told);
        self.apply_monitoring(values, told);
    }

    fn apply_monitoring(&self, values: &mut Values, told: &mut Told) {
        values.service_monitor.enabled |= self.service_monitor;
        values.pod_monitor.enabled |= self.pod_monitor;
        values.prometheus_rule.enabled |= self.prometheus_rule;
        values.dashboard.enabled |= self.dashboard;
        values.network_policy.enabled |= self.network_policy;
        for (key, value) in pairs("--monitor-label", &self.monitor_label, told) {
            let monitors = [&mut values.service_monitor.labels, &mut values.pod_monitor.labels];
            for labels in monitors.into_iter().chain([&mut values.prometheus_rule.labels]) {
                labels.insert(key.clone(), value.clone());
            }
        }
    }
}

fn set<T>(value: &mut T, argument: Option<T>) {
    if let Some(argument) = argument {
        *value = argument;
    }
}

fn read(file: &str, argument: &str, told: &mut Told) -> Option<String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Some(text),
        Err(error) => {
            told.argument(format!("cannot read `{file}`: {error}"), format!("`{argument}` takes the path of a file"));
            None
        }
    }
}

/// `--set serviceMonitor.enabled=true`: as if it stood in the values file beside what is there.
fn apply(set: &str, values: &mut Values, told: &mut Told) {
    let Some((key, text)) = set.split_once('=') else {
        told.argument(format!("`--set {set}` has no `=`"), "write `--set key.key=value`");
        return;
    };
    let mut problems = crate::settings::Problems::default();
    let value = crate::settings::parse(crate::settings::FileId(0), text, &mut problems);
    let Some(value) = value.filter(|_| problems.is_empty()) else {
        told.argument(format!("`--set {set}`: what stands behind the `=` is no YAML"), "put it into quotes");
        return;
    };
    let json = crate::config::output::json_value(&value);
    let nested = key.rsplit('.').fold(json, |value, key| serde_json::json!({ key: value }));
    let mut wrong = Vec::new();
    values.set(&nested, &mut wrong);
    for problem in wrong {
        told.choice(&chosen::Problem { what: format!("--set {set}: {}", problem.what), ..problem });
    }
}

fn pairs(argument: &str, written: &[String], told: &mut Told) -> Vec<(String, String)> {
    let split = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Some((key.to_owned(), value.to_owned())),
        _ => {
            told.argument(format!("`{argument} {text}` is not KEY=VALUE"), format!("write `{argument} key=value`"));
            None
        }
    };
    written.iter().filter_map(split).collect()
}

/// `name`, or `name:1000000` for one that is rendered.
fn priority_class(class: &str, values: &mut Values, told: &mut Told) {
    let (name, value) = class.split_once(':').map_or((class, None), |(name, value)| (name, Some(value)));
    name.clone_into(&mut values.priority_class_name);
    let Some(value) = value else { return };
    match value.parse() {
        Ok(value) => {
            values.priority_class.create = true;
            values.priority_class.value = value;
        }
        Err(_) => told.argument(
            format!("`--priority-class {class}`: `{value}` is not a number"),
            "write `--priority-class otel-agent:1000000`, or the name of a class that is there",
        ),
    }
}

/// Each argument is one; together they replace the default, which tolerates everything.
fn tolerations(written: &[String], values: &mut Values, told: &mut Told) {
    let mut list = Vec::new();
    for text in written {
        match text.as_str() {
            "none" => {}
            "all" => list.push(Toleration { operator: Some("Exists".to_owned()), ..Toleration::default() }),
            text => list.extend(toleration(text, told)),
        }
    }
    if !written.is_empty() {
        values.tolerations = Some(list);
    }
}

fn toleration(text: &str, told: &mut Told) -> Option<Toleration> {
    const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let (taint, effect) = text.split_once(':').map_or((text, None), |(taint, effect)| (taint, Some(effect)));
    if let Some(wrong) = effect.filter(|effect| !EFFECTS.contains(effect)) {
        let what = format!("`--toleration {text}`: there is no effect `{wrong}`");
        told.argument(what, format!("the effects are {}", EFFECTS.join(", ")));
        return None;
    }
    let (key, value) = taint.split_once('=').map_or((taint, None), |(key, value)| (key, Some(value)));
    if key.is_empty() {
        told.argument(format!("`--toleration {text}` names no taint"), "write KEY, KEY=VALUE or KEY=VALUE:EFFECT");
        return None;
    }
    Some(Toleration {
        key: Some(key.to_owned()),
        operator: Some(if value.is_some() { "Equal" } else { "Exists" }.to_owned()),
        value: value.map(str::to_owned),
        effect: effect.map(str::to_owned),
        ..Toleration::default()
    })
}
