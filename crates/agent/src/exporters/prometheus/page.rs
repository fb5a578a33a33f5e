//! `GET /metrics`: checks who asks, finds out what they want, and writes it part by part.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::config::Config;
use super::encode::{Answer, Style};
use super::negotiate;
use super::table::Table;
use crate::net::auth::Authenticate;
use crate::net::compression::Encoding;
use crate::net::reply::{Body, Part};
use crate::net::server::{Handle, Peer};

/// The page of an exporter.
pub(super) struct Page {
    table: Arc<Table>,
    authenticator: Option<Arc<dyn Authenticate>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    open_metrics: bool,
    timestamps: bool,
    /// For a client to take a part.
    patience: Option<Duration>,
}

/// Parts that wait for the client at most.
const WAITING: usize = 2;

impl Page {
    pub(super) fn new(table: Arc<Table>, config: &Config, authenticator: Option<Arc<dyn Authenticate>>) -> Page {
        let header = |(name, value): (&String, &String)| Some((name.parse().ok()?, value.parse().ok()?));
        Page {
            table,
            authenticator,
            headers: config.response_headers.iter().filter_map(header).collect(),
            open_metrics: config.enable_open_metrics,
            timestamps: config.send_timestamps,
            patience: config.write_timeout.positive(),
        }
    }

    /// The answer to a request.
    pub(super) fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
        let mut response = self.answer_to_known(method, uri, headers);
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    fn answer_to_known(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
        if let Some(Err(denied)) = self.authenticator.as_ref().map(|auth| auth.authenticate(headers)) {
            let mut response = say(StatusCode::UNAUTHORIZED, format!("{}\n", denied.message));
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
            return response;
        }
        if uri.path() != "/metrics" {
            return say(StatusCode::NOT_FOUND, "404 page not found; the metrics are at /metrics\n");
        }
        if method != Method::GET && method != Method::HEAD {
            return say(StatusCode::METHOD_NOT_ALLOWED, "405 only GET is answered here\n");
        }
        let (format, escaping) = negotiate::format(headers, self.open_metrics);
        let encoding = negotiate::compression(headers);
        let style = Style { format, escaping, timestamps: self.timestamps };
        let Ok(answer) = Answer::new(&self.table, &wanted(uri), style, encoding) else {
            return say(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be compressed\n");
        };
        self.table.reports.scraped();
        let body = if method == Method::HEAD { Body::empty() } else { stream(answer, self.patience) };
        let mut response = Response::new(body);
        let content_type = HeaderValue::try_from(negotiate::content_type(format, escaping));
        content_type.into_iter().for_each(|value| drop(response.headers_mut().insert(CONTENT_TYPE, value)));
        if encoding != Encoding::Identity {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.http_name()));
        }
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        response
    }
}

impl Handle for Page {
    fn handle(&self, request: Request<Incoming>, _: Peer) -> impl Future<Output = Response<Body>> + Send {
        std::future::ready(self.answer(request.method(), request.uri(), request.headers()))
    }
}

/// The body of an answer: parts are made as the client takes them, away from the threads that take data in.
fn stream(mut answer: Answer, patience: Option<Duration>) -> Body {
    let (parts, body) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        loop {
            let made = tokio::task::spawn_blocking(move || (answer.next_part(), answer)).await;
            let Ok((Ok(part), rest)) = made else { return };
            answer = rest;
            let part = part.map_or(Part::End, Part::Data);
            let is_end = matches!(part, Part::End);
            // A client that takes too long finds its connection cut, never an answer that only looks whole.
            let sent = match patience {
                Some(patience) => tokio::time::timeout(patience, parts.send(part)).await.is_ok_and(|sent| sent.is_ok()),
                None => parts.send(part).await.is_ok(),
            };
            if is_end || !sent {
                return;
            }
        }
    });
    Body::of_parts(body)
}

/// The names in `?name[]=…`.
fn wanted(uri: &Uri) -> Vec<String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(|(key, _)| matches!(decoded(key).as_str(), "name[]"));
    named.map(|(_, value)| decoded(value)).collect()
}

/// Text out of a query: `+` is a space, `%2e` is a dot.
fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        match byte {
            b'+' => out.push(b' '),
            b'%' => match (digit(), digit()) {
                (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
                _ => out.push(b'?'),
            },
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn say(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
