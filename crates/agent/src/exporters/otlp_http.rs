//! Sends OTLP over HTTP, as protobuf or JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use wire::Signal;

use super::otlp::endpoint::{Url, Wrong};
use super::otlp::pack::{CompressionParams, Packer};
use super::otlp::{Auth, Headers, answers, check_headers, connector, needed_extensions, time_left, warn_of_proxy};
use crate::component::{About, Component, Needs, Status, Upstream};
use crate::net::auth::Credentials;
use crate::net::client::{Call, Client, Keepalive, Options, Protocol};
use crate::net::compression;
use crate::net::tls::client::ClientTls;
use crate::pipeline::{Deliver, Outcome, Parcel, Policy, queue, retry};
use crate::settings::{GoDuration, Reader, Secret, Toggle, settings, words};

settings! {
    /// Sends OTLP over HTTP to a backend, a Collector or another otel-agent.
    pub struct Config {
        /// URL of the backend, to which `/v1/traces`, `/v1/metrics` or `/v1/logs` is added. The port of OTLP over HTTP is
        /// usually 4318; without one it is 80, or 443 for `https`.
        pub endpoint: String = String::new(),
        /// URL for traces, used as it is.
        pub traces_endpoint: String = String::new(),
        /// URL for metrics, used as it is.
        pub metrics_endpoint: String = String::new(),
        /// URL for logs, used as it is.
        pub logs_endpoint: String = String::new(),
        /// How requests are written.
        pub encoding: Encoding = Encoding::Proto,
        /// TLS, for URLs with `https`.
        pub tls: ClientTls = ClientTls::default(),
        /// How requests are compressed.
        pub compression: Compression = Compression::Gzip,
        /// How hard.
        pub compression_params: CompressionParams = CompressionParams::default(),
        /// Headers that every request carries.
        pub headers: BTreeMap<String, Secret> = BTreeMap::new(),
        /// Who we are.
        pub auth: Option<Auth> = None,
        /// How long one attempt may take, connecting included. 0: for ever.
        pub timeout: GoDuration = GoDuration::secs(30),
        /// When to try again what might work later.
        pub retry_on_failure: Toggle<retry::Settings> = Toggle::On(retry::Settings::default()),
        /// What waits while the backend is busy or away.
        pub sending_queue: Toggle<queue::Settings> = Toggle::On(queue::Settings::default()),
        /// Idle connections that are kept; 0 sets no limit.
        pub max_idle_conns: u32 = 100,
        /// Idle connections that are kept for each host; 0 sets no limit.
        pub max_idle_conns_per_host: u32 = 0,
        /// A connection that was idle for this long is not used again. 0: always used.
        pub idle_conn_timeout: GoDuration = GoDuration::secs(90),
        /// A new connection for each request.
        pub disable_keep_alives: bool = false,
        /// Speaks HTTP/2 where TLS agrees on it.
        pub force_attempt_http2: bool = true,
        /// HTTP/2: silence before a ping. 0: no pings.
        pub http2_read_idle_timeout: GoDuration = GoDuration::ZERO,
        /// HTTP/2: silence after a ping that ends the connection.
        pub http2_ping_timeout: GoDuration = GoDuration::secs(15),
    }
    unsupported {
        "profiles_endpoint" => "remove it; profiles are not sent yet",
        "proxy_url" => "connect to the backend directly, or to a Collector that goes through the proxy",
        "cookies" => "remove it; fixed cookies can be set with `headers: {cookie: …}`",
        "max_conns_per_host" => "set `sending_queue::num_consumers`: no more requests are sent at a time",
        "keepalive" => "write its keys beside `endpoint`: `idle_conn_timeout`, `max_idle_conns`, `disable_keep_alives`",
        "middlewares" => "remove it; there are no extensions that stand between an exporter and its connection",
    }
    ignored {
        "read_buffer_size" => "answers are small",
        "write_buffer_size" => "requests are written without a buffer in between",
    }
    check Config::check
}

words! {
    /// How requests are written.
    pub enum Encoding {
        /// Protobuf.
        Proto = "proto",
        /// OTLP/JSON: five times the bytes and much more work on both sides.
        Json = "json",
    }
}

