//! One GET over plain HTTP/1.1, for people and for probes: every address of the name is tried, the body comes in pieces.
//!
//! No TLS, no redirects, no proxy: it asks the agent, or what stands beside it.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri, response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query.
    pub path: PathAndQuery,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// The name has no address.
    Resolve(io::Error),
    /// No address took the connection; each with its reason.
    Connect(Vec<(SocketAddr, io::Error)>),
    /// The connection ended before the answer, or what came is not HTTP.
    Exchange(SocketAddr, hyper::Error),
}

/// An answer of which the head has come.
#[derive(Debug)]
pub struct Answer {
    /// Who answered.
    pub peer: SocketAddr,
    /// Status and headers.
    pub head: response::Parts,
    body: Incoming,
}

impl Url {
    /// Reads `http://host:port/path`; the scheme, the port (80) and the path (`/`) may be left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Url, String> {
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri =
            full.parse().map_err(|error| format!("`{text}` is not an address like http://host:port/path: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!("`{text}`: only http:// is spoken here"));
        }
        let authority = uri.authority().ok_or_else(|| format!("`{text}` has no host"))?;
        if authority.as_str().contains('@') {
            return Err("user names and passwords in an address are not taken here".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(format!("`{text}` has no host"));
        }
        // A port that is no number is not told apart from none by the parser of the address.
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => {
                port.parse().map_err(|_| format!("`{port}` is not a port number"))?
            }
            _ => 80,
        };
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Url { host, port, path })
    }

    /// Host and port as they are written in an address.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The addresses to try. `localhost` is both loopback addresses whatever a resolver says (RFC 6761): an image need not
    /// have `/etc/hosts`, and the server may listen on one of them only.
    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        if self.host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![(Ipv4Addr::LOCALHOST, self.port).into(), (Ipv6Addr::LOCALHOST, self.port).into()]);
        }
        let mut addresses: Vec<SocketAddr> = lookup_host((self.host.as_str(), self.port)).await?.collect();
        addresses.dedup();
        if addresses.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(addresses) }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "the name cannot be resolved: {error}"),
            Self::Connect(tried) => {
                let mut list = String::new();
                for (address, error) in tried {
                    let comma = if list.is_empty() { "" } else { ", " };
                    write!(list, "{comma}{address}: {error}")?;
                }
                write!(f, "cannot connect ({list})")
            }
            Self::Exchange(address, error) => {
                let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
                write!(f, "{address} took the connection but did not answer as HTTP: {error}{cause}")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Asks, and returns when the head of the answer has come. Waits for as long as the peer does: the deadline is the
/// caller's. `connected` is told which address it is, before anything is sent.
///
/// # Errors
/// No answer came.
pub async fn get(url: &Url, headers: &HeaderMap, connected: &mut dyn FnMut(SocketAddr)) -> Result<Answer, Error> {
    let addresses = url.addresses().await.map_err(Error::Resolve)?;
    let mut tried = Vec::new();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                connected(address);
                return exchange(stream, url, headers).await.map_err(|error| Error::Exchange(address, error)).map(
                    |answer| {
                        let (head, body) = answer.into_parts();
                        Answer { peer: address, head, body }
                    },
                );
            }
            Err(error) => tried.push((address, error)),
        }
    }
    Err(Error::Connect(tried))
}

async fn exchange(stream: TcpStream, url: &Url, headers: &HeaderMap) -> hyper::Result<http::Response<Incoming>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer: the request says `Connection: close`.
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = Uri::from(url.path.clone());
    let all = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(&url.authority()) {
        all.insert(HOST, host);
    }
    all.insert(USER_AGENT, HeaderValue::from_static(concat!("otel-agent/", env!("CARGO_PKG_VERSION"))));
    all.insert(ACCEPT, HeaderValue::from_static("*/*"));
    all.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in headers {
        all.insert(name, value.clone());
    }
    sender.send_request(request).await
}

impl Answer {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection ended in the middle of it.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Error::Exchange(self.peer, error))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The beginning of the body as text, up to `most` bytes.
    ///
    /// # Errors
    /// As [`Answer::piece`].
    pub async fn beginning(&mut self, most: usize) -> Result<String, Error> {
        let mut text = Vec::new();
        while text.len() < most
            && let Some(piece) = self.piece().await?
        {
            text.extend_from_slice(&piece);
        }
        text.truncate(most);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it() {
        let check = |text: &str, expected: &str| {
            let got = Url::parse(text).map_or_else(|what| what, |url| url.to_string());
            assert!(got.contains(expected), "{text}: {got}");
        };
        check("http://localhost:13133", "http://localhost:13133/");
        check("localhost:13133", "http://localhost:13133/");
        check("localhost", "http://localhost:80/");
        check("[::1]:13133/health?a=b", "http://[::1]:13133/health?a=b");
        check("http://[::1]", "http://[::1]:80/");
        check("https://localhost:13133", "only http://");
        check("http://me:secret@localhost", "not taken here");
        check("http://localhost:port", "is not a port number");
        check("http://localhost:99999", "is not a port number");
        check("http://", "is not an address");
        check("a b", "is not an address");
    }
}
