//! What a person writes for the receiver `otlp`.

use std::collections::BTreeMap;

use wire::Signal;

use crate::component::{About, Component, ExtensionNeed, Listener, Needs, Role, Status};
use crate::net::compression::Encoding;
use crate::net::server::Address;
use crate::net::tls::server::ServerTls;
use crate::settings::{ByteSize, ComponentId, Endpoint, GoDuration, Reader, Toggle, settings, words};

settings! {
    /// Takes OTLP from applications and other agents: over gRPC, and over HTTP as protobuf or JSON.
    pub struct Config {
        /// What it listens to; at least one. Writing a protocol's key turns it on, even with nothing below it.
        pub protocols: Protocols = Protocols::default(),
    }
    check Config::check
}

settings! {
    /// The protocols of the receiver `otlp`.
    pub struct Protocols {
        /// OTLP over gRPC.
        pub grpc: Toggle<Grpc> = Toggle::Off,
        /// OTLP over HTTP, as protobuf or JSON.
        pub http: Toggle<Http> = Toggle::Off,
    }
    unsupported {
        "thrift" => "remove it; OpenCensus and Jaeger are not spoken here",
    }
}

settings! {
    /// OTLP over gRPC.
    pub struct Grpc {
        /// Where to listen: `host:port`, or the path of a unix socket. The default takes connections from this machine (or
        /// pod) only; `0.0.0.0:4317` takes them from everywhere.
        pub endpoint: Address = Address::Tcp(Endpoint::localhost(4317)),
        /// What kind of endpoint it is.
        pub transport: Transport = Transport::Tcp,
        /// TLS. Without it, connections are plain.
        pub tls: Toggle<ServerTls> = Toggle::Off,
        /// A message may have this many MiB, inflated; 0 is 4. Raise it when clients that batch are told
        /// `received message larger than max`.
        pub max_recv_msg_size_mib: i64 = 0,
        /// Calls at once on one connection; 0 is 256.
        pub max_concurrent_streams: u32 = 0,
        /// When connections are pinged, and when they end.
        pub keepalive: Keepalive = Keepalive::default(),
        /// Who may send.
        pub auth: Option<Auth> = None,
        /// Keeps the metadata of requests with the data, for `batch::metadata_keys` and for exporters.
        pub include_metadata: bool = false,
        /// Connections at once; those above are closed as they come. Once half of them are there, one address may hold a
        /// sixteenth, but 64 at least. Ours: the Collector has no limit.
        pub max_connections: u32 = MAX_CONNECTIONS,
    }
    unsupported {
        "middlewares" => "remove it; memory is limited at the door, before a body is read, by the `memory_limiter` processor",
    }
    ignored {
        "read_buffer_size" => "buffers grow with what a connection carries, within fixed bounds",
        "write_buffer_size" => "answers are a few bytes",
    }
    check Grpc::check
}

settings! {
    /// OTLP over HTTP.
    pub struct Http {
        /// Where to listen: `host:port`, or the path of a unix socket. The default takes connections from this machine (or
        /// pod) only; `0.0.0.0:4318` takes them from everywhere.
        pub endpoint: Address = Address::Tcp(Endpoint::localhost(4318)),
        /// What kind of endpoint it is.
        pub transport: Transport = Transport::Tcp,
        /// TLS. Without it, connections are plain.
        pub tls: Toggle<ServerTls> = Toggle::Off,
        /// The path for traces.
        pub traces_url_path: String = "/v1/traces".to_owned(),
        /// The path for metrics.
        pub metrics_url_path: String = "/v1/metrics".to_owned(),
        /// The path for logs.
        pub logs_url_path: String = "/v1/logs".to_owned(),
        /// Which web pages may send from a browser. Without origins, none.
        pub cors: Option<Cors> = None,
        /// Who may send.
        pub auth: Option<HttpAuth> = None,
        /// A body may have this many bytes, as sent and again when inflated; 0 is 20 MiB.
        pub max_request_body_size: ByteSize = ByteSize::bytes(0),
        /// Keeps the headers of requests with the data, for `batch::metadata_keys` and for exporters.
        pub include_metadata: bool = false,
        /// Headers that are added to every answer.
        pub response_headers: BTreeMap<String, String> = BTreeMap::new(),
        /// How bodies may be compressed (`""`: not at all). An empty list takes bodies as they are.
        pub compression_algorithms: Vec<String> = every_algorithm(),
        /// A body must be there within this time; 0: as long as it comes with 1 KiB a second.
        pub read_timeout: GoDuration = GoDuration::ZERO,
        /// The headers of a request must be there within this time; 0 is 2 minutes.
        pub read_header_timeout: GoDuration = GoDuration::ZERO,
        /// A connection without a request ends after this time; 0 is 2 minutes. Below the 60 s between two exports, clients
        /// connect anew for each.
        pub idle_timeout: GoDuration = GoDuration::ZERO,
        /// Whether a connection serves more than one request.
        pub keep_alives_enabled: bool = true,
        /// Connections at once; those above are closed as they come. Once half of them are there, one address may hold a
        /// sixteenth, but 64 at least. Ours: the Collector has no limit.
        pub max_connections: u32 = MAX_CONNECTIONS,
    }
    unsupported {
        "middlewares" => "remove it; memory is limited at the door, before a body is read, by the `memory_limiter` processor",
        "keepalive" => "use `idle_timeout` and `keep_alives_enabled`",
    }
    ignored {
        "write_timeout" => "answers are a few bytes, which never wait for a client to read them",
    }
    check Http::check
}

