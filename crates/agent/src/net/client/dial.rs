//! Making one connection: the addresses of a name, TCP or a Unix socket, TLS.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::error::Error;
use crate::net::tls::client::Connector;

/// The next address is tried when the one before has been silent for this long (RFC 8305 says 250 ms).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Probes on an idle connection, so that one through a forgetful firewall is found dead.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Data that nobody confirmed for this long ends the connection. Without it Linux tries for a quarter of an hour.
const UNCONFIRMED: Duration = Duration::from_secs(30);

/// Where a client connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A name or address, and a port.
    Tcp {
        /// Host name or IP address (without brackets).
        host: String,
        /// Port.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One address of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Who knows the addresses of a name. Tests have their own.
pub(super) type Resolver = Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync>;

/// Makes connections to one place.
pub(super) struct Dialer {
    pub(super) place: Place,
    pub(super) tls: Option<Connector>,
    pub(super) timeout: Duration,
    pub(super) resolver: Option<Resolver>,
}

/// A byte stream, whatever it goes through.
pub(super) type Io = TokioIo<Pin<Box<dyn Stream>>>;

/// What a connection is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// A connection, before HTTP.
pub(super) struct Connected {
    pub(super) address: Address,
    pub(super) io: Io,
    /// TLS agreed on HTTP/2.
    pub(super) agreed_http2: bool,
}

impl Dialer {
    /// The addresses of the place, as of now.
    pub(super) async fn resolve(&self) -> Result<Vec<Address>, Error> {
        let (host, port) = match &self.place {
            Place::Unix(path) => return Ok(vec![Address::Unix(path.clone())]),
            Place::Tcp { host, port } => (host.as_str(), *port),
        };
        let mut addresses: Vec<Address> = match &self.resolver {
            Some(resolver) => resolver().into_iter().map(Address::Tcp).collect(),
            None => {
                let found = tokio::time::timeout(self.timeout, tokio::net::lookup_host((host, port))).await;
                let found = found.map_err(|_| Error::resolve(host, Some(&io::ErrorKind::TimedOut.into())))?;
                found.map_err(|error| Error::resolve(host, Some(&error)))?.map(Address::Tcp).collect()
            }
        };
        addresses.dedup();
        if addresses.is_empty() { Err(Error::resolve(host, None)) } else { Ok(addresses) }
    }

    /// Connects to whichever address answers first. The error is the first address's.
    pub(super) async fn connect_any(&self, addresses: &[Address]) -> Result<Connected, Error> {
        let mut attempts = FuturesUnordered::new();
        let mut waiting = addresses.iter();
        let mut first_error = None;
        loop {
            match waiting.next() {
                Some(address) => attempts.push(self.connect(address)),
                None if attempts.is_empty() => {
                    return Err(first_error.unwrap_or_else(|| Error::resolve(&self.place.to_string(), None)));
                }
                None => {}
            }
            let patience = if waiting.len() > 0 { NEXT_ADDRESS_AFTER } else { self.timeout };
            match tokio::time::timeout(patience, attempts.next()).await {
                Ok(Some(Ok(connected))) => return Ok(connected),
                Ok(Some(Err(error))) => {
                    first_error.get_or_insert(error);
                }
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// Connects to one address, TLS included, within the timeout.
    pub(super) async fn connect(&self, address: &Address) -> Result<Connected, Error> {
        let label = self.label(address);
        let connecting = async {
            match address {
                Address::Tcp(address) => self.secure(tcp(*address).await, &label).await,
                Address::Unix(path) => self.secure(UnixStream::connect(path).await, &label).await,
            }
        };
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(connected) => {
                let (io, agreed_http2) = connected?;
                Ok(Connected { address: address.clone(), io, agreed_http2 })
            }
            Err(_) => Err(Error::dial_timeout(&label, self.timeout)),
        }
    }

    /// How an address is called in errors: as it is written in the configuration, with the address it stands for.
    pub(super) fn label(&self, address: &Address) -> String {
        match (&self.place, address) {
            (Place::Tcp { host, .. }, Address::Tcp(address)) if *host != address.ip().to_string() => {
                format!("{} ({})", self.place, address.ip())
            }
            _ => self.place.to_string(),
        }
    }

    async fn secure<S>(&self, stream: io::Result<S>, label: &str) -> Result<(Io, bool), Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = stream.map_err(|error| Error::connect(label, &error))?;
        let Some(tls) = &self.tls else {
            return Ok((TokioIo::new(Box::pin(stream)), false));
        };
        let secured = tls.connect(self.server_name(), stream).await.map_err(|error| Error::tls(label, &error))?;
        let http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((TokioIo::new(Box::pin(secured)), http2))
    }

    fn server_name(&self) -> io::Result<ServerName<'static>> {
        let host = match &self.place {
            Place::Tcp { host, .. } => host.clone(),
            Place::Unix(_) => "localhost".to_owned(),
        };
        ServerName::try_from(host).map_err(io::Error::other)
    }
}

/// A TCP connection that sends at once and notices when the other side is gone.
async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    // Comfort only: a kernel that does not know an option does not keep us from sending.
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(UNCONFIRMED));
    Ok(stream)
}
