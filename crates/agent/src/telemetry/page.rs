//! `GET /metrics`: the answer of one reader.

use std::future::{Future, ready};

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::exposition::{self, Naming};
use super::settings::PageFor;
use super::{Level, Metrics, Who};
use crate::net::compression::{Encoding, compress};
use crate::net::reply::Body;
use crate::net::server::{Handle, Peer};

/// What one reader of the agent's metrics sees. It is a handler for `net::server`.
#[derive(Debug, Clone)]
pub struct Page {
    /// The metrics.
    pub metrics: Metrics,
    /// How much of them.
    pub level: Level,
    /// What is appended to names.
    pub naming: Naming,
    /// The labels of `target_info`.
    pub resource: Vec<(String, String)>,
    /// Who sends what.
    pub who: Who,
}

impl Page {
    /// The answer to a request.
    #[must_use]
    pub fn answer(&self, method: &Method, path: &str, headers: &HeaderMap, peer: Peer) -> Response<Body> {
        if path != "/metrics" && path != "/who" {
            return refuse(
                StatusCode::NOT_FOUND,
                "404 page not found; the metrics are at /metrics, who sends what at /who\n",
            );
        }
        if method != Method::GET && method != Method::HEAD {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "405 only GET is answered here\n");
        }
        if path == "/who" {
            return self.who(peer);
        }
        let text = exposition::write(&self.metrics.collect(self.level), &self.naming, &self.resource);
        let packed = takes_gzip(headers).then(|| compress(Encoding::Gzip, Some(1), [text.as_bytes()]));
        let mut response = match packed {
            Some(Ok(packed)) => {
                let mut response = Response::new(Body::from(packed));
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
            _ => Response::new(Body::from(text)),
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(exposition::CONTENT_TYPE));
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        response
    }

    /// It names pods and metrics, so that it is for people of this machine unless they were told otherwise.
    fn who(&self, peer: Peer) -> Response<Body> {
        let near = peer.address.is_none_or(|address| address.ip().to_canonical().is_loopback());
        if !near && self.who.settings().page == PageFor::Loopback {
            return refuse(
                StatusCode::FORBIDDEN,
                "403 this page answers on loopback only: use `kubectl port-forward` or `kubectl exec`, or set \
                 service::telemetry::senders::page to `everywhere`\n",
            );
        }
        let mut response = Response::new(Body::from(self.who.page()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

impl Handle for Page {
    fn handle(&self, request: Request<Incoming>, peer: Peer) -> impl Future<Output = Response<Body>> + Send {
        ready(self.answer(request.method(), request.uri().path(), request.headers(), peer))
    }
}

fn refuse(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Whether gzip is listed, and not with a weight of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case("gzip") && weight.parse::<f64>().is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::settings::SendersConfig;
    use crate::telemetry::table;
    use http_body_util::BodyExt;

    const NEAR: &str = "127.0.0.1:40000";
    const FAR: &str = "10.1.2.3:40000";

    fn page(who: Who) -> Page {
        let metrics = Metrics::new();
        metrics.on_collect(|sink| sink.set(&table::BUDGET_USED, &[], 7));
        Page { metrics, level: Level::Normal, naming: Naming::default(), resource: Vec::new(), who }
    }

    fn ask(page: &Page, path: &str, peer: &str) -> Response<Body> {
        let peer = Peer { address: Some(peer.parse().unwrap()), tls: false };
        page.answer(&Method::GET, path, &HeaderMap::new(), peer)
    }

    async fn check(method: Method, path: &str, accept: &str, status: u16, gzip: bool) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
        let peer = Peer { address: Some(FAR.parse().unwrap()), tls: false };
        let response = page(Who::new()).answer(&method, path, &headers, peer);
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key(CONTENT_ENCODING), gzip, "{accept}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let mut text = String::new();
        if gzip {
            std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*bytes), &mut text).unwrap();
        } else {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        text
    }

    #[tokio::test]
    async fn metrics_are_served_at_their_path_packed_when_asked() {
        let plain = check(Method::GET, "/metrics", "identity", 200, false).await;
        assert!(plain.contains("\notel_agent_budget_used_bytes 7\n"), "{plain}");
        assert_eq!(check(Method::GET, "/metrics", "deflate, GZIP;q=0.5", 200, true).await, plain);
        assert_eq!(check(Method::GET, "/metrics", "gzip;q=0", 200, false).await, plain);
    }

    #[test]
    fn who_sends_what_is_told_on_loopback_only_unless_it_is_for_everywhere() {
        let who = Who::new();
        let page = page(who.clone());
        for near in [NEAR, "[::1]:40000", "[::ffff:127.0.0.1]:40000"] {
            assert_eq!(ask(&page, "/who", near).status(), 200, "{near}");
        }
        assert_eq!(ask(&page, "/who", FAR).status(), 403);
        assert_eq!(ask(&page, "/metrics", FAR).status(), 200);
        who.configure(&SendersConfig { page: PageFor::Everywhere, ..SendersConfig::default() });
        assert_eq!(ask(&page, "/who", FAR).status(), 200);
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_told_where_to_go() {
        assert!(check(Method::GET, "/", "gzip", 404, false).await.contains("/metrics"));
        assert!(check(Method::POST, "/metrics", "gzip", 405, false).await.contains("GET"));
    }
}
