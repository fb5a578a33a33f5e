//! What can go wrong between a request and its answer, told so that a person knows what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::CertificateError;

/// No answer came. Every kind may pass by itself, so all are worth another try; the text says what to look at.
#[derive(Debug, Clone)]
pub struct Error {
    /// What happened.
    pub kind: Kind,
    text: Arc<str>,
}

/// How a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The name of the destination does not resolve.
    Resolve,
    /// No connection: refused, unreachable.
    Connect,
    /// No agreement on TLS.
    Tls,
    /// The time was over.
    Timeout,
    /// The connection ended before the answer, or what came was no HTTP.
    Lost,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Error {}

impl Error {
    fn new(kind: Kind, text: String) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn resolve(host: &str, error: Option<&io::Error>) -> Self {
        let reason = match error {
            // getaddrinfo's text is what people search for; the wrapper around it says nothing more.
            Some(error) => error.to_string().trim_start_matches("failed to lookup address information: ").to_owned(),
            None => "no addresses".to_owned(),
        };
        let text = format!("the name `{host}` does not resolve ({reason}); check its spelling and this host's DNS");
        Self::new(Kind::Resolve, text)
    }

    pub(super) fn connect(address: &str, error: &io::Error) -> Self {
        let text = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("{address} refused the connection: nothing listens there; check the port and that it is up")
            }
            io::ErrorKind::TimedOut => {
                format!("{address} does not answer: a firewall or network policy, or it is down")
            }
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                format!("{address} cannot be reached from here ({error}); check routes and network policies")
            }
            _ => format!("connecting to {address} failed: {error}"),
        };
        Self::new(Kind::Connect, text)
    }

    pub(super) fn tls(address: &str, error: &io::Error) -> Self {
        let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let text = match reason {
            Some(reason) => format!("TLS with {address} failed: {}", explain_tls(reason)),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                format!("{address} closed the connection during the TLS handshake; it may not speak TLS there")
            }
            None => format!("TLS with {address} failed: {error}"),
        };
        Self::new(Kind::Tls, text)
    }

    pub(super) fn dial_timeout(address: &str, time: Duration) -> Self {
        let text = format!("no connection to {address} within {time:?}: a firewall or network policy, or it is down");
        Self::new(Kind::Timeout, text)
    }

    pub(super) fn deadline(address: &str, time: Duration, connected: bool) -> Self {
        let text = if connected {
            format!("no answer from {address} within {time:?}")
        } else {
            format!("no connection to {address} within {time:?}")
        };
        Self::new(Kind::Timeout, text)
    }

    pub(super) fn task(address: &str) -> Self {
        Self::new(Kind::Connect, format!("connecting to {address} was given up"))
    }

    pub(super) fn handshake(address: &str, error: &hyper::Error) -> Self {
        Self::new(Kind::Lost, format!("{address} took the connection, but does not speak HTTP/2: {}", chain(error)))
    }

    /// No answer over a connection that stood. `fresh`: nothing was ever answered over it.
    pub(super) fn lost(address: &str, error: &hyper::Error, http2: bool, fresh: bool) -> Self {
        if let Some(reason) = late_alert(error) {
            return Self::new(Kind::Tls, format!("TLS with {address} failed: {reason}"));
        }
        // An HTTP/1 server takes the HTTP/2 preface for a bad request; what it answers is no frame, if we get to see it
        // before it hangs up. A TLS server hangs up.
        let text = if http2 && is_no_http2(error) {
            format!("{address} does not speak HTTP/2 as gRPC needs it; it may expect TLS or be no gRPC port")
        } else if error.is_parse() {
            format!("what {address} answered is no HTTP; it may expect TLS or gRPC ({})", chain(error))
        } else {
            let lost = format!("the connection to {address} was lost before the answer came: {}", chain(error));
            let hint = "; if every request ends so, it may expect TLS or be no gRPC port";
            if http2 && fresh { lost + hint } else { lost }
        };
        Self::new(Kind::Lost, text)
    }
}

/// A refusal of our certificate that came after the handshake: with TLS 1.3 the client has finished it before the server
/// looks at the client's certificate. h2 keeps of such an error only the text.
fn late_alert(error: &hyper::Error) -> Option<String> {
    let io = error.source()?.downcast_ref::<io::Error>()?;
    if let Some(reason) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Some(explain_tls(reason));
    }
    let text = io.to_string();
    let (_, alert) = text.split_once("received fatal alert: ")?;
    Some(match alert {
        "CertificateRequired" => WANTS_CERTIFICATE.to_owned(),
        alert => format!("it does not accept our client certificate ({alert}); check `tls::cert_file`"),
    })
}

fn is_no_http2(error: &hyper::Error) -> bool {
    let reason = h2_error(error).and_then(h2::Error::reason);
    matches!(reason, Some(h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR))
}

/// The h2 error inside, if there is one.
pub(super) fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source().and_then(|source| source.downcast_ref::<h2::Error>())
}

/// The error and its causes in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

const WANTS_CERTIFICATE: &str = "it wants a client certificate; set `tls::cert_file` and `tls::key_file`";

fn explain_tls(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, Error as Tls};
    match error {
        Tls::InvalidMessage(_) => "what it answered is no TLS; for a plain connection set `tls::insecure: true`".into(),
        Tls::InvalidCertificate(reason) => explain_certificate(reason),
        Tls::AlertReceived(Alert::CertificateRequired) => WANTS_CERTIFICATE.into(),
        Tls::AlertReceived(
            Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::DecryptError,
        ) => format!("it does not accept our client certificate ({error}); check `tls::cert_file`"),
        Tls::AlertReceived(Alert::ProtocolVersion) => {
            "no TLS version in common; check `tls::min_version` and `tls::max_version`".into()
        }
        Tls::AlertReceived(Alert::NoApplicationProtocol) | Tls::NoApplicationProtocol => {
            "no application protocol in common: one side wants HTTP/2, the other has HTTP/1 only".into()
        }
        other => other.to_string(),
    }
}

fn explain_certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired ({reason})")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet ({reason}); check the clocks")
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by an authority that we do not know; set `tls::ca_file` to that authority".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is for another name ({reason}); set `tls::server_name_override`")
        }
        other => format!("its certificate cannot be used: {other}"),
    }
}
