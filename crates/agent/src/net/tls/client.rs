//! TLS as a client: whom we trust, who we are, and reading both again when they change.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::reloaded::{Make, Reloaded};
use super::{Pem, Version};
use crate::settings::{GoDuration, Reader, Secret, settings};

settings! {
    /// TLS towards a backend. It is on unless `insecure` is set; without further keys the backend's certificate is
    /// checked against the system's authorities.
    pub struct ClientTls {
        /// Speaks without TLS. Anyone on the way can read what is sent; for backends on the same host or behind a mesh.
        pub insecure: bool = false,
        /// Takes any certificate. The connection is encrypted, but to whom is not known; for trying things out.
        pub insecure_skip_verify: bool = false,
        /// The name that the backend's certificate is checked for (and that is asked for), when it is not the one in the
        /// endpoint.
        pub server_name_override: String = String::new(),
        /// File with the authorities that sign the backend's certificate (PEM). The system's are then not used.
        pub ca_file: String = String::new(),
        /// The same as `ca_file`, in the configuration itself.
        pub ca_pem: Secret = Secret::default(),
        /// Trusts the system's authorities beside those of `ca_file`.
        pub include_system_ca_certs_pool: bool = false,
        /// File with our certificate (PEM, followed by its intermediates), for backends that want to know who we are.
        pub cert_file: String = String::new(),
        /// The same as `cert_file`, in the configuration itself.
        pub cert_pem: Secret = Secret::default(),
        /// File with the key of our certificate (PEM).
        pub key_file: String = String::new(),
        /// The same as `key_file`, in the configuration itself.
        pub key_pem: Secret = Secret::default(),
        /// Lowest version of TLS: `"1.2"` or `"1.3"`.
        pub min_version: Version = Version::Tls12,
        /// Highest version of TLS.
        pub max_version: Version = Version::Tls13,
        /// How often the files are looked at again, so that a renewed certificate is used for new connections. 0: never.
        pub reload_interval: GoDuration = GoDuration::ZERO,
    }
    unsupported {
        "cipher_suites" => "remove it; only suites without known weaknesses are offered",
        "include_insecure_cipher_suites" => "remove it; only suites without known weaknesses are offered",
        "curve_preferences" => "remove it; X25519 and the NIST curves are offered",
        "tpm" => "keep the key in a file (`key_file`)",
    }
    check ClientTls::check
}

impl ClientTls {
    fn check(&self, cx: &mut Reader<'_>) {
        for (name, file, pem) in [
            ("ca", &self.ca_file, &self.ca_pem),
            ("cert", &self.cert_file, &self.cert_pem),
            ("key", &self.key_file, &self.key_pem),
        ] {
            if !file.is_empty() && !pem.is_empty() {
                let key = format!("{name}_pem");
                cx.error_at(&key, format!("`{name}_file` and `{name}_pem` exclude each other"), "keep one of them");
            }
        }
        if self.cert().is_some() != self.key().is_some() {
            cx.error_at(
                "cert_file",
                "a certificate and its key belong together",
                "set both `cert_file` and `key_file`",
            );
        }
        if self.min_version > self.max_version {
            cx.error_at("min_version", "`min_version` is above `max_version`", "");
        }
        if self.reload_interval.is_negative() {
            cx.error_at("reload_interval", "`reload_interval` must not be negative", "");
        }
    }

    fn ca(&self) -> Option<Pem> {
        Pem::of(&self.ca_file, &self.ca_pem)
    }

    fn cert(&self) -> Option<Pem> {
        Pem::of(&self.cert_file, &self.cert_pem)
    }

    fn key(&self) -> Option<Pem> {
        Pem::of(&self.key_file, &self.key_pem)
    }
}

/// Makes TLS connections. Clones share the configuration.
#[derive(Clone)]
pub struct Connector {
    config: Arc<Reloaded<Maker>>,
}

