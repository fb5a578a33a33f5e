//! Servers, clients, TLS and bodies: the only place that reads from and writes to sockets.

/// Listening for requests.
pub mod server;

/// A client for one destination.
pub mod client;

/// One GET, for people and for probes.
pub mod get;

/// TLS for servers and clients.
pub mod tls;

/// gRPC on HTTP/2.
pub mod grpc;

/// The status codes of gRPC.
pub mod code;

/// Who may send.
pub mod auth;

/// What a server answers with.
pub mod reply;

/// Reading bodies: capped, paced, with a permit for the memory.
pub mod body;

/// The encodings of bodies.
pub mod compression;
