//! Servers, clients, TLS and bodies: the only place that reads from and writes to sockets.

/// TLS for servers and clients.
pub mod tls;

/// A client for one destination.
pub mod client;
