//! What clocks say: the API server's, the nodes' by their leases.

use jiff::Timestamp;
use serde::Deserialize;

use super::meta::or_default;
use super::reader::{Reader, Seen, Wanted};

/// By how much the clock of a node is ahead of the API server's, in seconds, as its last lease tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Ahead {
    /// The node.
    pub node: String,
    /// Negative: behind.
    pub seconds: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lease {
    metadata: LeaseMetadata,
    spec: LeaseSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeaseMetadata {
    name: String,
    #[serde(deserialize_with = "or_default")]
    managed_fields: Vec<Managed>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Managed {
    /// When the API server wrote it, by its own clock.
    time: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeaseSpec {
    /// When the kubelet renewed it, by the clock of its node.
    renew_time: Option<Timestamp>,
}

/// Compares, for each node's lease, when its kubelet says that it renewed it with when the API server wrote that down.
pub(super) async fn read(reader: &Reader) -> Vec<Ahead> {
    let wanted = Wanted::list("coordination.k8s.io/v1", "leases", Some("kube-node-lease"));
    let leases: Seen<Vec<Lease>> = reader.list(&wanted, |_: &mut Lease| {}).await;
    leases.items().iter().filter_map(ahead).collect()
}

fn ahead(lease: &Lease) -> Option<Ahead> {
    let written = lease.metadata.managed_fields.iter().filter_map(|managed| managed.time).max()?;
    let seconds = lease.spec.renew_time?.duration_since(written).as_secs_f64();
    Some(Ahead { node: lease.metadata.name.clone(), seconds })
}

/// What a `Date` header says, to the middle of its second.
pub(super) fn of_header(date: &str) -> Option<f64> {
    let time = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    Some(time.as_second() as f64 + 0.5)
}

/// What the clock of this machine says, in seconds since 1970.
pub(super) fn here() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_tells_how_far_its_node_is_ahead() {
        let lease: Lease = serde_json::from_str(
            r#"{"metadata": {"name": "n1", "managedFields": [{"time": "2026-11-01T12:00:00Z"}]},
                "spec": {"renewTime": "2026-11-01T12:01:30.500000Z"}}"#,
        )
        .unwrap();
        assert_eq!(ahead(&lease), Some(Ahead { node: "n1".to_owned(), seconds: 90.5 }));
        assert_eq!(ahead(&Lease::default()), None);
    }

    #[test]
    fn a_header_is_read() {
        assert_eq!(of_header("Sun, 01 Nov 2026 12:00:00 GMT"), Some(1_793_534_400.5));
        assert_eq!(of_header("yesterday"), None);
    }
}
