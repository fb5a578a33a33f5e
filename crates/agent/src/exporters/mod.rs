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

/// Remote write to Prometheus.
pub mod prometheus_remote_write;

/// Names, labels and series of Prometheus, for the exporters that make them.
pub mod series;

use std::sync::Arc;

use anyhow::Context as _;
use wire::Signal;

use crate::component::components;
use crate::net::auth::Credentials;
use crate::pipeline::Sender;
use crate::settings::ComponentId;
use crate::telemetry::Metrics;

components! {
    /// The settings of an exporter.
    pub enum Config "exporter" {
        OtlpGrpc(otlp_grpc::Config),
        OtlpHttp(otlp_http::Config),
        Debug(debug::Config),
        File(file::Config),
        PrometheusRemoteWrite(prometheus_remote_write::Config),
    }
    not_yet {
        "prometheus" => VIA,
        "load_balancing" => "send to a Kubernetes Service or a proxy that balances gRPC",
        "loadbalancing" => "send to a Kubernetes Service or a proxy that balances gRPC",
        "otelarrow" => "use `otlp_grpc` with `compression: zstd`",
        "kafka" => VIA,
        "nop" => "remove it, or use `debug`",
        "logging" => "the Collector removed it too; use `debug`",
    }
}

const VIA: &str = "send OTLP with `otlp_grpc` or `otlp_http` to a backend or a Collector that has it";

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
            Config::PrometheusRemoteWrite(config) => {
                let exporter = prometheus_remote_write::Exporter::new(id, config, find(config.auth())?, metrics)?;
                Sender::new(&name, signal, &config.policy(), exporter, &[], metrics)
            }
        };
        Ok(sender)
    }
}

fn borrowed<'a>(labels: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
