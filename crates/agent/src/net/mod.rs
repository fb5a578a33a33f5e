//! Servers, clients, TLS and bodies: the only place that reads from and writes to sockets.
