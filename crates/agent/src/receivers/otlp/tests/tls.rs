//! TLS at the door, with certificates made for the test.

use std::fs;
use std::path::Path;

use rustls::pki_types::ServerName;
use testkit::pki::{Authority, Identity};
use tokio_rustls::TlsConnector;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(identity: &Identity) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put(identity);
        folder
    }

    fn put(&self, identity: &Identity) {
        fs::write(self.path().join("cert.pem"), &identity.cert_pem).unwrap();
        fs::write(self.path().join("key.pem"), &identity.key_pem).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn yaml(&self, more: &str) -> String {
        let path = self.path().display();
        format!(
            "protocols: {{http: {{endpoint: 'localhost:0', tls: {{cert_file: '{path}/cert.pem', key_file: '{path}/key.pem'{more}}}}}}}"
        )
    }
}

fn authority() -> Authority {
    Authority::new("test authority").unwrap()
}

/// Sends a request over TLS; the answer's status line, or why there is none.
async fn get(port: u16, authority: &Authority, identity: Option<&Identity>) -> Result<String, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(crate::net::tls::certificates(authority.pem().as_bytes()).unwrap());
    let builder = rustls::ClientConfig::builder_with_provider(crate::net::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let cert = crate::net::tls::certificates(identity.cert_pem.as_bytes()).unwrap();
            let key = crate::net::tls::private_key(identity.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(cert, key).unwrap()
        }
    };
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
    let request = b"GET /v1/logs HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

const ANSWERED: &str = "HTTP/1.1 405 Method Not Allowed";

#[tokio::test]
async fn requests_come_over_tls() {
    let authority = authority();
    let folder = Folder::with(&authority.server(&["localhost"]).unwrap());
    let bench = Bench::start(&folder.yaml(""));
    assert_eq!(get(bench.last(), &authority, None).await.unwrap(), ANSWERED);
}

#[tokio::test]
async fn with_client_authorities_a_client_shows_who_it_is() {
    let (authority, other) = (authority(), authority());
    let folder = Folder::with(&authority.server(&["localhost"]).unwrap());
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let bench = Bench::start(&folder.yaml(&format!(", client_ca_file: '{}/ca.pem'", folder.path().display())));
    assert!(get(bench.last(), &authority, None).await.is_err());
    let stranger = other.client("stranger").unwrap();
    assert!(get(bench.last(), &authority, Some(&stranger)).await.is_err());
    let known = authority.client("known").unwrap();
    assert_eq!(get(bench.last(), &authority, Some(&known)).await.unwrap(), ANSWERED);
    assert_eq!(bench.running.servers[0].counts().foreign.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let (old, new) = (authority(), authority());
    let folder = Folder::with(&old.server(&["localhost"]).unwrap());
    let bench = Bench::start(&folder.yaml(", reload_interval: 1ms"));
    assert!(get(bench.last(), &old, None).await.is_ok());
    let renewed = new.server(&["localhost"]).unwrap();
    fs::write(folder.path().join("cert.pem"), &renewed.cert_pem).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(get(bench.last(), &old, None).await.is_ok(), "the key does not match yet: the old pair stays");
    folder.put(&renewed);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(get(bench.last(), &old, None).await.is_err());
    assert!(get(bench.last(), &new, None).await.is_ok());
}

#[tokio::test]
async fn the_wrong_protocol_is_told_in_the_log() {
    let authority = authority();
    let folder = Folder::with(&authority.server(&["localhost"]).unwrap());
    let capture = crate::telemetry::logs::capture::start();
    let bench = Bench::start(&folder.yaml(""));
    raw(bench.last(), b"POST /v1/logs HTTP/1.1\r\n\r\n").await;
    let plain = Bench::start("protocols: {http: {endpoint: 'localhost:0'}}");
    assert!(get(plain.last(), &authority, None).await.is_err());
    let log = capture.text();
    assert!(log.contains("otlp http: a client does not speak TLS to this port, which asks for it"), "{log}");
    assert!(log.contains("otlp http: a client speaks TLS to this port, which is not set up for it"), "{log}");
    assert!(log.contains("127.0.0.1:"), "{log}");
}

fn failure(yaml: &str) -> String {
    let config: Config = read_text(yaml).unwrap();
    let inputs = Inputs { intakes: [None, None, None], authenticator: &|_| None, metrics: &Metrics::new() };
    format!("{:#}", start(&ComponentId::of("otlp"), &config, inputs).unwrap_err())
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_at_the_start() {
    let authority = authority();
    let server = authority.server(&["localhost"]).unwrap();
    let folder = Folder::with(&server);
    let check = |expected: &str| {
        let text = failure(&folder.yaml(""));
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("receiver `otlp`: failed to load TLS config of protocols::http: "), "{text}");
    };
    fs::write(folder.path().join("key.pem"), &authority.server(&["localhost"]).unwrap().key_pem).unwrap();
    check("the key (tls::key_file) is not the key of the certificate (tls::cert_file)");
    fs::write(folder.path().join("key.pem"), "nothing").unwrap();
    check("there is no usable private key in it");
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    check("key.pem");
    folder.put(&server);
    fs::write(folder.path().join("cert.pem"), "nothing").unwrap();
    check("there is no certificate in it");
}

#[tokio::test]
async fn an_expired_certificate_is_told_in_the_log() {
    let authority = authority();
    let folder = Folder::with(&authority.expired_server(&["localhost"]).unwrap());
    let capture = crate::telemetry::logs::capture::start();
    let bench = Bench::start(&folder.yaml(""));
    assert!(capture.text().contains("the certificate of this server has expired"), "{}", capture.text());
    assert!(get(bench.last(), &authority, None).await.is_err(), "clients refuse it");
}
