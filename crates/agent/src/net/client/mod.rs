//! A client for one destination: connections on demand, kept, replaced when they end, over HTTP/1 or HTTP/2, plain or TLS.
//!
//! It sends one request and reads one answer. What an answer means, and whether to try again, is the caller's.

mod body;
mod dial;
mod error;
mod pool;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};

pub use body::Slices;
pub use dial::Place;
pub use error::{Error, Kind};
use pool::{Checkout, Pool};

use super::tls::client::Connector;

/// What is read of an answer at most. The Collector stops there too.
pub const ANSWER_CAP: usize = 64 * 1024;

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 from the first byte on, also without TLS: what gRPC needs.
    Http2,
    /// What TLS agrees on; HTTP/1 when it does not, or without TLS.
    Negotiated,
}

/// How a client shall be.
pub struct Options {
    /// Where to.
    pub place: Place,
    /// What the destination is called in requests; the place if there is nothing else.
    pub authority: Option<Authority>,
    /// TLS, or plain.
    pub tls: Option<Connector>,
    /// Which HTTP.
    pub protocol: Protocol,
    /// A connection to every address of the name, used in turn, instead of one to the first that answers.
    pub spread: bool,
    /// For one connection, TLS included.
    pub connect_timeout: Duration,
    /// HTTP/2 pings.
    pub keepalive: Option<Keepalive>,
    /// Idle HTTP/1 connections that are kept.
    pub max_idle: usize,
    /// An HTTP/1 connection that was idle for this long is not used again.
    pub idle_timeout: Duration,
}

impl Options {
    /// The usual: HTTP/2 to one place, plain.
    #[must_use]
    pub fn new(place: Place, protocol: Protocol) -> Self {
        Self {
            place,
            authority: None,
            tls: None,
            protocol,
            spread: false,
            connect_timeout: Duration::from_secs(10),
            keepalive: None,
            max_idle: 100,
            idle_timeout: Duration::from_secs(90),
        }
    }
}

/// HTTP/2 pings on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before a ping.
    pub interval: Duration,
    /// Silence after a ping that ends the connection.
    pub timeout: Duration,
    /// Also when no request is on its way.
    pub while_idle: bool,
}

/// One request: always a POST.
#[derive(Debug)]
pub struct Call<'a> {
    /// Where to.
    pub path: &'a PathAndQuery,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Slices,
    /// When to give up, connecting included.
    pub deadline: Option<Duration>,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, up to [`ANSWER_CAP`].
    pub body: Bytes,
    /// The body was longer.
    pub cut: bool,
    /// Trailers.
    pub trailers: HeaderMap,
}

/// A client for one destination. Clones share the connections.
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
    scheme: Scheme,
    authority: Authority,
}

impl Client {
    /// Connects nothing yet. Needs a Tokio runtime only when it is used.
    ///
    /// # Errors
    /// The place makes no authority: its host is no host name.
    pub fn new(options: Options) -> anyhow::Result<Self> {
        let scheme = if options.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = match (&options.authority, &options.place) {
            (Some(authority), _) => authority.clone(),
            (None, Place::Unix(_)) => Authority::from_static("localhost"),
            (None, place) => Authority::try_from(place.to_string())?,
        };
        Ok(Self { pool: Pool::new(options, None), scheme, authority })
    }

    /// Sends a request and reads the answer.
    ///
    /// A request that is known not to have been looked at (the connection was closing) is sent once more.
    ///
    /// # Errors
    /// No answer came.
    pub async fn post(&self, call: Call<'_>) -> Result<Answer, Error> {
        let mut connected = false;
        let Some(deadline) = call.deadline else { return self.attempt(&call, &mut connected).await };
        match tokio::time::timeout(deadline, self.attempt(&call, &mut connected)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::deadline(&self.pool.place(), deadline, connected)),
        }
    }

    async fn attempt(&self, call: &Call<'_>, connected: &mut bool) -> Result<Answer, Error> {
        let mut again = true;
        loop {
            let mut checkout = self.pool.checkout().await?;
            *connected = true;
            let request = self.request(call, checkout.is_http2());
            match exchange(&mut checkout, request).await {
                Ok(answer) => {
                    checkout.give_back(!answer.cut);
                    return Ok(answer);
                }
                Err(failure) if again && checkout.may_repeat(&failure) => again = false,
                Err(failure) => return Err(checkout.explain(&failure.error)),
            }
        }
    }

    fn request(&self, call: &Call<'_>, http2: bool) -> Request<Slices> {
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = Method::POST;
        *request.headers_mut() = call.headers.clone();
        if http2 {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(self.scheme.clone());
            parts.authority = Some(self.authority.clone());
            parts.path_and_query = Some(call.path.clone());
            *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path make a URI");
            *request.version_mut() = Version::HTTP_2;
        } else {
            *request.uri_mut() = Uri::from(call.path.clone());
            if !call.headers.contains_key(HOST) {
                let host = HeaderValue::from_str(self.authority.as_str()).expect("an authority is a header value");
                request.headers_mut().insert(HOST, host);
            }
        }
        request
    }
}

/// A request that got no answer.
struct Failure {
    error: hyper::Error,
    /// Not a byte of it was sent.
    unsent: bool,
}

async fn exchange(checkout: &mut Checkout, request: Request<Slices>) -> Result<Answer, Failure> {
    let (head, incoming) = checkout.send(request).await?.into_parts();
    let read = body::read(incoming, ANSWER_CAP).await.map_err(|error| Failure { error, unsent: false })?;
    Ok(Answer { status: head.status, headers: head.headers, body: read.body, cut: read.cut, trailers: read.trailers })
}

#[cfg(test)]
mod tests;
