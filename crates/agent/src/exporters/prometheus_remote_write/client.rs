//! Sends write requests, and says what an answer means.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::config::{Config, Http};
use super::request::Message;
use crate::exporters::otlp::answers::{message, or_nothing, retry_after, speaks_of_size};
use crate::exporters::otlp::endpoint::Url;
use crate::exporters::otlp::{Headers, connector, time_left, warn_of_proxy};
use crate::net::auth::Credentials;
use crate::net::client::{Answer, Call, Client, Keepalive, Options, Protocol};
use crate::pipeline::{Fault, Outcome};

/// Where write requests go.
pub(super) struct Backend {
    client: Client,
    headers: Headers,
    timeout: Option<Duration>,
    url: Url,
    /// The URL in errors and metrics.
    destination: String,
}

impl Backend {
    pub(super) fn new(config: &Config, credentials: Option<Arc<dyn Credentials>>) -> anyhow::Result<Backend> {
        let http = config.http();
        let url = Url::parse(&http.endpoint).map_err(|wrong| anyhow::anyhow!("{}; {}", wrong.what, wrong.remedy))?;
        let protocols: &[&str] = if http.force_attempt_http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let named = http.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str()));
        let authority = match named {
            Some((_, host)) => host.expose().parse().context("headers::host")?,
            None => url.authority.clone(),
        };
        let options = Options {
            authority: Some(authority),
            tls: connector(url.tls, &http.tls, protocols)?,
            keepalive: keepalive(&http),
            max_idle: if http.disable_keep_alives { 0 } else { usize::MAX },
            idle_timeout: http.idle_conn_timeout.positive().unwrap_or(Duration::MAX),
            ..Options::new(url.place(), Protocol::Negotiated)
        };
        warn_of_proxy();
        Ok(Backend {
            client: Client::new(options).context("endpoint")?,
            headers: Headers::new(&http.headers, "", &protocol_headers(config.message()), credentials)?,
            timeout: config.timeout.positive(),
            destination: url.display(),
            url,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.destination
    }

    /// One attempt; the time for it runs from `started`.
    pub(super) async fn post(&self, body: Bytes, started: Instant) -> Outcome {
        let deadline = time_left(self.timeout, started);
        let body = std::iter::once(body).collect();
        let call = Call { path: &self.url.path, headers: self.headers.for_request(), body, deadline };
        match self.client.post(call).await {
            Ok(answer) => outcome(&self.destination, &answer),
            Err(error) => Outcome::Retry { error: error.to_string(), after: None },
        }
    }
}

fn keepalive(http: &Http) -> Option<Keepalive> {
    let interval = http.http2_read_idle_timeout.positive()?;
    let timeout = http.http2_ping_timeout.positive().unwrap_or(Duration::from_secs(15));
    Some(Keepalive { interval, timeout, while_idle: true })
}

fn protocol_headers(message: Message) -> Vec<(HeaderName, HeaderValue)> {
    let (content_type, version) = match message {
        Message::V1 => ("application/x-protobuf", "0.1.0"),
        Message::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
    };
    let version_header = HeaderName::from_static("x-prometheus-remote-write-version");
    vec![
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_ENCODING, HeaderValue::from_static("snappy")),
        (version_header, HeaderValue::from_static(version)),
    ]
}

/// 5xx and 429 may pass. What Prometheus says no to for the data alone is taken apart, so that one sample that is too old
/// does not take others with it.
fn outcome(url: &str, answer: &Answer) -> Outcome {
    let status = answer.status;
    if status.is_success() {
        return Outcome::Sent;
    }
    let message = message(answer);
    let mut error = format!("{url} answered {status}: {}", or_nothing(&message));
    if status.is_redirection() {
        let to = answer.headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
        error = format!("{url} answered {status}: it redirects to {}", to.unwrap_or_else(|| "elsewhere".to_owned()));
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Outcome::Retry { error, after: retry_after(&answer.headers, SystemTime::now()) };
    }
    let fault = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Fault::Size,
        StatusCode::BAD_REQUEST if speaks_of_size(&message) => Fault::Size,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Fault::Data,
        _ => Fault::Elsewhere,
    };
    Outcome::Refused { error, fault }
}
