//! TLS for servers and clients: where certificates and keys come from, and which versions are spoken.

/// As a client.
pub mod client;

/// As a server.
pub mod server;

mod reloaded;

mod validity;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::{Secret, words};

words! {
    /// A version of TLS. Older ones are not spoken.
    #[derive(PartialOrd, Ord)]
    pub enum Version {
        /// TLS 1.2.
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}

/// Where a certificate or key is written.
#[derive(Debug, Clone)]
pub enum Pem {
    /// In a file.
    File(String),
    /// In the configuration.
    Inline(Secret),
}

impl Pem {
    /// Of a pair of keys like `ca_file` and `ca_pem`; none if neither is set.
    #[must_use]
    pub fn of(file: &str, pem: &Secret) -> Option<Self> {
        match (file, pem.is_empty()) {
            ("", true) => None,
            ("", false) => Some(Self::Inline(pem.clone())),
            (file, _) => Some(Self::File(file.to_owned())),
        }
    }

    /// What is written there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::File(path) => std::fs::read(path).with_context(|| format!("reading {path}")),
            Self::Inline(pem) => Ok(pem.expose().as_bytes().to_vec()),
        }
    }
}

/// The cryptography behind TLS: the one place that chooses it.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The versions between two.
#[must_use]
pub fn versions(min: Version, max: Version) -> Vec<&'static SupportedProtocolVersion> {
    [(Version::Tls13, &rustls::version::TLS13), (Version::Tls12, &rustls::version::TLS12)]
        .into_iter()
        .filter(|(version, _)| (min..=max).contains(version))
        .map(|(_, supported)| supported)
        .collect()
}

/// The certificates in a PEM text, in order.
///
/// # Errors
/// There is none, or one is broken.
pub fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().context("not a PEM certificate")?;
    if certificates.is_empty() {
        bail!("there is no certificate in it (no `-----BEGIN CERTIFICATE-----`)");
    }
    Ok(certificates)
}

/// The first private key in a PEM text.
///
/// # Errors
/// There is none, or it is broken or encrypted.
pub fn private_key(pem: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(rustls_pki_types::pem::Error::NoItemsFound) => {
            bail!("there is no usable private key in it (PKCS#8, PKCS#1 or SEC1 in PEM, not encrypted)")
        }
        Err(error) => Err(error).context("not a PEM private key"),
    }
}
