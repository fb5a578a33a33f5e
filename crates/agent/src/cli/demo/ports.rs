//! The ports of the demo: the defaults, or free ones where another program has them.

use std::net::TcpListener;

/// The ports that the agent will listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ports([Port; 4]);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    /// The variable of the configuration.
    variable: &'static str,
    /// The one that should be.
    pub(super) wanted: u16,
    /// The one that is.
    pub(super) found: u16,
}

impl Ports {
    /// Ports that can be bound on loopback now.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub(super) fn choose() -> std::io::Result<Self> {
        let wanted = [
            ("DEMO_GRPC_PORT", 4317),
            ("DEMO_HTTP_PORT", 4318),
            ("DEMO_METRICS_PORT", 8888),
            ("DEMO_HEALTH_PORT", 13133),
        ];
        // All are held until the last is found, so that none is found twice.
        let mut held = Vec::new();
        let mut ports = [Port { variable: "", wanted: 0, found: 0 }; 4];
        for (port, (variable, wanted)) in ports.iter_mut().zip(wanted) {
            let listener = free(wanted)?;
            *port = Port { variable, wanted, found: listener.local_addr()?.port() };
            held.push(listener);
        }
        Ok(Self(ports))
    }

    /// gRPC, HTTP, metrics, health.
    pub(super) fn all(&self) -> [Port; 4] {
        self.0
    }

    /// The value of a variable of the configuration.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.0.iter().find(|port| port.variable == name).map(|port| port.found.to_string())
    }
}

fn free(wanted: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_replaced_by_a_free_one() {
        let taken = free(0).unwrap();
        let wanted = taken.local_addr().unwrap().port();
        assert_ne!(free(wanted).unwrap().local_addr().unwrap().port(), wanted);
        drop(taken);
        assert_eq!(free(wanted).unwrap().local_addr().unwrap().port(), wanted);
    }

    #[test]
    fn all_ports_are_different_and_told_to_the_configuration() {
        let ports = Ports::choose().unwrap();
        let mut found: Vec<_> = ports.all().iter().map(|port| port.found).collect();
        assert_eq!(ports.variable("DEMO_GRPC_PORT"), Some(found[0].to_string()));
        assert_eq!(ports.variable("HOME"), None);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 4);
    }
}
