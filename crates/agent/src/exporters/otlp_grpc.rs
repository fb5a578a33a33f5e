//! Sends OTLP over gRPC.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::header::{CONTENT_TYPE, TE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use wire::Signal;

use super::otlp::endpoint::Target;
use super::otlp::pack::{CompressionParams, Packer};
use super::otlp::{Auth, Headers, answers, check_headers, connector, needed_extensions, time_left, warn_of_proxy};
use crate::component::{About, Component, Needs, Status, Upstream};
use crate::net::auth::Credentials;
use crate::net::client::{Call, Client, Keepalive, Options, Place, Protocol};
use crate::net::compression::Encoding;
use crate::net::grpc;
use crate::net::tls::client::ClientTls;
use crate::pipeline::{Deliver, Outcome, Parcel, Policy, queue, retry};
use crate::settings::{GoDuration, Reader, Secret, Toggle, settings, words};

settings! {
    /// Sends OTLP over gRPC to a backend, a Collector or another otel-agent.
    pub struct Config {
        /// Where to: `host:port`, with `https://` (TLS) or `http://` (plain) before it, `dns:///host:port`, or
        /// `unix:/path/to/socket`. The port of OTLP over gRPC is usually 4317. The connection is made with the first
        /// request, so a backend that is down does not keep the agent from starting.
        required pub endpoint: String,
        /// TLS. It is on unless `insecure: true` stands here or the endpoint begins with `http://`.
        pub tls: ClientTls = ClientTls::default(),
        /// How requests are compressed.
        pub compression: Compression = Compression::Gzip,
        /// How hard. Ours; the Collector has the level for `otlp_http` only.
        pub compression_params: CompressionParams = CompressionParams::default(),
        /// Headers (metadata) that every request carries.
        pub headers: BTreeMap<String, Secret> = BTreeMap::new(),
        /// Who we are.
        pub auth: Option<Auth> = None,
        /// How long one attempt may take, connecting included. 0: for ever.
        pub timeout: GoDuration = GoDuration::secs(5),
        /// When to try again what might work later.
        pub retry_on_failure: Toggle<retry::Settings> = Toggle::On(retry::Settings::default()),
        /// What waits while the backend is busy or away.
        pub sending_queue: Toggle<queue::Settings> = Toggle::On(queue::Settings::default()),
        /// Pings on the connection, to notice that it is dead. Servers end connections that ping more often than they
        /// allow (grpc-go: every five minutes), so set it only if the server is set too.
        pub keepalive: Toggle<KeepaliveSettings> = Toggle::Off,
        /// Which of the addresses of the endpoint's name are used.
        pub balancer_name: Balancer = Balancer::RoundRobin,
        /// What the backend is called in requests, when it is not the endpoint.
        pub authority: String = String::new(),
        /// The header `user-agent`.
        pub user_agent: String = String::new(),
    }
    unsupported { "middlewares" => "remove it; there are no extensions that stand between an exporter and its connection" }
    ignored {
        "wait_for_ready" => "requests wait in the sending queue until the backend is there",
        "read_buffer_size" => "answers are small",
        "write_buffer_size" => "requests are written without a buffer in between",
    }
    check Config::check
}

settings! {
    /// Pings on the connection.
    pub struct KeepaliveSettings {
        /// Silence before a ping; at least 10 seconds are used.
        pub time: GoDuration = GoDuration::ZERO,
        /// Silence after a ping that ends the connection.
        pub timeout: GoDuration = GoDuration::secs(20),
        /// Also while no request is on its way.
        pub permit_without_stream: bool = false,
    }
}

words! {
    /// How requests over gRPC are compressed.
    pub enum Compression {
        /// gzip: every backend reads it.
        Gzip = "gzip",
        /// Snappy, framed: little work, little gain.
        Snappy = "snappy",
        /// zstd: the best of both, where the backend reads it.
        Zstd = "zstd",
        /// As it is.
        None = "none" | "",
    }
}

words! {
    /// Which of several addresses are used.
    pub enum Balancer {
        /// All of them, in turn.
        RoundRobin = "round_robin",
        /// The first that answers.
        PickFirst = "pick_first",
    }
}

impl Compression {
    fn encoding(self) -> Encoding {
        match self {
            Compression::Gzip => Encoding::Gzip,
            Compression::Snappy => Encoding::SnappyFramed,
            Compression::Zstd => Encoding::Zstd,
            Compression::None => Encoding::Identity,
        }
    }
}

impl KeepaliveSettings {
    /// gRPC clients ping every 10 seconds at most, whatever is set; without a time they do not ping.
    fn options(&self) -> Option<Keepalive> {
        let interval = self.time.positive()?.max(Duration::from_secs(10));
        let timeout = self.timeout.positive().unwrap_or(Duration::from_secs(20));
        Some(Keepalive { interval, timeout, while_idle: self.permit_without_stream })
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        match Target::parse(&self.endpoint) {
            Err(wrong) => cx.error_at("endpoint", wrong.what, wrong.remedy),
            Ok(Target { place: Place::Tcp { port: 4318, .. }, .. }) => {
                let what = "4318 is the usual port of OTLP over HTTP; this exporter speaks gRPC";
                cx.warning_at("endpoint", what, "use port 4317, or the exporter `otlp_http`");
            }
            Ok(_) => {}
        }
        check_headers(&self.headers, cx);
        self.compression_params.check(self.compression.encoding(), cx);
        Policy::check_timeout(self.timeout, cx);
        if !self.authority.is_empty() && self.authority.parse::<Authority>().is_err() {
            cx.error_at("authority", format!("`{}` is not a host, with or without a port", self.authority), "");
        }
        if HeaderValue::from_str(&self.user_agent).is_err() {
            cx.error_at("user_agent", "`user_agent` has characters that no header can have", "");
        }
    }

