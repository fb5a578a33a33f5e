//! Certificates for tests: a certificate authority, and what it signs for servers and clients.

use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub cert_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl Authority {
    /// A new authority of this name.
    ///
    /// # Errors
    /// The key could not be made.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's own certificate: what the other side puts into `ca_file`.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// For a server of these names (also IP addresses).
    ///
    /// # Errors
    /// A name is no DNS name.
    pub fn server(&self, names: &[&str]) -> anyhow::Result<Identity> {
        self.sign(&params(names, ExtendedKeyUsagePurpose::ServerAuth)?)
    }

    /// For a server of these names, but no longer valid since 2001.
    ///
    /// # Errors
    /// A name is no DNS name.
    pub fn expired_server(&self, names: &[&str]) -> anyhow::Result<Identity> {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth)?;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(&params)
    }

    /// For a client.
    ///
    /// # Errors
    /// The name is no DNS name.
    pub fn client(&self, name: &str) -> anyhow::Result<Identity> {
        self.sign(&params(&[name], ExtendedKeyUsagePurpose::ClientAuth)?)
    }

    fn sign(&self, params: &CertificateParams) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { cert_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

fn params(names: &[&str], usage: ExtendedKeyUsagePurpose) -> anyhow::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone())?;
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("test", String::as_str));
    params.extended_key_usages = vec![usage];
    Ok(params)
}

impl Identity {
    /// A server with this certificate that speaks HTTP/2 and HTTP/1; with `clients`, one that wants a certificate signed
    /// by that authority (PEM).
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn server_config(&self, clients: Option<&str>) -> anyhow::Result<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).context("authority of the clients")?)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let certificate = CertificateDer::from_pem_slice(self.cert_pem.as_bytes()).context("certificate")?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).context("key")?;
        let mut config = builder.with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}
