//! `health_check`: says over HTTP whether the agent takes data.
//!
//! Any method gets the same answer. Back-pressure and failing exporters do not lower it, see `telemetry::health`.

use std::future::{Future, ready};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::component::{About, Component, Listener, Needs, Status};
use crate::net::reply::Body;
use crate::net::server::{Handle, Peer};
use crate::settings::{Endpoint, GoDuration, Reader, settings};
use crate::telemetry::Health;

settings! {
    /// Says over HTTP whether the agent takes data: 200 once all pipelines run, 503 before and as the first step of
    /// stopping. Back-pressure and failing exporters do not change the answer, because an agent that is not ready loses
    /// its place in the node's Service.
    pub struct Config {
        /// Where to listen. A probe of the kubelet dials the pod's address, so in a cluster this must not be localhost.
        pub endpoint: Endpoint = Endpoint::localhost(13133),
        /// The path that is answered; `/` answers every path.
        pub path: String = "/".to_owned(),
        /// What is answered instead of the JSON document.
        pub response_body: ResponseBody = ResponseBody::default(),
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
    }
}

/// Answers requests.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    config: Config,
    health: Health,
}

impl HealthCheck {
    /// Answers from `health`.
    #[must_use]
    pub fn new(config: Config, health: Health) -> Self {
        Self { config, health }
    }

    /// Where to listen.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.config.endpoint
    }

    /// The answer to a request for this path.
    #[must_use]
    pub fn answer(&self, path: &str) -> Response<Body> {
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
        respond(status, "application/json", document)
    }
}

impl Handle for HealthCheck {
    fn handle(&self, request: Request<Incoming>, _: Peer) -> impl Future<Output = Response<Body>> + Send {
        ready(self.answer(request.uri().path()))
    }
}

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
mod tests {
    use super::*;
    use crate::settings::read_text;
    use http_body_util::BodyExt;

    async fn check(config: &str, ready: bool, path: &str, status: u16, content_type: &str, body: &str) {
        let health = Health::starting();
        if ready {
            health.set_ready();
        }
        let response = HealthCheck::new(read_text(config).unwrap(), health).answer(path);
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&bytes).unwrap();
        let pattern = regex::Regex::new(body).unwrap();
        assert!(pattern.is_match(text), "{text}");
    }

    const READY: &str =
        r#"^\{"status":"Server available","upSince":"20[0-9-]+T[0-9:]+\.[0-9]+Z","uptime":"[0-9.]+(ns|µs|ms|s)"\}$"#;
    const NOT_READY: &str = r#"^\{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""\}$"#;

    #[tokio::test]
    async fn answers_as_the_collector_does() {
        check("{}", true, "/", 200, "application/json", READY).await;
        check("{}", true, "/any/path", 200, "application/json", READY).await;
        check("{}", false, "/", 503, "application/json", NOT_READY).await;
    }

    #[tokio::test]
    async fn a_path_other_than_the_root_is_the_only_one() {
        check("path: /healthz", true, "/healthz", 200, "application/json", READY).await;
        check("path: /healthz", true, "/", 404, "text/plain; charset=utf-8", "not found").await;
    }

    #[tokio::test]
    async fn own_words_are_sent_as_they_are() {
        let config = "response_body: {healthy: fine, unhealthy: not yet}";
        check(config, true, "/", 200, "text/plain; charset=utf-8", "^fine$").await;
        check(config, false, "/", 503, "text/plain; charset=utf-8", "^not yet$").await;
    }

    #[test]
    fn stopping_takes_readiness_back() {
        let health = Health::starting();
        let extension = HealthCheck::new(Config::default(), health.clone());
        health.set_ready();
        assert_eq!(extension.answer("/").status(), 200);
        health.set_stopping();
        assert_eq!(extension.answer("/").status(), 503);
    }

    #[test]
    fn a_path_without_a_slash_is_a_problem() {
        let problems = read_text::<Config>("path: healthz").unwrap_err();
        assert!(problems.contains("path must start with /"), "{problems}");
    }
}
