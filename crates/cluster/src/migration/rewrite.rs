//! What is different in the agent's pod: addresses to listen on, names from the downward API, the memory limit, whose pods are
//! known; and what of the old pod the configuration refers to.

use serde_json::{Map, Value, json};

use super::carry::{Carrying, State};
use super::found::Found;
use super::objects::{list, text};

/// Names that the agent's pod has, by the field of the pod that they are from.
const DOWNWARD: [(&str, &str); 4] = [
    ("spec.nodeName", "K8S_NODE_NAME"),
    ("metadata.name", "K8S_POD_NAME"),
    ("status.podIP", "K8S_POD_IP"),
    ("metadata.namespace", "K8S_NAMESPACE"),
];

impl Carrying<'_> {
    /// Makes it fit.
    pub(super) fn rewrite(&mut self) {
        self.listen_as_the_service_says();
        self.be_seen();
        self.rename_variables();
        self.follow_the_container_limit();
        self.know_the_pods_of_the_node();
    }

    /// Ports that the agent's Service has, on every address of the pod.
    fn listen_as_the_service_says(&mut self) {
        for id in self.ids("receivers") {
            for (protocol, endpoint) in [("grpc", ":4317"), ("http", ":4318")] {
                let path = format!("receivers::{id}::protocols::{protocol}::endpoint");
                let Some(settings) = self.receiver_protocol(&id, protocol) else { continue };
                let before = text(settings, "/endpoint").to_owned();
                if settings.is_null() {
                    *settings = json!({});
                }
                if let Some(settings) = settings.as_object_mut() {
                    settings.insert("endpoint".to_owned(), json!(endpoint));
                }
                let what = match before.as_str() {
                    "" => format!("set to `{endpoint}`, every address of the pod; the default is loopback only"),
                    before if before == endpoint => continue,
                    before => format!("`{before}` becomes `{endpoint}`, every address of the pod"),
                };
                self.say(&path, State::Changed, what, "");
            }
        }
    }

    fn receiver_protocol(&mut self, id: &str, protocol: &str) -> Option<&mut Value> {
        // Two `otlp` receivers on one port would not start; the first one gets the ports of the Service.
        if id.split('/').next() != Some("otlp") || self.ids("receivers").iter().find(|id| id.starts_with("otlp"))? != id
        {
            return None;
        }
        self.config.get_mut("receivers")?.get_mut(id)?.get_mut("protocols")?.get_mut(protocol)
    }

    fn rename_variables(&mut self) {
        let renamed: Vec<(String, &str)> = old_variables(self.found)
            .iter()
            .filter_map(|variable| {
                let field = text(variable, "/valueFrom/fieldRef/fieldPath");
                let (_, new) = DOWNWARD.iter().find(|(known, _)| *known == field)?;
                let old = text(variable, "/name");
                (old != *new).then(|| (old.to_owned(), *new))
            })
            .collect();
        for (old, new) in renamed {
            let mut any = false;
            for value in self.config.values_mut() {
                change_texts(value, &mut |text| {
                    let changed = text.replace(&format!("${{env:{old}}}"), &format!("${{env:{new}}}"));
                    let changed = changed.replace(&format!("${{{old}}}"), &format!("${{env:{new}}}"));
                    any |= changed != *text;
                    *text = changed;
                });
            }
            // Keys that name a variable rather than hold its value.
            for value in self.config.values_mut() {
                change_keys(value, "node_from_env_var", &mut |text| {
                    if *text == old {
                        new.clone_into(text);
                        any = true;
                    }
                });
            }
            if any {
                self.say(
                    &format!("${{env:{old}}}"),
                    State::Changed,
                    format!("is `${{env:{new}}}` in the agent's pod"),
                    "",
                );
            }
        }
    }

    /// A limit in MiB was made for the old container.
    fn follow_the_container_limit(&mut self) {
        let limits = json!({"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 25});
        let limiter = self.ids("processors").into_iter().find(|id| id.split('/').next() == Some("memory_limiter"));
        if let Some(id) = limiter {
            let Some(settings) = self.config.get_mut("processors").and_then(|all| all.get_mut(&id)) else { return };
            // Percentages follow the container by themselves.
            if settings.get("limit_percentage").is_some() && settings.get("limit_mib").is_none() {
                return;
            }
            let before = settings.to_string();
            *settings = limits;
            let what =
                format!("{before} was made for the old container; now 80 % of the agent's, 25 % of it for spikes");
            self.say(&format!("processors::{id}"), State::Changed, what, "");
            return;
        }
        let processors = self.config.entry("processors").or_insert_with(|| json!({}));
        if processors.is_null() {
            *processors = json!({});
        }
        if let Some(processors) = processors.as_object_mut() {
            processors.shift_insert(0, "memory_limiter".to_owned(), limits);
        }
        for pipeline in self.pipelines_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(pipeline) = pipeline.as_object_mut() {
                let list = pipeline.entry("processors").or_insert_with(|| json!([]));
                if list.is_null() {
                    *list = json!([]);
                }
                if let Some(list) = list.as_array_mut() {
                    list.insert(0, json!("memory_limiter"));
                }
            }
        }
        let what = "added to every pipeline: without one a backend that is away ends in the container being killed";
        self.say("processors::memory_limiter", State::Changed, what, "");
    }

    fn know_the_pods_of_the_node(&mut self) {
        for id in self.ids("processors") {
            if !["k8s_attributes", "k8sattributes"].contains(&id.split('/').next().unwrap_or_default()) {
                continue;
            }
            let Some(settings) = self.config.get_mut("processors").and_then(|all| all.get_mut(&id)) else { continue };
            if settings.is_null() {
                *settings = json!({});
            }
            let Some(settings) = settings.as_object_mut() else { continue };
            if settings.get("passthrough") == Some(&json!(true)) {
                continue;
            }
            let filter = settings.entry("filter").or_insert_with(|| json!({}));
            let Some(filter) = filter.as_object_mut() else { continue };
            if filter.contains_key("node_from_env_var") || filter.contains_key("node") {
                continue;
            }
            filter.insert("node_from_env_var".to_owned(), json!("K8S_NODE_NAME"));
            let what = "added: an agent needs the pods of its own node only";
            self.say(&format!("processors::{id}::filter::node_from_env_var"), State::Changed, what, "");
        }
    }

    /// Health for the probes, metrics for Prometheus and for the steps that follow.
    fn be_seen(&mut self) {
        let health = self.ids("extensions").into_iter().find(|id| id.split('/').next() == Some("health_check"));
        let id = health.clone().unwrap_or_else(|| "health_check".to_owned());
        let extensions = self.config.entry("extensions").or_insert_with(|| json!({}));
        if extensions.is_null() {
            *extensions = json!({});
        }
        if let Some(extensions) = extensions.as_object_mut() {
            extensions.insert(id.clone(), json!({"endpoint": ":13133"}));
        }
        let Some(service) = self.config.get_mut("service").and_then(Value::as_object_mut) else { return };
        let list = service.entry("extensions").or_insert_with(|| json!([]));
        if list.is_null() {
            *list = json!([]);
        }
        if let Some(list) = list.as_array_mut()
            && !list.contains(&json!(id))
        {
            list.push(json!(id));
        }
        let telemetry = service.entry("telemetry").or_insert_with(|| json!({}));
        if telemetry.is_null() {
            *telemetry = json!({});
        }
        if let Some(telemetry) = telemetry.as_object_mut() {
            let readers = json!([{"pull": {"exporter": {"prometheus": {"host": "", "port": 8888}}}}]);
            telemetry.insert("metrics".to_owned(), json!({"readers": readers}));
        }
        let what = if health.is_some() {
            "listens on `:13133`, for the probes of the pod"
        } else {
            "added, for the probes of the pod"
        };
        self.say(&format!("extensions::{id}"), State::Changed, what, "");
        self.say("service::telemetry::metrics", State::Changed, "read on `:8888`, every address of the pod", "");
    }
}

