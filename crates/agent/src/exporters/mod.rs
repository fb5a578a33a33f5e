//! Exporters: where telemetry goes. A closed enum; a component is one file and three lines here.

/// OTLP over gRPC.
pub mod otlp_grpc;

/// OTLP over HTTP.
pub mod otlp_http;

/// What the two have in common.
pub mod otlp;

/// To the log or to standard output.
pub mod debug;

/// To files.
pub mod file;

/// To Prometheus, which fetches.
pub mod prometheus;

/// Remote write to Prometheus.
pub mod prometheus_remote_write;

/// Names, labels and series of Prometheus, for the exporters that make them.
pub mod series;

/// What a pipe that nobody reads from keeps.
#[cfg(test)]
mod stuck;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use wire::Signal;

use crate::component::{ExtensionNeed, Role, components};
use crate::net::auth::Credentials;
use crate::pipeline::beside::Beside;
use crate::pipeline::{Sender, queue};
use crate::settings::{ComponentId, Toggle};
use crate::telemetry::Metrics;

components! {
    /// The settings of an exporter.
    pub enum Config "exporter" {
        OtlpGrpc(otlp_grpc::Config),
        OtlpHttp(otlp_http::Config),
        Debug(debug::Config),
        File(file::Config),
        Prometheus(prometheus::Config),
        PrometheusRemoteWrite(prometheus_remote_write::Config),
    }
    not_yet {
        "load_balancing" => "send to a Kubernetes Service or a proxy that balances gRPC",
        "loadbalancing" => "send to a Kubernetes Service or a proxy that balances gRPC",
        "otelarrow" => "use `otlp_grpc` with `compression: zstd`",
        "kafka" => VIA,
        "nop" => "remove it, or use `debug`",
        "logging" => "the Collector removed it too; use `debug`",
    }
}

const VIA: &str = "send OTLP with `otlp_grpc` or `otlp_http` to a backend or a Collector that has it";

/// What exporters that are fetched from have, for as long as their settings stay as they are.
#[derive(Debug, Default)]
pub struct Kept {
    prometheus: HashMap<ComponentId, (prometheus::Config, prometheus::Exporter)>,
}

impl Kept {
    /// What these exporters have: what they had `before`, if their settings are the same.
    pub fn of<'a>(
        exporters: impl IntoIterator<Item = (&'a ComponentId, &'a Config)>,
        before: Option<&Kept>,
        metrics: &Metrics,
    ) -> Kept {
        let mut kept = Kept::default();
        for (id, config) in exporters {
            let Config::Prometheus(config) = config else { continue };
            let known = before.and_then(|before| before.prometheus.get(id)).filter(|(known, _)| known == &**config);
            let exporter = known.map_or_else(|| prometheus::Exporter::new(id, config), |(_, known)| known.clone());
            exporter.show_in(metrics);
            kept.prometheus.insert(id.clone(), ((**config).clone(), exporter));
        }
        kept
    }

    /// Says how much memory the series take.
    pub fn weigh(&self, beside: &Beside) {
        for (_, exporter) in self.prometheus.values() {
            let exporter = exporter.clone();
            beside.add("series", move || exporter.bytes());
        }
    }

    /// Opens what is fetched from; the exporters that opened before an error are in `opened`.
    ///
    /// # Errors
    ///
    /// A port is taken, a certificate cannot be used, or an authenticator is missing.
    pub fn open(
        &self,
        find: prometheus::FindAuthenticator<'_>,
        opened: &mut Vec<(ComponentId, prometheus::Running)>,
    ) -> anyhow::Result<()> {
        for (id, (config, exporter)) in &self.prometheus {
            let running = exporter.open(id, config, find).with_context(|| format!("cannot start exporter `{id}`"))?;
            opened.push((id.clone(), running));
        }
        Ok(())
    }
}

/// Finds what says who we are, by the id of an extension.
pub type FindCredentials<'a> = &'a dyn Fn(&ComponentId) -> Option<Arc<dyn Credentials>>;

impl Config {
    /// The way to this exporter for one signal: what it sends with, and queue, retry and counting around it.
    ///
    /// # Errors
    ///
    /// A certificate, a file or a folder cannot be used, or an authenticator is missing.
    pub fn sender(
        &self,
        id: &ComponentId,
        signal: Signal,
        credentials: FindCredentials<'_>,
        kept: &Kept,
        metrics: &Metrics,
    ) -> anyhow::Result<Sender> {
        let find = |auth: Option<&otlp::Auth>| {
            let found = auth.map(|auth| {
                let id = &auth.authenticator;
                credentials(id).with_context(|| format!("there is no authenticator `{id}` in service::extensions"))
            });
            found.transpose()
        };
        let name = id.to_string();
        let sender = match self {
            Config::OtlpGrpc(config) => {
                let exporter = otlp_grpc::Exporter::new(config, find(config.auth.as_ref())?)?;
                let labels = exporter.labels();
                Sender::new(&name, signal, &config.policy(), exporter, &borrowed(&labels), metrics)
            }
            Config::OtlpHttp(config) => {
                let exporter = otlp_http::Exporter::new(config, signal, find(config.auth.as_ref())?)?;
                let labels = exporter.labels();
                Sender::new(&name, signal, &config.policy(), exporter, &borrowed(&labels), metrics)
            }
            Config::Debug(config) => {
                Sender::new(&name, signal, &config.policy(), debug::Debug::new(config, id)?, &[], metrics)
            }
            Config::File(config) => {
                Sender::new(&name, signal, &config.policy(), file::File::open(config)?, &[], metrics)
            }
            Config::Prometheus(config) => {
                let (_, exporter) = kept.prometheus.get(id).context("it has no table of series")?;
                Sender::new(&name, signal, &config.policy(), exporter.clone(), &[], metrics)
            }
            Config::PrometheusRemoteWrite(config) => {
                let exporter = prometheus_remote_write::Exporter::new(id, config, find(config.auth())?, metrics)?;
                Sender::new(&name, signal, &config.policy(), exporter, &[], metrics)
            }
        };
        Ok(sender)
    }
}

/// The extension that a queue names to keep what it holds.
fn needed_storage(queue: &Toggle<queue::Settings>) -> Option<ExtensionNeed> {
    let id = queue.on()?.storage.clone()?;
    Some(ExtensionNeed { id, role: Role::Storage, key: "sending_queue::storage" })
}

fn borrowed<'a>(labels: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