    fn upstream(&self) -> Option<Upstream> {
        let Target { place, tls } = Target::parse(&self.endpoint).ok()?;
        let Place::Tcp { host, port } = place else { return None };
        Some(Upstream { grpc: true, tls: tls.unwrap_or(!self.tls.insecure), host, port })
    }

    /// Queue, retry and timeout.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy { queue: self.sending_queue.clone(), retry: self.retry_on_failure.clone(), timeout: self.timeout }
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "otlp_grpc",
        formerly: Some("otlp"),
        summary: "sends OTLP over gRPC",
        status: Status::Beta,
        signals: &Signal::ALL,
    };

    fn needs(&self) -> Needs {
        let extensions = needed_extensions(self.auth.as_ref(), &self.sending_queue);
        Needs { extensions, upstreams: self.upstream().into_iter().collect(), ..Needs::default() }
    }
}

/// Makes the calls. Clones share the connections.
#[derive(Clone)]
pub struct Exporter {
    client: Client,
    headers: Headers,
    packer: Packer,
    timeout: Option<Duration>,
    place: Place,
    /// What the backend is called in errors.
    destination: Arc<str>,
}

impl Exporter {
    /// Connects nothing yet. `credentials` are those of the extension that `auth` names.
    ///
    /// # Errors
    /// Certificates or keys cannot be used.
    pub fn new(config: &Config, credentials: Option<Arc<dyn Credentials>>) -> anyhow::Result<Self> {
        let Target { place, tls } = Target::parse(&config.endpoint)
            .map_err(|wrong| anyhow::anyhow!("endpoint: {}; {}", wrong.what, wrong.remedy))?;
        let secure = tls.unwrap_or(!config.tls.insecure);
        let packer = Packer::new(config.compression.encoding(), &config.compression_params, false);
        let authority = match config.authority.as_str() {
            "" => None,
            authority => Some(authority.parse().context("authority")?),
        };
        let options = Options {
            authority,
            tls: connector(secure, &config.tls, &["h2"])?,
            spread: config.balancer_name == Balancer::RoundRobin,
            keepalive: config.keepalive.on().and_then(KeepaliveSettings::options),
            ..Options::new(place.clone(), Protocol::Http2)
        };
        warn_of_proxy();
        Ok(Self {
            client: Client::new(options).context("endpoint")?,
            headers: Headers::new(&config.headers, &config.user_agent, &protocol_headers(packer), credentials)?,
            packer,
            timeout: config.timeout.positive(),
            destination: place.to_string().into(),
            place,
        })
    }

    /// What tells the destination apart in metrics.
    #[must_use]
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        match &self.place {
            Place::Tcp { host, port } => vec![("server_address", host.clone()), ("server_port", port.to_string())],
            Place::Unix(path) => vec![("server_address", path.display().to_string())],
        }
    }

    async fn attempt(&self, parcel: Parcel<'_>) -> Outcome {
        let started = Instant::now();
        let retry = |error: String| Outcome::Retry { error, after: None };
        let message = match self.packer.pack(parcel).await {
            Ok(message) => message,
            Err(error) => return retry(format!("compressing failed: {error}")),
        };
        let len = message.iter().map(|slice| slice.len() as u64).sum();
        let prefix = match grpc::client::prefix(self.packer.encoding() != Encoding::Identity, len) {
            Ok(prefix) => prefix,
            Err(status) => return answers::grpc(&self.destination, Err(status)),
        };
        let deadline = time_left(self.timeout, started);
        let mut headers = self.headers.for_request();
        if let Some(deadline) = deadline {
            headers.insert(GRPC_TIMEOUT, grpc_timeout(deadline));
        }
        let body = std::iter::once(prefix).chain(message).collect();
        let call = Call { path: &path(parcel.signal), headers, body, deadline };
        match self.client.post(call).await {
            Ok(answer) => answers::grpc(&self.destination, grpc::client::message(&answer)),
            Err(error) => retry(error.to_string()),
        }
    }
}

impl Deliver for Exporter {
    async fn deliver(&self, parcel: Parcel<'_>) -> Outcome {
        self.attempt(parcel).await
    }
}

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

fn protocol_headers(packer: Packer) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (TE, HeaderValue::from_static("trailers")),
        (HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static(Encoding::GRPC_ACCEPTED)),
    ];
    if packer.encoding() != Encoding::Identity {
        let encoding = HeaderValue::from_static(packer.encoding().grpc_name());
        headers.push((HeaderName::from_static("grpc-encoding"), encoding));
    }
    headers
}

/// At most eight digits and a unit.
fn grpc_timeout(time: Duration) -> HeaderValue {
    let millis = time.as_millis();
    let text = if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", time.as_secs().min(99_999_999)) };
    HeaderValue::from_str(&text).expect("digits and a letter are a header value")
}

fn path(signal: Signal) -> PathAndQuery {
    PathAndQuery::from_static(match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    })
}

#[cfg(test)]
mod tests;