words! {
    /// How requests over HTTP are compressed.
    pub enum Compression {
        /// gzip: every backend reads it.
        Gzip = "gzip",
        /// zstd: smaller for less work, where the backend reads it.
        Zstd = "zstd",
        /// Snappy, one block: little work, little gain.
        Snappy = "snappy",
        /// Snappy in frames.
        SnappyFramed = "x-snappy-framed",
        /// gzip without its header; sent as `deflate`.
        Zlib = "zlib",
        /// The same as `zlib`.
        Deflate = "deflate",
        /// LZ4 in frames: little work, little gain.
        Lz4 = "lz4",
        /// As it is.
        None = "none" | "",
    }
}

impl Compression {
    fn encoding(self) -> compression::Encoding {
        use compression::Encoding;
        match self {
            Compression::Gzip => Encoding::Gzip,
            Compression::Zstd => Encoding::Zstd,
            Compression::Snappy => Encoding::Snappy,
            Compression::SnappyFramed => Encoding::SnappyFramed,
            Compression::Zlib | Compression::Deflate => Encoding::Zlib,
            Compression::Lz4 => Encoding::Lz4,
            Compression::None => Encoding::Identity,
        }
    }

    /// The name in `Content-Encoding`: as it is written in the configuration.
    fn header(self) -> Option<HeaderValue> {
        (self != Compression::None).then(|| HeaderValue::from_static(self.as_str()))
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        let written = [("endpoint", &self.endpoint)].into_iter().chain(self.signal_endpoints());
        let written: Vec<_> = written.filter(|(_, url)| !url.is_empty()).collect();
        if written.is_empty() {
            cx.error("at least one endpoint must be specified", "add `endpoint: http://host:4318`");
        }
        for (key, url) in written {
            match Url::parse(url) {
                Err(wrong) => cx.error_at(key, wrong.what, wrong.remedy),
                Ok(url) if url.port == 4317 => {
                    let what = "4317 is the usual port of OTLP over gRPC; this exporter speaks HTTP";
                    cx.warning_at(key, what, "use port 4318, or the exporter `otlp_grpc`");
                }
                Ok(url) if key == "endpoint" && url.path.path().contains("/v1/") => {
                    let what = format!("`/v1/traces` and so on are added to `endpoint`, which ends in `{}`", url.path);
                    cx.warning_at(key, what, "remove the path, or use `traces_endpoint` and so on");
                }
                Ok(_) => {}
            }
        }
        check_headers(&self.headers, cx);
        self.compression_params.check(self.compression.encoding(), cx);
        Policy::check_timeout(self.timeout, cx);
    }

    fn signal_endpoints(&self) -> [(&'static str, &String); 3] {
        [
            ("traces_endpoint", &self.traces_endpoint),
            ("metrics_endpoint", &self.metrics_endpoint),
            ("logs_endpoint", &self.logs_endpoint),
        ]
    }

    /// Where the requests of a signal go; none if there is no endpoint for it.
    fn url(&self, signal: Signal) -> Option<Result<Url, Wrong>> {
        match (self.signal_endpoints()[signal.index()].1.as_str(), self.endpoint.as_str()) {
            ("", "") => None,
            ("", base) => Some(Url::under(base, &format!("v1/{signal}"))),
            (own, _) => Some(Url::parse(own)),
        }
    }

    /// Queue, retry and timeout.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy { queue: self.sending_queue.clone(), retry: self.retry_on_failure.clone(), timeout: self.timeout }
    }

    fn max_idle(&self) -> usize {
        let limits = [self.max_idle_conns, self.max_idle_conns_per_host];
        let least = limits.into_iter().filter(|limit| *limit > 0).min();
        match (self.disable_keep_alives, least) {
            (true, _) => 0,
            (false, least) => least.and_then(|least| usize::try_from(least).ok()).unwrap_or(usize::MAX),
        }
    }

