//! The configuration that is deployed when nobody brings one, with the figures of the profile, and the ConfigMap that carries it.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::ConfigMap;

use super::{CONFIG_KEY, Context, NAME, Object};
use crate::values::{MetricsTo, Mode, StorageType, Values};

pub(super) fn config_map(cx: &Context<'_>) -> Object {
    let mut text = cx.workload.config.trim_end().to_owned();
    text.push('\n');
    let object = ConfigMap {
        metadata: cx.metadata(NAME),
        data: Some([(CONFIG_KEY.to_owned(), text)].into()),
        ..ConfigMap::default()
    };
    let note = "The agents notice a changed configuration by themselves (--watch-config) and refuse a bad one, so the pods carry no\n\
                checksum of it: a change restarts nothing.";
    Object::new(&object, note)
}

/// The text of the configuration: the person's own, or the default one.
#[must_use]
pub fn text(values: &Values) -> String {
    match &values.config {
        None => default_configuration(values),
        Some(serde_json::Value::String(text)) => text.clone(),
        // JSON values can always be written.
        Some(tree) => serde_saphyr::to_string_with_options(tree, super::yaml::options()).unwrap_or_default(),
    }
}

/// The text of the default configuration.
fn default_configuration(values: &Values) -> String {
    let figures = values.profile.figures();
    let mut out = String::new();
    out.push_str(HEAD);
    write_processors(&mut out, values);
    write_exporters(&mut out, values, figures.series_mib);
    write_extensions(&mut out, values);
    write_service(&mut out, values);
    out
}

const HEAD: &str = "\
# OTLP in; the attributes of the pod that it came from and of the cluster added; batched; handed on.
receivers:
  otlp:
    protocols:
      grpc: {endpoint: \":4317\"}   # every address of the pod, IPv4 and IPv6
      http: {endpoint: \":4318\"}
";

// Writing to a string cannot fail.
fn write_processors(out: &mut String, values: &Values) {
    let figures = values.profile.figures();
    let (limit, spike) = (crate::values::LIMIT_PERCENTAGE, crate::values::SPIKE_LIMIT_PERCENTAGE);
    let _ = write!(
        out,
        "processors:
  # In percent of the container's memory limit: data is refused before the kernel would end the agent.
  memory_limiter: {{check_interval: 1s, limit_percentage: {limit}, spike_limit_percentage: {spike}}}
  k8s_attributes:
"
    );
    out.push_str(match values.mode {
        Mode::Daemonset => "    filter: {node_from_env_var: K8S_NODE_NAME}   # the pods of this node only\n",
        Mode::Deployment => "    whole_cluster: true   # a gateway hears of the pods of every node\n",
    });
    out.push_str(
        "    extract:
      metadata: [k8s.namespace.name, k8s.deployment.name, k8s.pod.name, k8s.pod.uid, k8s.node.name]
    # What the sender says of itself goes before the address that it sends from: proxies and host ports hide that one.
    pod_association:
      - sources: [{from: resource_attribute, name: k8s.pod.uid}]
      - sources: [{from: resource_attribute, name: k8s.pod.ip}]
      - sources: [{from: connection}]
  resource:
    attributes:
",
    );
    let _ = writeln!(out, "      - {{key: k8s.cluster.name, value: {}, action: upsert}}", quoted(&values.cluster_name));
    if !values.environment.is_empty() {
        let environment = quoted(&values.environment);
        let _ = writeln!(out, "      - {{key: deployment.environment.name, value: {environment}, action: upsert}}");
    }
    let _ = writeln!(out, "  batch: {{timeout: {}s, send_batch_size: {}}}", figures.batch_seconds, figures.batch_items);
}

fn write_exporters(out: &mut String, values: &Values, series_mib: u32) {
    out.push_str("exporters:\n");
    let backend = &values.backend;
    let queue =
        if values.storage.r#type == StorageType::None { "" } else { ", sending_queue: {storage: file_storage}" };
    let endpoint = quoted(&backend.endpoint);
    if backend.is_http() {
        let _ = writeln!(out, "  otlp_http: {{endpoint: {endpoint}{queue}}}");
    } else {
        let insecure = backend.insecure;
        let _ = writeln!(out, "  otlp_grpc: {{endpoint: {endpoint}, tls: {{insecure: {insecure}}}{queue}}}");
    }
    if values.metrics_to != MetricsTo::Otlp {
        let _ = writeln!(
            out,
            "  prometheus: {{endpoint: \":8889\", resource_to_telemetry_conversion: {{enabled: true}}, max_series_bytes: {series_mib}MiB}}"
        );
    }
}

fn write_extensions(out: &mut String, values: &Values) {
    out.push_str("extensions:\n  health_check: {endpoint: \":13133\"}\n");
    if values.storage.r#type != StorageType::None {
        let (path, size) = (quoted(&values.storage.path), size_of(&values.storage.size));
        let _ = writeln!(
            out,
            "  # What was acknowledged is on disk before; `kill -9` loses none of it.\n  \
             file_storage: {{directory: {path}, max_size: {size}, create_directory: true}}"
        );
    }
}

fn write_service(out: &mut String, values: &Values) {
    let extensions =
        if values.storage.r#type == StorageType::None { "health_check" } else { "health_check, file_storage" };
    let otlp = if values.backend.is_http() { "otlp_http" } else { "otlp_grpc" };
    let _ = write!(
        out,
        "service:
  extensions: [{extensions}]
  telemetry:
    metrics:
      readers: [{{pull: {{exporter: {{prometheus: {{host: \"\", port: 8888}}}}}}}}]
  pipelines:
"
    );
    for signal in ["metrics", "traces", "logs"] {
        let exporters = match (signal, values.metrics_to) {
            ("metrics", MetricsTo::Prometheus) => "prometheus".to_owned(),
            ("metrics", MetricsTo::Both) => format!("{otlp}, prometheus"),
            _ => otlp.to_owned(),
        };
        let _ = writeln!(
            out,
            "    {signal}: {{receivers: [otlp], processors: [memory_limiter, k8s_attributes, resource, batch], exporters: [{exporters}]}}"
        );
    }
}

/// A value in double quotes. A dollar sign would begin a variable, so it is doubled.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

/// Kubernetes writes `1Gi` where the configuration writes `1GiB`.
fn size_of(quantity: &str) -> String {
    crate::values::memory_bytes(quantity).map_or_else(|| quoted(quantity), |bytes| bytes.to_string())
}

impl crate::values::Backend {
    /// Whether it is OTLP over HTTP.
    #[must_use]
    pub fn is_http(&self) -> bool {
        self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://")
    }
}
