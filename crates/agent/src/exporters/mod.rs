//! Exporters: where telemetry goes. A closed enum; a component is one file and three lines here.

/// OTLP over gRPC.
pub mod otlp_grpc;

/// OTLP over HTTP.
pub mod otlp_http;

/// What the two have in common.
pub mod otlp;

/// To the log or to standard output.
pub mod debug;

use crate::component::components;

components! {
    /// The settings of an exporter.
    pub enum Config "exporter" {
        OtlpGrpc(otlp_grpc::Config),
        OtlpHttp(otlp_http::Config),
        Debug(debug::Config),
    }
    not_yet {
        "prometheus" => VIA,
        "prometheus_remote_write" => VIA,
        "prometheusremotewrite" => VIA,
        "load_balancing" => "send to a Kubernetes Service or a proxy that balances gRPC",
        "loadbalancing" => "send to a Kubernetes Service or a proxy that balances gRPC",
        "otelarrow" => "use `otlp_grpc` with `compression: zstd`",
        "kafka" => VIA,
        "nop" => "remove it, or use `debug`",
        "logging" => "the Collector removed it too; use `debug`",
    }
}

const VIA: &str = "send OTLP with `otlp_grpc` or `otlp_http` to a backend or a Collector that has it";