    fn keepalive(&self) -> Option<Keepalive> {
        let interval = self.http2_read_idle_timeout.positive()?;
        let timeout = self.http2_ping_timeout.positive().unwrap_or(Duration::from_secs(15));
        Some(Keepalive { interval, timeout, while_idle: true })
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "otlp_http",
        formerly: Some("otlphttp"),
        summary: "sends OTLP over HTTP, as protobuf or JSON",
        status: Status::Beta,
        signals: &Signal::ALL,
    };

    fn needs(&self) -> Needs {
        let extensions = needed_extensions(self.auth.as_ref(), &self.sending_queue);
        let mut upstreams: Vec<Upstream> =
            Signal::ALL.into_iter().filter_map(|signal| self.url(signal)?.ok()).map(|url| url.upstream()).collect();
        upstreams.dedup();
        Needs { extensions, upstreams, ..Needs::default() }
    }
}

/// Makes the requests of one signal.
#[derive(Clone)]
pub struct Exporter {
    client: Client,
    headers: Headers,
    packer: Packer,
    timeout: Option<Duration>,
    url: Url,
    /// The URL in errors.
    destination: Arc<str>,
}

impl Exporter {
    /// For one signal; connects nothing yet. `credentials` are those of the extension that `auth` names.
    ///
    /// # Errors
    /// There is no endpoint for the signal, or certificates or keys cannot be used.
    pub fn new(config: &Config, signal: Signal, credentials: Option<Arc<dyn Credentials>>) -> anyhow::Result<Self> {
        let url = config
            .url(signal)
            .with_context(|| {
                format!("either `endpoint` or `{signal}_endpoint` must be set, since {signal} are sent here")
            })?
            .map_err(|wrong| anyhow::anyhow!("{}; {}", wrong.what, wrong.remedy))?;
        let protocols: &[&str] = if config.force_attempt_http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let options = Options {
            authority: Some(authority(config, &url)?),
            tls: connector(url.tls, &config.tls, protocols)?,
            keepalive: config.keepalive(),
            max_idle: config.max_idle(),
            idle_timeout: config.idle_conn_timeout.positive().unwrap_or(Duration::MAX),
            ..Options::new(url.place(), Protocol::Negotiated)
        };
        warn_of_proxy();
        let json = config.encoding == Encoding::Json;
        Ok(Self {
            client: Client::new(options).context("endpoint")?,
            headers: Headers::new(&config.headers, "", &protocol_headers(config), credentials)?,
            packer: Packer::new(config.compression.encoding(), &config.compression_params, json),
            timeout: config.timeout.positive(),
            destination: url.display().into(),
            url,
        })
    }

    /// What tells the destination apart in metrics.
    #[must_use]
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        vec![
            ("server_address", self.url.host.clone()),
            ("server_port", self.url.port.to_string()),
            ("url_path", self.url.path.path().to_owned()),
        ]
    }

    async fn attempt(&self, parcel: Parcel<'_>) -> Outcome {
        let started = Instant::now();
        let retry = |error: String| Outcome::Retry { error, after: None };
        let body = match self.packer.pack(parcel).await {
            Ok(body) => body.into_iter().collect(),
            Err(error) => return retry(format!("compressing failed: {error}")),
        };
        let deadline = time_left(self.timeout, started);
        let call = Call { path: &self.url.path, headers: self.headers.for_request(), body, deadline };
        match self.client.post(call).await {
            Ok(answer) => answers::http(&self.destination, &answer),
            Err(error) => retry(error.to_string()),
        }
    }
}

impl Deliver for Exporter {
    async fn deliver(&self, parcel: Parcel<'_>) -> Outcome {
        self.attempt(parcel).await
    }
}

/// The host that requests name: a header `host`, or that of the URL.
fn authority(config: &Config, url: &Url) -> anyhow::Result<Authority> {
    match config.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str())) {
        Some((_, host)) => host.expose().parse().context("headers::host"),
        None => Ok(url.authority.clone()),
    }
}

fn protocol_headers(config: &Config) -> Vec<(HeaderName, HeaderValue)> {
    let content_type = match config.encoding {
        Encoding::Proto => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
    headers.extend(config.compression.header().map(|encoding| (CONTENT_ENCODING, encoding)));
    headers
}

#[cfg(test)]
mod tests;
