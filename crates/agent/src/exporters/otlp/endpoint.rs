//! Where to send, as it is written in `endpoint`: gRPC targets and HTTP URLs.

use std::path::PathBuf;

use http::Uri;
use http::uri::{Authority, PathAndQuery};

use crate::component::Upstream;
use crate::net::client::Place;
use crate::settings::Endpoint;

/// What is wrong with an endpoint, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Wrong {
    Wrong { what: what.into(), remedy: remedy.into() }
}

// === gRPC ===

/// Where a gRPC exporter sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub place: Place,
    /// Whether the scheme decides about TLS; otherwise `tls::insecure` does.
    pub tls: Option<bool>,
}

impl Target {
    /// Reads `host:port`, `http://host:port`, `https://host:port`, `dns:///host:port` or `unix:/path`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path).map(|place| Self { place, tls: None });
        }
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(false), rest),
            Some(("https", rest)) => (Some(true), rest),
            Some(("dns" | "passthrough", rest)) => (None, without_resolver(rest)?),
            Some((scheme, _)) => {
                let remedy = "write `host:port`, or put `http://`, `https://`, `dns:///` or `unix:` before it";
                return Err(wrong(format!("the scheme `{scheme}://` is unknown"), remedy));
            }
            None => (None, text.strip_prefix("dns:").unwrap_or(text)),
        };
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            let what = format!("gRPC has no path, but the endpoint has `/{path}`");
            return Err(wrong(what, "remove the path, or use the exporter `otlp_http`"));
        }
        host_and_port(address).map(|place| Self { place, tls })
    }
}

fn unix(path: &str) -> Result<Place, Wrong> {
    // `unix:relative`, `unix:/absolute` and `unix:///absolute` are gRPC's forms.
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return Err(wrong("the path of the socket is missing", "write it as `unix:/path/to/socket`"));
    }
    Ok(Place::Unix(PathBuf::from(path)))
}

/// `dns:///host:port`; between the slashes a name server could stand.
fn without_resolver(rest: &str) -> Result<&str, Wrong> {
    match rest.split_once('/') {
        Some(("", rest)) => Ok(rest),
        Some((server, rest)) => {
            let what = format!("names are resolved by the system, not by a name server of their own (`{server}`)");
            Err(wrong(what, format!("write `dns:///{rest}`")))
        }
        None => Err(wrong("two slashes are not enough", format!("write `dns:///{rest}`"))),
    }
}

fn host_and_port(text: &str) -> Result<Place, Wrong> {
    if text.is_empty() {
        return Err(wrong("requires a non-empty \"endpoint\"", "write it as `host:port`, for instance `backend:4317`"));
    }
    let Endpoint { host, port } = Endpoint::parse(text)
        .map_err(|what| wrong(what, "write it as `host:port`; the port of OTLP over gRPC is usually 4317"))?;
    if host.is_empty() {
        return Err(wrong(format!("`{text}` has no host"), format!("write for instance `localhost{text}`")));
    }
    if port == 0 {
        return Err(wrong("nothing can be sent to port 0", "the port of OTLP over gRPC is usually 4317"));
    }
    Ok(Place::Tcp { host, port })
}

// === HTTP ===

/// Where an HTTP exporter sends the requests of one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `https`.
    pub tls: bool,
    /// Host, without brackets.
    pub host: String,
    /// Port: as written, or the scheme's.
    pub port: u16,
    /// Host and port as written.
    pub authority: Authority,
    /// Path and query.
    pub path: PathAndQuery,
}

impl Url {
    /// Reads a URL that is used as it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        const REMEDY: &str = "write it as `http://host:4318` or `https://host:4318`";
        if !text.contains("://") {
            return Err(wrong(format!("`{text}` has no scheme"), format!("write `http://{text}` or `https://{text}`")));
        }
        let uri: Uri = text.parse().map_err(|error| wrong(format!("`{text}` is not a URL: {error}"), REMEDY))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") | None => false,
            Some(other) => {
                return Err(wrong(format!("`{other}://` is not a scheme that OTLP is sent over"), REMEDY));
            }
        };
        let authority = uri.authority().ok_or_else(|| wrong(format!("`{text}` has no host"), REMEDY))?;
        if authority.as_str().contains('@') {
            let remedy = "use the extension `basicauth` with `client_auth`, and `auth::authenticator` here";
            return Err(wrong("a URL with a user name and password in it is not taken", remedy));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = match authority.port() {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.as_u16(),
        };
        if host.is_empty() || port == 0 {
            return Err(wrong(format!("`{text}` has no host or port that can be sent to"), REMEDY));
        }
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { tls, host: host.to_owned(), port, authority: authority.clone(), path })
    }

    /// Reads the URL of all signals, to which the path of one is added.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn under(base: &str, path: &str) -> Result<Self, Wrong> {
        Self::parse(&format!("{}/{path}", base.strip_suffix('/').unwrap_or(base)))
    }

    /// Where that is, for whoever deploys or looks for it.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        Upstream { grpc: false, tls: self.tls, host: self.host.clone(), port: self.port }
    }

    /// Where to connect.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::Tcp { host: self.host.clone(), port: self.port }
    }

    /// The URL for people and logs: without its query, in which some put keys.
    #[must_use]
    pub fn display(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path.path())
    }
}
