//! What is written in the configuration of `prometheus_remote_write`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use wire::Signal;

use super::request::Message;
use super::translate::Translator;
use crate::component::{About, Component, Needs, Status};
use crate::exporters::otlp::endpoint::Url;
use crate::exporters::otlp::{Auth, check_headers, needed_extensions};
use crate::exporters::series::conversion::Conversion;
use crate::exporters::series::labels::Label;
use crate::exporters::series::names::{Namer, Strategy};
use crate::net::tls::client::ClientTls;
use crate::pipeline::{Policy, queue, retry};
use crate::settings::{GoDuration, Reader, Secret, Toggle, settings, words};

settings! {
    /// Writes metrics to a Prometheus (`--web.enable-remote-write-receiver`), Mimir, Thanos, or whatever else takes remote
    /// write. Cumulative sums and histograms only: Prometheus has no others.
    pub struct Config {
        /// URL that takes write requests: `http://prometheus:9090/api/v1/write`.
        pub endpoint: String = String::new(),
        /// TLS, for URLs with `https`.
        pub tls: ClientTls = ClientTls::default(),
        /// Remote write is always compressed with Snappy.
        pub compression: Compression = Compression::Snappy,
        /// Headers that every request carries.
        pub headers: BTreeMap<String, Secret> = BTreeMap::new(),
        /// Who we are.
        pub auth: Option<Auth> = None,
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
        /// The keys above, in a section of their own. Where it is written, it counts and they do not.
        pub http: Option<Http> = None,
        /// How long one attempt for all that came in one request may take. 0: for ever.
        pub timeout: GoDuration = GoDuration::secs(5),
        /// When to try again what might work later.
        pub retry_on_failure: Toggle<retry::Settings> = Toggle::On(retries()),
        /// What waits while the backend is busy or away.
        pub remote_write_queue: Toggle<RemoteWriteQueue> = Toggle::On(RemoteWriteQueue::default()),
        /// No write request is larger before compression, but for one with a single series. 0 is the default.
        pub max_batch_size_bytes: usize = 3_000_000,
        /// So many write requests of one batch are sent at a time. `remote_write_queue::num_consumers` unless set.
        pub max_batch_request_parallelism: Option<usize> = None,
        /// Stands before the name of every metric.
        pub namespace: String = String::new(),
        /// Labels of every series that does not have them.
        pub external_labels: BTreeMap<String, String> = BTreeMap::new(),
        /// Appends units and types to names. `translation_strategy` says it better.
        pub add_metric_suffixes: bool = true,
        /// How names are translated; `add_metric_suffixes` decides unless set.
        pub translation_strategy: Option<Strategy> = None,
        /// Resource attributes as labels of every series.
        pub resource_to_telemetry_conversion: Conversion = Conversion::default(),
        /// The same, by `included` and `excluded` only.
        pub resource_constant_labels: Conversion = Conversion::default(),
        /// The series `target_info`.
        pub target_info: TargetInfo = TargetInfo::default(),
        /// Leaves out the labels `otel_scope_*`.
        pub disable_scope_info: bool = false,
        /// Sends types, units and descriptions. 2.0 always has them.
        pub send_metadata: bool = false,
        /// Version of the protocol: 1.0, or 2.0 for a Prometheus from 3.0 on.
        pub protobuf_message: ProtobufMessage = ProtobufMessage::V1,
    }
    unsupported {
        "wal" => "remove it: a full queue refuses, so that senders keep their data; nothing is kept on disk yet",
        "proxy_url" => "connect to the backend directly, or to a Collector that goes through the proxy",
        "cookies" => "remove it; fixed cookies can be set with `headers: {cookie: …}`",
        "max_conns_per_host" => "set `max_batch_request_parallelism`: no more requests are sent at a time",
        "middlewares" => "remove it; there are no extensions that stand between an exporter and its connection",
        "include_metadata_keys" => "set fixed headers with `headers`",
        "convert_explicit_histograms_to_nhcb" => "let Prometheus keep the classic histogram",
        "keep_classic_histograms" => "remove it; classic histograms are kept",
        "sending_queue" => "write `remote_write_queue`",
    }
    ignored {
        "compression_params" => "Snappy has no levels",
        "max_idle_conns" => "there is one destination and no more connections than requests under way",
        "max_idle_conns_per_host" => "there is one destination and no more connections than requests under way",
        "read_buffer_size" => "answers are small",
        "write_buffer_size" => "requests are written without a buffer in between",
    }
    check Config::check
}