settings! {
    /// When connections are pinged, and when they end.
    pub struct Keepalive {
        /// What the server does.
        pub server_parameters: ServerParameters = ServerParameters::default(),
    }
    ignored {
        "enforcement_policy" => "clients that ping often are not sent away",
    }
}

settings! {
    /// Pings and ages of connections; 0 is the default.
    pub struct ServerParameters {
        /// A connection without a call for this long is asked to end; 0: never.
        pub max_connection_idle: GoDuration = GoDuration::ZERO,
        /// A connection of this age, more or less a tenth, is asked to end, so that clients find new servers; 0: never.
        pub max_connection_age: GoDuration = GoDuration::ZERO,
        /// What was asked to end for its age has this long for the calls under way; 0: as long as they take.
        pub max_connection_age_grace: GoDuration = GoDuration::ZERO,
        /// A quiet connection is pinged this often; 0 is 2 minutes.
        pub time: GoDuration = GoDuration::ZERO,
        /// A ping must be answered within this time; 0 is 20 seconds.
        pub timeout: GoDuration = GoDuration::ZERO,
    }
}

settings! {
    /// Who may send.
    pub struct Auth {
        /// The extension that decides: `basicauth`, `bearertokenauth`.
        required pub authenticator: ComponentId,
    }
}

settings! {
    /// Who may send.
    pub struct HttpAuth {
        /// The extension that decides: `basicauth`, `bearertokenauth`.
        required pub authenticator: ComponentId,
    }
    unsupported {
        "request_params" => "let clients send their credentials in a header",
    }
}

settings! {
    /// Which web pages may send from a browser (CORS). Credentials are allowed.
    pub struct Cors {
        /// Origins such as `https://shop.example`; `*` stands for anything, once in each. Empty: none.
        pub allowed_origins: Vec<String> = Vec::new(),
        /// Headers that they may send beside `Accept`, `Content-Type` and `X-Requested-With`; `*`: any.
        pub allowed_headers: Vec<String> = Vec::new(),
        /// Headers of the answer that they may read.
        pub exposed_headers: Vec<String> = Vec::new(),
        /// Seconds for which browsers keep the answer to a preflight request; 0: as they like.
        pub max_age: u32 = 0,
    }
}

words! {
    /// A kind of endpoint.
    pub enum Transport {
        /// A host and a port.
        Tcp = "tcp" | "tcp4" | "tcp6",
        /// A socket in the file system.
        Unix = "unix",
    }
}

/// Pods of a node rarely make more than a few hundred connections. One that is idle takes some 10 to 30 KiB.
const MAX_CONNECTIONS: u32 = 4096;
const MIB: usize = 1024 * 1024;
/// A length on the wire has 32 bits.
const MOST_MIB: i64 = 4095;

fn every_algorithm() -> Vec<String> {
    ["", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"].map(str::to_owned).to_vec()
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "otlp",
        formerly: None,
        summary: "takes OTLP over gRPC and HTTP",
        status: Status::Beta,
        signals: &Signal::ALL,
    };

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        if let Some(grpc) = self.protocols.grpc.on() {
            needs.listeners.extend(listener(&grpc.endpoint, "protocols::grpc::endpoint"));
            let id = grpc.auth.as_ref().map(|auth| &auth.authenticator);
            needs.extensions.extend(authenticator(id, "protocols::grpc::auth::authenticator"));
        }
        if let Some(http) = self.protocols.http.on() {
            needs.listeners.extend(listener(&http.endpoint, "protocols::http::endpoint"));
            let id = http.auth.as_ref().map(|auth| &auth.authenticator);
            needs.extensions.extend(authenticator(id, "protocols::http::auth::authenticator"));
        }
        needs
    }
}

