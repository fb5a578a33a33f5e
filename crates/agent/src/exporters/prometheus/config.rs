//! What a person writes for the exporter `prometheus`.

use std::collections::BTreeMap;

use wire::Signal;

use crate::component::{About, Component, ExtensionNeed, Listener, Needs, Role, Status};
use crate::exporters::series::conversion::Conversion;
use crate::exporters::series::names::Strategy;
use crate::net::tls::server::ServerTls;
use crate::pipeline::{Policy, queue};
use crate::settings::{ByteSize, ComponentId, Endpoint, GoDuration, Reader, Toggle, settings, words};

settings! {
    /// Shows metrics to Prometheus, which fetches them from `/metrics`. It keeps the last value of each series.
    pub struct Config {
        /// Where to listen, such as `0.0.0.0:8889`. Prometheus must be able to reach it, so in a cluster not localhost.
        required pub endpoint: Endpoint,
        /// What kind of endpoint it is.
        pub transport: Transport = Transport::Tcp,
        /// What stands before every metric's name, with `_` between them.
        pub namespace: String = String::new(),
        /// Labels that every series has.
        pub const_labels: BTreeMap<String, String> = BTreeMap::new(),
        /// Writes the time of each data point beside its value. Prometheus then drops what it finds too old or out of
        /// order; without it, values count as of the moment of the scrape.
        pub send_timestamps: bool = false,
        /// A series that nobody has written to for this long is no longer shown.
        pub metric_expiration: GoDuration = GoDuration::minutes(5),
        /// Offers OpenMetrics, with exemplars, beside the text format and protobuf.
        pub enable_open_metrics: bool = false,
        /// Which resource attributes become labels of every series. Without this they are in `target_info` only.
        pub resource_constant_labels: Conversion = Conversion::default(),
        /// As `resource_constant_labels`; the Collector has deprecated it.
        pub resource_to_telemetry_conversion: Conversion = Conversion::default(),
        /// Leaves out the labels `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and those of the scope's
        /// attributes.
        pub without_scope_info: bool = false,
        /// Appends unit and type to names. Only where `translation_strategy` is not written; the Collector has deprecated
        /// it.
        pub add_metric_suffixes: bool = true,
        /// How names are made.
        pub translation_strategy: Option<Strategy> = None,
        /// How many series are kept. Data points of further series are dropped and counted. A histogram or summary is one
        /// series here. Ours: the Collector has no limit.
        pub max_series: u32 = 100_000,
        /// How much memory series may take. Ours: the Collector has no limit.
        pub max_series_bytes: ByteSize = ByteSize::mib(128),
        /// TLS. Without it, connections are plain.
        pub tls: Toggle<ServerTls> = Toggle::Off,
        /// Who may fetch.
        pub auth: Option<Auth> = None,
        /// Headers that are added to every answer.
        pub response_headers: BTreeMap<String, String> = BTreeMap::new(),
        /// The headers of a request must be there within this time; 0 is 2 minutes.
        pub read_header_timeout: GoDuration = GoDuration::secs(60),
        /// A client that does not take a part of the answer within this time is given up; 0: never.
        pub write_timeout: GoDuration = GoDuration::secs(30),
        /// A connection without a request ends after this time; 0 is 2 minutes.
        pub idle_timeout: GoDuration = GoDuration::secs(60),
        /// Whether a connection serves more than one request.
        pub keep_alives_enabled: bool = true,
        /// A queue before the series. Without it the sender hears of what was not kept.
        pub sending_queue: Toggle<queue::Settings> = Toggle::Off,
        /// Connections at once; those above are closed as they come. Ours: the Collector has no limit.
        pub max_connections: u32 = 64,
    }
    unsupported {
        "cors" => "remove it; the page is not meant for browsers of other sites",
        "middlewares" => "remove it; the page is read-only",
        "keepalive" => "use `idle_timeout` and `keep_alives_enabled`",
    }
    ignored {
        "include_metadata" => "nothing is received here",
        "max_request_body_size" => "nothing is received here",
        "compression_algorithms" => "nothing is received here; answers are compressed as the client asks, with gzip or zstd",
        "read_timeout" => "bodies of requests are not read; `read_header_timeout` counts",
    }
    check Config::check
}

settings! {
    /// Who may fetch.
    pub struct Auth {
        /// The extension that decides: `basicauth`, `bearertokenauth`.
        required pub authenticator: ComponentId,
    }
    unsupported {
        "request_params" => "let Prometheus send its credentials in a header",
    }
}

words! {
    /// A kind of endpoint.
    pub enum Transport {
        /// A host and a port.
        Tcp = "tcp" | "tcp4" | "tcp6",
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "prometheus",
        formerly: None,
        summary: "shows metrics to Prometheus, which fetches them",
        status: Status::Beta,
        signals: &[Signal::Metrics],
    };

    fn needs(&self) -> Needs {
        let need = |auth: &Auth| ExtensionNeed {
            id: auth.authenticator.clone(),
            role: Role::ServerAuthenticator,
            key: "auth::authenticator",
        };
        Needs {
            listeners: vec![Listener::tcp(&self.endpoint, "endpoint")],
            extensions: self.auth.iter().map(need).collect(),
            ..Needs::default()
        }
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.metric_expiration.positive().is_none() {
            let what = "metric_expiration must be positive: every series would be gone before it is shown";
            cx.error_at("metric_expiration", what, "5m is the default");
        }
        for (key, value) in
            [("max_series", u64::from(self.max_series)), ("max_connections", self.max_connections.into())]
        {
            if value == 0 {
                cx.error_at(key, format!("`{key}: 0` would show nothing at all"), "leave it out for the default");
            }
        }
        let chosen = &self.resource_constant_labels;
        if chosen.enabled || chosen.exclude_service_attributes {
            let what = "enabled and exclude_service_attributes are not supported under resource_constant_labels; use included and excluded instead";
            cx.error_at("resource_constant_labels", what, "`included: [\"*\"]` takes all resource attributes");
        } else if !chosen.is_empty() && !self.resource_to_telemetry_conversion.is_empty() {
            let what = "cannot configure both resource_to_telemetry_conversion and resource_constant_labels; resource_to_telemetry_conversion is deprecated";
            cx.error_at("resource_to_telemetry_conversion", what, "keep `resource_constant_labels`");
        }
        for name in self.const_labels.keys().filter(|name| name.is_empty() || name.starts_with("__")) {
            let what = format!("{name:?} is not a valid label name");
            cx.error_at("const_labels", what, "names that begin with `__` are Prometheus' own");
        }
        for (name, value) in &self.response_headers {
            let good = http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok();
            if !good {
                cx.error_at("response_headers", format!("`{name}: {value}` is not a header"), "");
            }
        }
    }

    /// How names are made.
    pub(super) fn strategy(&self) -> Strategy {
        let legacy = match self.add_metric_suffixes {
            true => Strategy::UnderscoreEscapingWithSuffixes,
            false => Strategy::UnderscoreEscapingWithoutSuffixes,
        };
        self.translation_strategy.unwrap_or(legacy)
    }

    /// Which resource attributes become labels.
    pub(super) fn conversion(&self) -> &Conversion {
        let chosen = &self.resource_constant_labels;
        if chosen.is_empty() { &self.resource_to_telemetry_conversion } else { chosen }
    }

    /// A queue only where one is written, no second attempt, no timeout: nothing here can be down.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy { queue: self.sending_queue.clone(), retry: Toggle::Off, timeout: GoDuration::ZERO }
    }
}