settings! {
    /// How to reach the backend.
    pub struct Http {
        /// URL that takes write requests: `http://prometheus:9090/api/v1/write`.
        pub endpoint: String = String::new(),
        /// TLS, for URLs with `https`.
        pub tls: ClientTls = ClientTls::default(),
        /// Remote write is always compressed with Snappy.
        pub compression: Compression = Compression::Snappy,
        /// Headers that every request carries.
        pub headers: BTreeMap<String, Secret> = BTreeMap::new(),
        /// Who we are.
        pub auth: Option<Auth> = None,
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
    ignored {
        "timeout" => "the exporter's own `timeout` counts, as in the Collector",
        "max_idle_conns" => "there is one destination and no more connections than requests under way",
        "max_idle_conns_per_host" => "there is one destination and no more connections than requests under way",
        "read_buffer_size" => "answers are small",
        "write_buffer_size" => "requests are written without a buffer in between",
    }
}

settings! {
    /// What waits in memory between the pipelines and the backend.
    pub struct RemoteWriteQueue {
        /// How many requests may wait. The memory budget bounds them, too.
        pub queue_size: u64 = 10_000,
        /// So many write requests of one batch are sent at a time, unless `max_batch_request_parallelism` is set. Batches
        /// are sent one after another, so that samples of a series stay in their order.
        pub num_consumers: usize = 5,
    }
    check RemoteWriteQueue::check
}

settings! {
    /// The series `target_info`: what is known of a resource besides `job` and `instance`.
    pub struct TargetInfo {
        /// Whether it is sent.
        pub enabled: bool = true,
    }
}

words! {
    /// How write requests are compressed.
    pub enum Compression {
        /// Snappy, one block: what the protocol asks for.
        Snappy = "snappy" | "",
    }
}

words! {
    /// Version of the protocol, by the message's name.
    pub enum ProtobufMessage {
        /// 1.0.
        V1 = "prometheus.WriteRequest",
        /// 2.0.
        V2 = "io.prometheus.write.v2.Request",
    }
}

/// The usual, but with a short first wait.
fn retries() -> retry::Settings {
    retry::Settings { initial_interval: GoDuration::millis(50), ..retry::Settings::default() }
}

impl RemoteWriteQueue {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.queue_size == 0 {
            cx.error_at(
                "queue_size",
                "a 0 size queue will drop all the data",
                "remove the key, or write `enabled: false`",
            );
        }
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        let (below, http) =
            if self.http.is_some() { ("http::endpoint", self.http()) } else { ("endpoint", self.http()) };
        if http.endpoint.is_empty() {
            cx.error_at(below, "invalid endpoint", format!("add `{below}: http://prometheus:9090/api/v1/write`"));
        } else if let Err(wrong) = Url::parse(&http.endpoint) {
            cx.error_at(below, wrong.what, wrong.remedy);
        }
        check_headers(&http.headers, cx);
        Policy::check_timeout(self.timeout, cx);
        if self.max_batch_request_parallelism == Some(0) {
            cx.error_at("max_batch_request_parallelism", "max_batch_request_parallelism can't be set to below 1", "");
        }
        let constant = &self.resource_constant_labels;
        if constant.enabled || constant.exclude_service_attributes {
            let what = "enabled and exclude_service_attributes are not supported under resource_constant_labels";
            cx.error_at("resource_constant_labels", what, "use `included` and `excluded`");
        } else if !constant.is_empty() && !self.resource_to_telemetry_conversion.is_empty() {
            let what = "cannot configure both resource_to_telemetry_conversion and resource_constant_labels";
            cx.error_at("resource_constant_labels", what, "remove resource_to_telemetry_conversion");
        }
        let keeps_utf8 =
            matches!(self.translation_strategy, Some(Strategy::NoUtf8EscapingWithSuffixes | Strategy::NoTranslation));
        if keeps_utf8 && self.protobuf_message == ProtobufMessage::V1 {
            let what = "this translation strategy requires Prometheus Remote Write 2.0";
            cx.error_at("translation_strategy", what, "add `protobuf_message: io.prometheus.write.v2.Request`");
        }
        for (name, value) in &self.external_labels {
            if name.is_empty() || value.is_empty() || self.namer().label(name).is_err() {
                let what = "external labels configuration contains an empty key or value";
                cx.error_at(&format!("external_labels::{name}"), what, "give it a name and a value, or remove it");
            }
        }
    }

    /// How to reach the backend: the section `http` where there is one, or else the keys beside it.
    pub(super) fn http(&self) -> Http {
        self.http.clone().unwrap_or_else(|| Http {
            endpoint: self.endpoint.clone(),
            tls: self.tls.clone(),
            compression: self.compression,
            headers: self.headers.clone(),
            auth: self.auth.clone(),
            idle_conn_timeout: self.idle_conn_timeout,
            disable_keep_alives: self.disable_keep_alives,
            force_attempt_http2: self.force_attempt_http2,
            http2_read_idle_timeout: self.http2_read_idle_timeout,
            http2_ping_timeout: self.http2_ping_timeout,
        })
    }

    /// Who we are towards the backend.
    #[must_use]
    pub fn auth(&self) -> Option<&Auth> {
        self.http.as_ref().map_or(self.auth.as_ref(), |http| http.auth.as_ref())
    }

    /// Queue, retry and timeout. One batch is sent after another, as the samples of a series must stay in order.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let queue = match &self.remote_write_queue {
            Toggle::On(queue) => Toggle::On(queue::Settings {
                num_consumers: 1,
                queue_size: queue.queue_size,
                ..queue::Settings::default()
            }),
            Toggle::Off => Toggle::Off,
        };
        Policy { queue, retry: self.retry_on_failure.clone(), timeout: self.timeout }
    }

    pub(super) fn parallel(&self) -> usize {
        let consumers = self.remote_write_queue.on().map_or(1, |queue| queue.num_consumers);
        self.max_batch_request_parallelism.unwrap_or(consumers).max(1)
    }

    pub(super) fn message(&self) -> Message {
        match self.protobuf_message {
            ProtobufMessage::V1 => Message::V1,
            ProtobufMessage::V2 => Message::V2,
        }
    }

    pub(super) fn most_bytes(&self) -> usize {
        if self.max_batch_size_bytes == 0 { Config::default().max_batch_size_bytes } else { self.max_batch_size_bytes }
    }

    fn namer(&self) -> Namer {
        let by_suffixes = if self.add_metric_suffixes {
            Strategy::UnderscoreEscapingWithSuffixes
        } else {
            Strategy::UnderscoreEscapingWithoutSuffixes
        };
        Namer { strategy: self.translation_strategy.unwrap_or(by_suffixes), namespace: self.namespace.clone() }
    }

    pub(super) fn translator(&self) -> anyhow::Result<Translator> {
        let namer = self.namer();
        let external = |(name, value): (&String, &String)| {
            let name = namer.label(name).with_context(|| format!("external_labels::{name}"))?;
            Ok(Label::new(name, value.as_str()))
        };
        let mut external: Vec<Label> = self.external_labels.iter().map(external).collect::<anyhow::Result<_>>()?;
        external.sort();
        let constant = &self.resource_constant_labels;
        let conversion = if constant.is_empty() { &self.resource_to_telemetry_conversion } else { constant };
        Ok(Translator {
            external,
            conversion: conversion.clone(),
            target_info: self.target_info.enabled,
            scope_info: !self.disable_scope_info,
            namer,
        })
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "prometheus_remote_write",
        formerly: Some("prometheusremotewrite"),
        summary: "writes metrics to a Prometheus by its remote write protocol, 1.0 or 2.0",
        status: Status::Beta,
        signals: &[Signal::Metrics],
    };

    fn needs(&self) -> Needs {
        let extensions = needed_extensions(self.auth(), &Toggle::Off);
        let upstreams = Url::parse(&self.http().endpoint).ok().map(|url| url.upstream()).into_iter().collect();
        Needs { extensions, upstreams, ..Needs::default() }
    }
}
