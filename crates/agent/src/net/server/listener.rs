//! Sockets that listen, and what to say when one cannot.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use super::owner;
use crate::settings::{Endpoint, Node, Reader, Setting, Shape, Yaml};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host and a port.
    Tcp(Endpoint),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Setting for Address {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        match node.text() {
            Some(path) if path.starts_with('/') => Some(Self::Unix(path.into())),
            _ => Endpoint::read(node, cx).map(Self::Tcp),
        }
    }

    fn write(&self) -> Option<Yaml> {
        match self {
            Self::Tcp(endpoint) => endpoint.write(),
            Self::Unix(path) => Some(Yaml::Str(path.display().to_string())),
        }
    }

    fn shape() -> Shape {
        Shape::plain("an endpoint, or the path of a unix socket", "localhost:4317")
    }
}

/// An address cannot be listened on: which, why, and what to do.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: Address,
    /// What happened, and what to do.
    pub what: String,
    /// The system's error.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.what)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Connections that wait to be accepted: a node's pods may all start at once.
const BACKLOG: u32 = 1024;

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds the address. Of the addresses that a name has, one is enough.
    ///
    /// # Errors
    ///
    /// When it cannot be bound, with the process that is in the way if that can be told.
    pub fn bind(address: &Address) -> Result<Self, BindError> {
        let bound = match address {
            Address::Tcp(endpoint) => bind_tcp(endpoint),
            Address::Unix(path) => bind_unix(path).map(|socket| (Socket::Unix(socket), address.clone())),
        };
        match bound {
            Ok((socket, address)) => Ok(Self { socket, address }),
            Err(error) => {
                let what = explain(address, &error);
                Err(BindError { address: address.clone(), what, error })
            }
        }
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection.
    pub(super) async fn accept(&mut self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Small answers must not wait for the acknowledgement of earlier ones. Failing is harmless.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Some(address)))
            }
            Socket::Unix(listener) => Ok((Stream::Unix(listener.accept().await?.0), None)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // If it is gone already, so much the better.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind_tcp(endpoint: &Endpoint) -> io::Result<(Socket, Address)> {
    let mut failed = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
    for address in endpoint.listen_addresses()? {
        match listen(address) {
            Ok(listener) => {
                let port = listener.local_addr()?.port();
                let bound = Endpoint { host: endpoint.host.clone(), port };
                return Ok((Socket::Tcp(listener), Address::Tcp(bound)));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the connections of the run before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A socket file that nobody listens on is a leftover of a run that was killed.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let bound = UnixListener::bind(path);
    match &bound {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        _ => return bound,
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return bound;
    }
    std::fs::remove_file(path)?;
    UnixListener::bind(path)
}

fn explain(address: &Address, error: &io::Error) -> String {
    match (error.kind(), address) {
        (io::ErrorKind::AddrInUse, Address::Tcp(endpoint)) => match owner::of_port(endpoint.port) {
            Some(owner) => format!("it is in use by {owner}; stop that, or choose another port"),
            None => format!(
                "it is in use by another process; `ss -ltnp sport = :{}` run as root shows which; stop that, or choose \
                 another port",
                endpoint.port
            ),
        },
        (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
            "another process listens there; stop that, or choose another path".to_owned()
        }
        (io::ErrorKind::AddrNotAvailable, _) => {
            format!("this machine does not have that address ({error}); choose one that it has, or `0.0.0.0` for all")
        }
        (io::ErrorKind::PermissionDenied, Address::Tcp(endpoint)) if endpoint.port < 1024 => {
            "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); choose one above".to_owned()
        }
        _ => error.to_string(),
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
