//! `health_check`: says over HTTP whether the agent takes data, and more exactly on `/live`, `/ready` and `/moving`.
//!
//! Any method gets the same answer. Back-pressure and failing exporters do not lower readiness, see `telemetry::health`.

mod pages;

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::component::{About, Component, Listener, Needs, Status};
use crate::net::reply::Body;
use crate::net::server::{Handle, Peer};
use crate::pipeline::Ledger;
use crate::settings::{Endpoint, GoDuration, Reader, settings};
use crate::telemetry::Health;

settings! {
    /// Says over HTTP whether the agent takes data: 200 once all pipelines run, 503 before and as the first step of
    /// stopping. Back-pressure and failing exporters do not change the answer, because an agent that is not ready loses
    /// its place in the node's Service.
    ///
    /// Beside the Collector's answer there are three paths of our own, each with a JSON document. `/live`, for a liveness
    /// probe: 200 for as long as the program turns, also while it drains. `/ready`, for a readiness probe: as above, and
    /// with `k8s_attributes` only after the first list of pods, or after `wait_for_metadata_timeout` without it.
    /// `/moving`, for people and monitors, not for probes: 503 when an exporter is stuck, with its name, since when, how
    /// many items are held, and the last error (shown on loopback alone).
    pub struct Config {
        /// Where to listen. A probe of the kubelet dials the pod's address, so in a cluster this must not be localhost.
        pub endpoint: Endpoint = Endpoint::localhost(13133),
        /// The path that is answered as the Collector does; `/` answers every path but the three of our own.
        pub path: String = "/".to_owned(),
        /// What is answered instead of the JSON document.
        pub response_body: ResponseBody = ResponseBody::default(),
        /// Our own key: an exporter that has had data for this long, and whose destination took none of it, is stuck.
        pub stuck_after: GoDuration = GoDuration::minutes(1),
    }
    unsupported {
        "tls" => "remove it; probes of the kubelet do not check certificates, and the answer holds nothing secret",
        "auth" => "remove it; probes cannot authenticate, and the answer holds nothing secret",
        "cors" => "remove it; the page is not meant for browsers of other sites",
    }
    ignored {
        "check_collector_pipeline" => "it has no effect in the Collector either; exporters do not change the answer",
    }
    check Config::check
}

settings! {
    /// What is answered instead of the JSON document.
    pub struct ResponseBody {
        /// When the agent is ready.
        pub healthy: String = String::new(),
        /// When it is not.
        pub unhealthy: String = String::new(),
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "health_check",
        formerly: None,
        summary: "Says over HTTP whether the agent takes data.",
        status: Status::Stable,
        signals: &[],
    };

    fn needs(&self) -> Needs {
        Needs { listeners: vec![Listener::tcp(&self.endpoint, "endpoint")], ..Needs::default() }
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        if !self.path.starts_with('/') {
            cx.error_at("path", "path must start with /", format!("write `path: /{}`", self.path));
        }
        if self.stuck_after.positive().is_none() {
            cx.error_at("stuck_after", "`stuck_after` must be positive", "write a duration such as `1m`");
        }
    }
}

/// Answers requests.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    config: Config,
    health: Health,
    ledger: Ledger,
}

impl HealthCheck {
    /// Answers from `health`, and for what moves from the lines of `ledger`.
    #[must_use]
    pub fn new(config: Config, health: Health, ledger: Ledger) -> Self {
        Self { config, health, ledger }
    }

    /// Where to listen.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.config.endpoint
    }

    /// The answer to a request for this path. `near` says whether it came over loopback.
    pub async fn answer(&self, path: &str, near: bool) -> Response<Body> {
        let (status, document) = match path {
            written if written == self.config.path => return self.available(path),
            "/live" => pages::live().await,
            "/ready" => pages::ready(&self.health),
            "/moving" => pages::moving(&self.ledger, self.config.stuck_after.to_std(), near),
            _ => return self.available(path),
        };
        respond(status, JSON, format!("{document:#}\n"))
    }

    /// The Collector's answer.
    fn available(&self, path: &str) -> Response<Body> {
        if self.config.path != "/" && path != self.config.path {
            return respond(StatusCode::NOT_FOUND, PLAIN, "404 page not found\n".to_owned());
        }
        let since = self.health.ready_since();
        let (status, own_words) = match since {
            Some(_) => (StatusCode::OK, &self.config.response_body.healthy),
            None => (StatusCode::SERVICE_UNAVAILABLE, &self.config.response_body.unhealthy),
        };
        if !own_words.is_empty() {
            return respond(status, PLAIN, own_words.clone());
        }
        let document = match since {
            Some(since) => {
                let uptime = i64::try_from(since.instant.elapsed().as_nanos()).unwrap_or(i64::MAX);
                document("Server available", &since.time.to_string(), &GoDuration::nanos(uptime).to_string())
            }
            None => document("Server not available", "0001-01-01T00:00:00Z", ""),
        };
        respond(status, JSON, document)
    }
}

impl Handle for HealthCheck {
    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let near = peer.address.is_none_or(|address| address.ip().to_canonical().is_loopback());
        self.answer(request.uri().path(), near).await
    }
}

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

fn document(status: &str, since: &str, uptime: &str) -> String {
    serde_json::json!({ "status": status, "upSince": since, "uptime": uptime }).to_string()
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