fn listener(address: &Address, key: &'static str) -> Option<Listener> {
    match address {
        Address::Tcp(endpoint) => Some(Listener::tcp(endpoint, key)),
        Address::Unix(_) => None,
    }
}

fn authenticator(id: Option<&ComponentId>, key: &'static str) -> Option<ExtensionNeed> {
    id.map(|id| ExtensionNeed { id: id.clone(), role: Role::ServerAuthenticator, key })
}

impl Config {
    /// How many connections each protocol takes at most, as far as they are on.
    #[must_use]
    pub fn most_connections(&self) -> Vec<(&'static str, u32)> {
        let grpc = self.protocols.grpc.on().map(|grpc| ("grpc", grpc.max_connections));
        let http = self.protocols.http.on().map(|http| ("http", http.max_connections));
        [grpc, http].into_iter().flatten().collect()
    }

    fn check(&self, cx: &mut Reader<'_>) {
        if !self.protocols.grpc.is_on() && !self.protocols.http.is_on() {
            let what = "must specify at least one protocol when using the OTLP receiver";
            cx.error_at("protocols", what, "add `grpc:` or `http:` below `protocols:`");
        }
    }
}

impl Grpc {
    fn check(&self, cx: &mut Reader<'_>) {
        if !(0..=MOST_MIB).contains(&self.max_recv_msg_size_mib) {
            let what = format!("invalid max_recv_msg_size_mib value, must be between 1 and {MOST_MIB}");
            cx.error_at("max_recv_msg_size_mib", what, "4 is the default");
        }
        check_endpoint(&self.endpoint, self.transport, self.max_connections, cx);
    }

    /// Bytes of a message, at most.
    pub(super) fn message_limit(&self) -> usize {
        match usize::try_from(self.max_recv_msg_size_mib) {
            Ok(0) | Err(_) => 4 * MIB,
            Ok(mib) => mib.saturating_mul(MIB),
        }
    }
}

impl Http {
    fn check(&self, cx: &mut Reader<'_>) {
        check_endpoint(&self.endpoint, self.transport, self.max_connections, cx);
        for name in &self.compression_algorithms {
            if Encoding::from_http(name).is_none() {
                let what = format!("unknown compression `{name}`");
                let remedy = "known are gzip, zstd, zlib, deflate, snappy, x-snappy-framed and lz4";
                cx.error_at("compression_algorithms", what, remedy);
            }
        }
        for (name, value) in &self.response_headers {
            let good = http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok();
            if !good {
                cx.error_at("response_headers", format!("`{name}: {value}` is not a header"), "");
            }
        }
        let mut paths = Vec::new();
        for signal in Signal::ALL {
            let path = self.path(signal);
            let key = format!("{}_url_path", signal.name());
            if path.parse::<http::uri::PathAndQuery>().is_err() || path.contains(['?', '#']) {
                cx.error_at(
                    &key,
                    format!("invalid HTTP URL path set for signal: `{path}`"),
                    "write it like `/v1/traces`",
                );
            }
            if paths.contains(&path) {
                cx.error_at(&key, format!("two signals have the path `{path}`"), "give each a path of its own");
            }
            paths.push(path);
        }
    }

    /// The path of a signal; a missing slash in front is added.
    pub(super) fn path(&self, signal: Signal) -> String {
        let path = match signal {
            Signal::Traces => &self.traces_url_path,
            Signal::Metrics => &self.metrics_url_path,
            Signal::Logs => &self.logs_url_path,
        };
        if path.starts_with('/') { path.clone() } else { format!("/{path}") }
    }

    /// Bytes of a body, at most.
    pub(super) fn body_limit(&self) -> usize {
        match self.max_request_body_size.as_usize() {
            0 => 20 * MIB,
            bytes => bytes,
        }
    }
}

fn check_endpoint(address: &Address, transport: Transport, max_connections: u32, cx: &mut Reader<'_>) {
    let unix = matches!(address, Address::Unix(_));
    if unix != (transport == Transport::Unix) {
        let remedy = "with `transport: unix` the endpoint is an absolute path, otherwise it is `host:port`";
        cx.error_at("endpoint", format!("`{address}` does not go with `transport: {transport}`"), remedy);
    }
    if max_connections == 0 {
        cx.error_at("max_connections", "`max_connections: 0` would take no connection at all", "4096 is the default");
    }
}
