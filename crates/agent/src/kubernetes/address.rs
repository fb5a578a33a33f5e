//! What an address is, where it is not a pod's.

use std::net::{IpAddr, Ipv4Addr};

/// What an address that sends telemetry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressClass {
    /// This host itself: something in the agent's own network namespace, or a proxy beside it.
    Loopback,
    /// The address from which a mesh's proxy passes on what came in: 127.0.0.6.
    Mesh,
    /// This node's. What comes from it was sent by the host, or its sender was hidden on the way (a host port, masquerading).
    Node,
    /// The first address of the network that pods here are in: the node's end of their bridge. Senders hide behind it, too.
    Bridge,
    /// This node's, and pods on the host's network share it.
    HostNetwork,
    /// A pod's.
    Pod,
    /// A pod's that ended some minutes ago or less.
    Ended,
    /// None of these: a pod of another node, or something that is no pod.
    Unknown,
}

impl AddressClass {
    /// All of them.
    pub const ALL: [AddressClass; 8] = [
        AddressClass::Loopback,
        AddressClass::Mesh,
        AddressClass::Node,
        AddressClass::Bridge,
        AddressClass::HostNetwork,
        AddressClass::Pod,
        AddressClass::Ended,
        AddressClass::Unknown,
    ];

    /// The word for it, for labels of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AddressClass::Loopback => "loopback",
            AddressClass::Mesh => "mesh",
            AddressClass::Node => "node",
            AddressClass::Bridge => "bridge",
            AddressClass::HostNetwork => "host_network",
            AddressClass::Pod => "pod",
            AddressClass::Ended => "ended",
            AddressClass::Unknown => "unknown",
        }
    }
}

/// From where the proxy of a mesh connects to the application beside it (Istio and its kin).
const MESH: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

/// The class of an address that is so on every node. Of 127.0.0.0/8 only the first 256: what connects to itself comes from
/// there, and the others can be given to pods, as tests do that have no network of their own.
pub(super) fn everywhere(address: IpAddr) -> Option<AddressClass> {
    match address {
        IpAddr::V4(MESH) => Some(AddressClass::Mesh),
        IpAddr::V4(v4) => (v4.octets()[..3] == [127, 0, 0]).then_some(AddressClass::Loopback),
        IpAddr::V6(v6) => v6.is_loopback().then_some(AddressClass::Loopback),
    }
}

/// An IPv4 address in IPv6 clothes is the IPv4 address: a listener on `[::]` sees all its peers so.
#[must_use]
pub fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// An address as objects write it.
pub(super) fn parse(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(plain)
}

/// Whether `address` is the first one of the network that `pod` is most likely in. The mask is not in what we read:
/// nodes have a /24 or less of a cluster's IPv4 range (kube-controller-manager's default), and a /64 of its IPv6 range.
pub(super) fn is_bridge_of(address: IpAddr, pod: IpAddr) -> bool {
    match (address, pod) {
        (IpAddr::V4(address), IpAddr::V4(pod)) => {
            let [a, b, c, last] = address.octets();
            last == 1 && pod.octets()[..3] == [a, b, c]
        }
        (IpAddr::V6(address), IpAddr::V6(pod)) => {
            let (address, pod) = (address.segments(), pod.segments());
            address[4..] == [0, 0, 0, 1] && address[..4] == pod[..4]
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_hold_on_every_node() {
        let of = |text: &str| everywhere(parse(text).unwrap());
        assert_eq!(of("127.0.0.6"), Some(AddressClass::Mesh));
        assert_eq!(of("::ffff:127.0.0.6"), Some(AddressClass::Mesh));
        assert_eq!(of("127.0.0.1"), Some(AddressClass::Loopback));
        assert_eq!(of("::1"), Some(AddressClass::Loopback));
        assert_eq!(of("10.0.0.6"), None);
        assert_eq!(of("127.64.0.1"), None, "a test may have given it to a pod");
    }

    #[test]
    fn the_bridge_is_the_first_address_beside_the_pods() {
        let check = |address: &str, pod: &str| is_bridge_of(parse(address).unwrap(), parse(pod).unwrap());
        assert!(check("10.244.1.1", "10.244.1.17"));
        assert!(!check("10.244.2.1", "10.244.1.17"));
        assert!(!check("10.244.1.2", "10.244.1.17"));
        assert!(check("fd00:10:244:1::1", "fd00:10:244:1::a"));
        assert!(!check("fd00:10:244:2::1", "fd00:10:244:1::a"));
        assert!(!check("10.244.1.1", "fd00::a"));
    }
}
