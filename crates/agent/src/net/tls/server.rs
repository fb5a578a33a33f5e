//! TLS as a server: who we are, whom we let in, and reading both again when they change.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::reloaded::{Make, Reloaded};
use super::{Pem, Version, validity};
use crate::settings::{GoDuration, Reader, Secret, settings};

settings! {
    /// TLS towards clients. With `client_ca_file`, clients must show a certificate too.
    pub struct ServerTls {
        /// File with our certificate (PEM, followed by its intermediates).
        pub cert_file: String = String::new(),
        /// The same as `cert_file`, in the configuration itself.
        pub cert_pem: Secret = Secret::default(),
        /// File with the key of our certificate (PEM).
        pub key_file: String = String::new(),
        /// The same as `key_file`, in the configuration itself.
        pub key_pem: Secret = Secret::default(),
        /// File with the authorities that sign the certificates of clients (PEM). Set: a client without one is refused.
        pub client_ca_file: String = String::new(),
        /// Looks at `client_ca_file` every ten seconds, when `reload_interval` does not say otherwise.
        pub client_ca_file_reload: bool = false,
        /// Lowest version of TLS: `"1.2"` or `"1.3"`.
        pub min_version: Version = Version::Tls12,
        /// Highest version of TLS.
        pub max_version: Version = Version::Tls13,
        /// How often the files are looked at again, so that a renewed certificate is used for new connections. 0: never.
        pub reload_interval: GoDuration = GoDuration::ZERO,
    }
    unsupported {
        "ca_file" => "remove it; it is for clients. For the authorities of clients' certificates use `client_ca_file`",
        "ca_pem" => "remove it; it is for clients. For the authorities of clients' certificates use `client_ca_file`",
        "include_system_ca_certs_pool" => "remove it; clients are checked against `client_ca_file` only",
        "cipher_suites" => "remove it; only suites without known weaknesses are offered",
        "include_insecure_cipher_suites" => "remove it; only suites without known weaknesses are offered",
        "curve_preferences" => "remove it; X25519 and the NIST curves are offered",
        "tpm" => "keep the key in a file (`key_file`)",
    }
    check ServerTls::check
}

impl ServerTls {
    fn check(&self, cx: &mut Reader<'_>) {
        for (name, file, pem) in [("cert", &self.cert_file, &self.cert_pem), ("key", &self.key_file, &self.key_pem)] {
            if !file.is_empty() && !pem.is_empty() {
                let key = format!("{name}_pem");
                cx.error_at(&key, format!("`{name}_file` and `{name}_pem` exclude each other"), "keep one of them");
            }
        }
        if self.cert().is_none() || self.key().is_none() {
            cx.error_at("cert_file", "TLS needs a certificate and its key", "set both `cert_file` and `key_file`");
        }
        if self.min_version > self.max_version {
            cx.error_at("min_version", "`min_version` is above `max_version`", "");
        }
        if self.reload_interval.is_negative() {
            cx.error_at("reload_interval", "`reload_interval` must not be negative", "");
        }
    }

    fn cert(&self) -> Option<Pem> {
        Pem::of(&self.cert_file, &self.cert_pem)
    }

    fn key(&self) -> Option<Pem> {
        Pem::of(&self.key_file, &self.key_pem)
    }

    /// How often the files are looked at again; none: never.
    fn interval(&self) -> Option<Duration> {
        let watched = self.client_ca_file_reload.then_some(Duration::from_secs(10));
        self.reload_interval.positive().or(watched)
    }
}

/// Answers TLS handshakes. Clones share the configuration.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<Reloaded<Maker>>,
}

struct Maker {
    settings: ServerTls,
    protocols: Vec<Vec<u8>>,
}

/// What is written in the files (or in the configuration).
#[derive(PartialEq)]
struct Sources {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Acceptor").field(&self.config.make().settings).finish()
    }
}

impl Acceptor {
    /// Reads certificates and keys. `protocols` are agreed on by ALPN, best first.
    ///
    /// # Errors
    /// A file cannot be read or understood, or key and certificate do not match. An expired certificate is told in the log:
    /// there are clients that do not look.
    pub fn new(settings: &ServerTls, protocols: &[&str]) -> anyhow::Result<Self> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let config = Reloaded::new(Maker { settings: settings.clone(), protocols })?;
        Ok(Self { config: Arc::new(config) })
    }

    /// The TLS handshake with a client.
    ///
    /// # Errors
    /// The client does not take our certificate, or we do not take its.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.config.current()).accept(stream).await
    }
}

impl Make for Maker {
    type Texts = Sources;
    type Config = ServerConfig;

    fn interval(&self) -> Option<Duration> {
        self.settings.interval()
    }

    fn read(&self) -> anyhow::Result<Sources> {
        Sources::read(&self.settings)
    }

    fn build(&self, sources: &Sources) -> anyhow::Result<ServerConfig> {
        build(&self.settings, sources, &self.protocols)
    }
}

const CERT: &str = "the certificate (tls::cert_file)";
const KEY: &str = "the key of the certificate (tls::key_file)";
const CLIENT_CA: &str = "the authorities of clients (tls::client_ca_file)";

impl Sources {
    fn read(settings: &ServerTls) -> anyhow::Result<Self> {
        let read = |pem: Option<Pem>, what| pem.map(|pem| pem.read().context(what)).transpose();
        Ok(Self {
            cert: read(settings.cert(), CERT)?.unwrap_or_default(),
            key: read(settings.key(), KEY)?.unwrap_or_default(),
            client_ca: read(Pem::of(&settings.client_ca_file, &Secret::default()), CLIENT_CA)?,
        })
    }
}

fn build(settings: &ServerTls, sources: &Sources, protocols: &[Vec<u8>]) -> anyhow::Result<ServerConfig> {
    let provider = super::provider();
    let versions = super::versions(settings.min_version, settings.max_version);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions)?;
    let builder = match &sources.client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in super::certificates(pem).context(CLIENT_CA)? {
                roots.add(certificate).context(CLIENT_CA)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.context(CLIENT_CA)?)
        }
    };
    let chain = super::certificates(&sources.cert).context(CERT)?;
    let key = super::private_key(&sources.key).context(KEY)?;
    warn_of_expiry(settings, chain.first().map_or(&[], |leaf| leaf.as_ref()));
    let mut config = match builder.with_single_cert(chain, key) {
        Ok(config) => config,
        Err(rustls::Error::InconsistentKeys(_)) => {
            bail!("the key (tls::key_file) is not the key of the certificate (tls::cert_file)")
        }
        Err(error) => return Err(error).context("the certificate and its key (tls::cert_file, tls::key_file)"),
    };
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

fn warn_of_expiry(settings: &ServerTls, leaf: &[u8]) {
    let Some(ends) = validity::not_after(leaf) else { return };
    if ends < SystemTime::now() {
        let file = &settings.cert_file;
        let ended = jiff::Timestamp::try_from(ends).map_or_else(|_| "long ago".to_owned(), |ended| ended.to_string());
        tracing::warn!(file, ended, "the certificate of this server has expired: clients will refuse it; renew it");
    }
}
