//! Receivers: what takes telemetry in. A closed enum; a component is one file and three lines here.

/// OTLP over gRPC and HTTP.
pub mod otlp;

use crate::component::components;
use crate::settings::ComponentId;

pub use otlp::{Inputs, Running};

components! {
    /// The settings of a receiver.
    pub enum Config "receiver" {
        Otlp(otlp::Config),
    }
    not_yet {
        "prometheus" => BESIDE,
        "file_log" => BESIDE,
        "filelog" => BESIDE,
        "host_metrics" => BESIDE,
        "hostmetrics" => BESIDE,
        "kubelet_stats" => BESIDE,
        "kubeletstats" => BESIDE,
        "fluent_forward" => BESIDE,
        "fluentforward" => BESIDE,
        "http_check" => BESIDE,
        "httpcheck" => BESIDE,
        "jaeger" => SEND_OTLP,
        "zipkin" => SEND_OTLP,
        "otelarrow" => SEND_OTLP,
        "journald" => BESIDE,
        "k8s_cluster" => BESIDE,
        "k8s_events" => BESIDE,
        "k8sobjects" => BESIDE,
        "receiver_creator" => BESIDE,
        "statsd" => BESIDE,
        "syslog" => BESIDE,
        "tcplog" => BESIDE,
        "udplog" => BESIDE,
        "nop" => "remove it",
    }
}

const BESIDE: &str = "run a Collector with this receiver beside the agent and let it send OTLP to the agent";
const SEND_OTLP: &str = "let the application send OTLP; the `otlp` receiver takes it";

impl Config {
    /// Binds its ports and starts to take data.
    ///
    /// # Errors
    ///
    /// A port is taken, a certificate cannot be used, or an authenticator is missing. Nothing stays bound then.
    pub fn start(&self, id: &ComponentId, inputs: Inputs<'_>) -> anyhow::Result<Running> {
        match self {
            Config::Otlp(config) => otlp::start(id, config, inputs),
        }
    }
}