/// Whether a receiver `prometheus` scrapes nothing but the collector that it is in.
pub(super) fn scrapes_itself(kind: &str, settings: Option<&Value>) -> bool {
    let own = |target: &Value| {
        let target = target.as_str().unwrap_or_default();
        let host = target.strip_suffix(":8888");
        host.is_some_and(|host| ["0.0.0.0", "localhost", "127.0.0.1"].contains(&host) || host.contains("POD_IP"))
    };
    let Some(settings) = settings.filter(|_| kind == "prometheus") else { return false };
    let jobs = list(settings, "/config/scrape_configs");
    let mut targets =
        jobs.iter().flat_map(|job| list(job, "/static_configs")).flat_map(|one| list(one, "/targets")).peekable();
    let others = |job: &Value| job.as_object().is_some_and(|job| job.keys().any(|key| key.ends_with("_sd_configs")));
    targets.peek().is_some() && targets.all(own) && !jobs.iter().any(others)
}

fn old_variables(found: &Found) -> Vec<Value> {
    found.container().map(|container| list(container, "/env").to_vec()).unwrap_or_default()
}

/// The variables of the old pod that the configuration still names.
pub(super) fn variables(found: &Found, config: &Map<String, Value>) -> Vec<Value> {
    let text = Value::Object(config.clone()).to_string();
    let named = |variable: &Value| {
        let name = self::text(variable, "/name");
        let ours = DOWNWARD.iter().any(|(_, ours)| *ours == name);
        !ours
            && [format!("${{env:{name}}}"), format!("${{env:{name}:"), format!("${{{name}}}")]
                .iter()
                .any(|written| text.contains(written))
    };
    old_variables(found).into_iter().filter(named).collect()
}