struct Maker {
    settings: ClientTls,
    protocols: Vec<Vec<u8>>,
    name: Option<ServerName<'static>>,
}

/// What is written in the files (or in the configuration).
#[derive(PartialEq)]
struct Sources {
    ca: Option<Vec<u8>>,
    cert: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl Connector {
    /// Reads certificates and keys. `protocols` are offered by ALPN, best first.
    ///
    /// # Errors
    /// A file cannot be read or understood, key and certificate do not match, or there are no authorities to trust.
    pub fn new(settings: &ClientTls, protocols: &[&str]) -> anyhow::Result<Self> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = match settings.server_name_override.as_str() {
            "" => None,
            name => {
                Some(ServerName::try_from(name.to_owned()).with_context(|| format!("server_name_override {name:?}"))?)
            }
        };
        let config = Reloaded::new(Maker { settings: settings.clone(), protocols, name })?;
        Ok(Self { config: Arc::new(config) })
    }

    /// The TLS handshake over a connection that stands.
    ///
    /// # Errors
    /// The other side's certificate is not good, or it does not speak TLS; see the `rustls::Error` inside.
    pub async fn connect<S>(&self, name: io::Result<ServerName<'static>>, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match &self.config.make().name {
            Some(name) => name.clone(),
            None => name?,
        };
        TlsConnector::from(self.config.current()).connect(name, stream).await
    }
}

impl Make for Maker {
    type Texts = Sources;
    type Config = ClientConfig;

    fn interval(&self) -> Option<Duration> {
        self.settings.reload_interval.positive()
    }

    fn read(&self) -> anyhow::Result<Sources> {
        Sources::read(&self.settings)
    }

    fn build(&self, sources: &Sources) -> anyhow::Result<ClientConfig> {
        build(&self.settings, sources, &self.protocols)
    }
}

impl Sources {
    fn read(settings: &ClientTls) -> anyhow::Result<Self> {
        let read = |pem: Option<Pem>, what: &str| pem.map(|pem| pem.read().context(what.to_owned())).transpose();
        Ok(Self {
            ca: read(settings.ca(), "the authorities (tls::ca_file)")?,
            cert: read(settings.cert(), "our certificate (tls::cert_file)")?,
            key: read(settings.key(), "the key of our certificate (tls::key_file)")?,
        })
    }
}

fn build(settings: &ClientTls, sources: &Sources, protocols: &[Vec<u8>]) -> anyhow::Result<ClientConfig> {
    let provider = super::provider();
    let versions = super::versions(settings.min_version, settings.max_version);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions)?;
    let builder = if settings.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
    } else {
        builder.with_root_certificates(roots(settings, sources)?)
    };
    let mut config = match (&sources.cert, &sources.key) {
        (Some(cert), Some(key)) => {
            let cert = super::certificates(cert).context("our certificate (tls::cert_file)")?;
            let key = super::private_key(key).context("the key of our certificate (tls::key_file)")?;
            builder
                .with_client_auth_cert(cert, key)
                .context("our certificate and its key (tls::cert_file, tls::key_file)")?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.to_vec();
    // rustls builds the handshake buffers per connection; sessions of a handful of connections need no large cache.
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    Ok(config)
}

fn roots(settings: &ClientTls, sources: &Sources) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(ca) = &sources.ca {
        for certificate in super::certificates(ca).context("the authorities (tls::ca_file)")? {
            roots.add(certificate).context("the authorities (tls::ca_file)")?;
        }
    }
    if sources.ca.is_none() || settings.include_system_ca_certs_pool {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
    }
    if roots.is_empty() {
        bail!(
            "the system has no certificate authorities (looked at SSL_CERT_FILE, SSL_CERT_DIR and the usual places): \
             install the package ca-certificates, or set `tls::ca_file`, or `tls::insecure: true` for a plain connection"
        );
    }
    Ok(roots)
}

/// Takes any certificate; what `insecure_skip_verify` asks for. Signatures are checked all the same.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
