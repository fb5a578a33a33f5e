//! The connections of the receivers that are open, also of those that are closed and opened again when a reload fails.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::net::server::Counts;

/// What the ports of the receivers count, for as long as anything uses them. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Vec<Weak<Counts>>>>);

impl Connections {
    /// A port that is open.
    pub(super) fn add(&self, port: &Arc<Counts>) {
        self.ports(|ports| {
            ports.retain(|port| port.strong_count() > 0);
            ports.push(Arc::downgrade(port));
        });
    }

    /// How many there are now.
    pub(super) fn open(&self) -> usize {
        self.ports(|ports| ports.iter().filter_map(Weak::upgrade).map(|port| port.open.load(Relaxed)).sum())
    }

    fn ports<T>(&self, see: impl FnOnce(&mut Vec<Weak<Counts>>) -> T) -> T {
        see(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_opened_again_and_again_are_forgotten_when_they_are_closed() {
        let connections = Connections::default();
        for _ in 0..100 {
            let port = Arc::new(Counts::default());
            port.open.store(3, Relaxed);
            connections.add(&port);
            assert_eq!(connections.open(), 3);
        }
        assert_eq!((connections.open(), connections.ports(|ports| ports.len())), (0, 1));
    }
}