/// Variables with a value that the loader can use: their own, or a stand-in where only the cluster knows it.
pub(super) fn known(variables: &[Value]) -> Vec<(String, String)> {
    let own = variables.iter().map(|variable| {
        let value = variable.get("value").and_then(Value::as_str).filter(|value| !value.contains("$("));
        (text(variable, "/name").to_owned(), value.unwrap_or("stand-in").to_owned())
    });
    own.chain(DOWNWARD.map(|(_, name)| (name.to_owned(), "10.0.0.1".to_owned()))).collect()
}

/// Volumes that the configuration refers to by a path, and where they are mounted.
pub(super) fn volumes(found: &Found, config: &Map<String, Value>) -> (Vec<Value>, Vec<Value>) {
    let written = Value::Object(config.clone()).to_string();
    let mounts = found.container().map(|container| list(container, "/volumeMounts").to_vec()).unwrap_or_default();
    let own = |mount: &Value| {
        found.config_map.as_deref().is_some_and(|config_map| {
            volume(found, mount).is_some_and(|volume| text(volume, "/configMap/name") == config_map)
        })
    };
    let named = |mount: &Value| {
        let path = text(mount, "/mountPath");
        path.len() > 1 && !own(mount) && written.contains(path)
    };
    let mounts: Vec<Value> = mounts.into_iter().filter(named).collect();
    let mut volumes: Vec<Value> = mounts.iter().filter_map(|mount| volume(found, mount)).cloned().collect();
    volumes.dedup();
    (volumes, mounts)
}

fn volume<'a>(found: &'a Found, mount: &Value) -> Option<&'a Value> {
    list(&found.template, "/spec/volumes").iter().find(|volume| text(volume, "/name") == text(mount, "/name"))
}

/// Secrets and ConfigMaps that these name.
pub(super) fn references(all: &[&Vec<Value>]) -> Vec<String> {
    const PLACES: [(&str, &str); 6] = [
        ("/valueFrom/secretKeyRef/name", "secret"),
        ("/valueFrom/configMapKeyRef/name", "configmap"),
        ("/secretRef/name", "secret"),
        ("/configMapRef/name", "configmap"),
        ("/secret/secretName", "secret"),
        ("/configMap/name", "configmap"),
    ];
    let mut references: Vec<String> = Vec::new();
    for value in all.iter().flat_map(|values| values.iter()) {
        for (place, kind) in PLACES {
            let reference = format!("{kind}/{}", text(value, place));
            if !text(value, place).is_empty() && !references.contains(&reference) {
                references.push(reference);
            }
        }
    }
    references
}

fn change_texts(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| change_texts(item, change)),
        Value::Object(map) => map.values_mut().for_each(|value| change_texts(value, change)),
        _ => {}
    }
}

fn change_keys(value: &mut Value, wanted: &str, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| change_keys(item, wanted, change)),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(text) if key == wanted => change(text),
                    value => change_keys(value, wanted, change),
                }
            }
        }
        _ => {}
    }
}
