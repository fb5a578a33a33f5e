//! `host:port` pairs: what a server listens on, what a plain client dials.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::settings::node::{Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

/// A host (name, IPv4, bracketed IPv6, or empty for every address) and a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The host, without brackets. Empty means every address of this machine.
    pub host: String,
    /// The port; 0 lets the system choose one.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint of known parts.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.to_owned(), port }
    }

    /// An endpoint on this machine only.
    #[must_use]
    pub fn localhost(port: u16) -> Endpoint {
        Endpoint::new("localhost", port)
    }

    /// Reads `host:port`, `[::1]:port` or `:port`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!("`{text}` has the scheme `{scheme}://`, where only `host:port` is expected"));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!("`{text}` has no port"));
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            return Err(format!("`{text}` has too many colons; an IPv6 address stands in brackets"));
        }
        let port = port.parse().map_err(|_| format!("`{port}` is not a port number (0 to 65535)"))?;
        let host = bracketed.unwrap_or(host);
        if bracketed.is_some() && host.parse::<Ipv6Addr>().is_err() {
            return Err(format!("`{host}` is not an IPv6 address"));
        }
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == '[' || c == ']') {
            return Err(format!("`{host}` is not a host name or address"));
        }
        Ok(Endpoint { host: host.to_owned(), port })
    }

    /// The addresses to listen on, the first that works being enough. IPv4 comes before IPv6, as in Go. Resolving a
    /// name may block.
    ///
    /// # Errors
    /// When the name does not resolve.
    pub fn listen_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        if self.host.is_empty() {
            let every = [IpAddr::from([0u16; 8]), IpAddr::from([0u8; 4])];
            return Ok(every.map(|address| SocketAddr::new(address, self.port)).to_vec());
        }
        let mut addresses: Vec<SocketAddr> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.dedup();
        Ok(addresses)
    }

    /// Whether two listeners on these endpoints would be in each other's way.
    #[must_use]
    pub fn clashes_with(&self, other: &Endpoint) -> bool {
        let same_host = self.canonical_host() == other.canonical_host();
        self.port != 0 && self.port == other.port && (same_host || self.is_everywhere() || other.is_everywhere())
    }

    /// Whether it means every address of this machine.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.host.is_empty() || self.host.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
    }

    fn canonical_host(&self) -> String {
        match self.host.as_str() {
            "localhost" => "127.0.0.1".to_owned(),
            host => host.parse::<IpAddr>().map_or_else(|_| host.to_lowercase(), |address| address.to_string()),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Setting for Endpoint {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            cx.unexpected(&Self::shape());
            return None;
        };
        let origin = node.origin_in_words();
        let remedy = "write it as `host:port`, for instance `localhost:4317` or `0.0.0.0:4317`";
        Endpoint::parse(text).map_err(|what| cx.error(format!("{what}{origin}"), remedy)).ok()
    }

    fn write(&self) -> Option<Yaml> {
        Some(Yaml::Str(self.to_string()))
    }

    fn shape() -> Shape {
        Shape::plain("an endpoint", "localhost:4317")
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn reads_hosts_and_ports_and_says_what_is_wrong() {
        let check = |text: &str, expected: &str| {
            let got = Endpoint::parse(text).map(|endpoint| endpoint.to_string()).unwrap_or_else(|what| what);
            assert_eq!(got, expected, "{text}");
        };
        check("localhost:4317", "localhost:4317");
        check(":4317", ":4317");
        check("[::1]:4317", "[::1]:4317");
        check("localhost", "`localhost` has no port");
        check("::1:4317", "`::1:4317` has too many colons; an IPv6 address stands in brackets");
        check("a:99999", "`99999` is not a port number (0 to 65535)");
        check("[zz]:1", "`zz` is not an IPv6 address");
        check("http://a:1", "`http://a:1` has the scheme `http://`, where only `host:port` is expected");
    }

    #[test]
    fn listeners_clash_on_the_same_or_on_every_address() {
        let clash = |a: &str, b: &str| Endpoint::parse(a).unwrap().clashes_with(&Endpoint::parse(b).unwrap());
        assert!(clash("localhost:1", "127.0.0.1:1"));
        assert!(clash("0.0.0.0:1", "10.0.0.1:1"));
        assert!(clash(":1", "[::1]:1"));
        assert!(!clash("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!clash("127.0.0.1:0", "127.0.0.1:0"));
    }
}
