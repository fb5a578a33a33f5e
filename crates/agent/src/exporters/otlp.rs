//! What the two OTLP exporters, and others that speak HTTP, share: endpoints, headers, how a request is packed, and what an answer means.

/// Where to send, as it is written in `endpoint`.
pub mod endpoint;

/// A request body: encoded, compressed.
pub mod pack;

/// What an answer means for the batch.
pub mod answers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::component::{ExtensionNeed, Role};
use crate::net::auth::Credentials;
use crate::net::tls::client::{ClientTls, Connector};
use crate::pipeline::queue;
use crate::settings::{ComponentId, Reader, Secret, Toggle, settings};

settings! {
    /// Who we are towards the backend.
    pub struct Auth {
        /// Id of an extension that adds our credentials to each request, for instance `bearertokenauth`. It must also stand
        /// in `service::extensions`.
        required pub authenticator: ComponentId,
    }
}

/// What an exporter with this `auth` and this queue needs.
pub(super) fn needed_extensions(auth: Option<&Auth>, queue: &Toggle<queue::Settings>) -> Vec<ExtensionNeed> {
    let need = |auth: &Auth| ExtensionNeed {
        id: auth.authenticator.clone(),
        role: Role::ClientAuthenticator,
        key: "auth::authenticator",
    };
    auth.map(need).into_iter().chain(super::needed_storage(queue)).collect()
}

/// Headers that every request carries, and where to ask for those that change.
#[derive(Clone)]
pub(super) struct Headers {
    fixed: HeaderMap,
    credentials: Option<Arc<dyn Credentials>>,
}

impl Headers {
    /// `written` are the headers of the configuration; `of_protocol` those that the protocol wants.
    pub(super) fn new(
        written: &BTreeMap<String, Secret>,
        user_agent: &str,
        of_protocol: &[(HeaderName, HeaderValue)],
        credentials: Option<Arc<dyn Credentials>>,
    ) -> anyhow::Result<Self> {
        let mut fixed = HeaderMap::new();
        let user_agent = if user_agent.is_empty() { default_user_agent() } else { user_agent.to_owned() };
        fixed.insert(USER_AGENT, HeaderValue::from_str(&user_agent).context("user_agent")?);
        for (name, value) in written {
            let (name, value) = header(name, value).map_err(anyhow::Error::msg)?;
            // The host is part of where a request goes, not a header among others.
            if name != HOST {
                fixed.insert(name, value);
            }
        }
        fixed.extend(of_protocol.iter().cloned());
        Ok(Self { fixed, credentials })
    }

    /// The headers of one request.
    pub(super) fn for_request(&self) -> HeaderMap {
        let mut headers = self.fixed.clone();
        if let Some(credentials) = &self.credentials {
            credentials.add_to(&mut headers);
        }
        headers
    }
}

/// Finds headers that cannot be sent.
pub(super) fn check_headers(headers: &BTreeMap<String, Secret>, cx: &mut Reader<'_>) {
    for (name, value) in headers {
        if let Err(what) = header(name, value) {
            cx.error_at(&format!("headers::{name}"), what, "");
        }
    }
}

/// A header as it is sent. Values are secrets more often than not, so they are kept out of logs and of compression tables.
fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), String> {
    let header = HeaderName::try_from(name).map_err(|_| format!("`{name}` is not the name of a header"))?;
    let mut value = HeaderValue::from_str(value.expose())
        .map_err(|_| format!("the value of the header `{name}` has characters that no header can have"))?;
    value.set_sensitive(true);
    Ok((header, value))
}

fn default_user_agent() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("otel-agent/{} ({}/{arch})", env!("CARGO_PKG_VERSION"), std::env::consts::OS)
}

/// TLS for an endpoint, or none.
pub(super) fn connector(on: bool, tls: &ClientTls, protocols: &[&str]) -> anyhow::Result<Option<Connector>> {
    on.then(|| Connector::new(tls, protocols)).transpose()
}

/// Proxies are not spoken to; who has set one in the environment should know before wondering about timeouts.
pub(super) fn warn_of_proxy() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let set = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
        .into_iter()
        .find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if let Some(variable) = set {
        ONCE.call_once(|| {
            tracing::warn!(variable, "A proxy is set in the environment. otel-agent connects to backends directly.");
        });
    }
}

/// How long is left for an attempt that began at `started`. It ends a little before the sender's own timeout strikes,
/// because here it is known whether there was a connection, and the error can say so.
pub(super) fn time_left(timeout: Option<Duration>, started: Instant) -> Option<Duration> {
    timeout.map(|timeout| timeout.mul_f64(0.98).saturating_sub(started.elapsed()))
}

#[cfg(test)]
pub(in crate::exporters) mod tests;
