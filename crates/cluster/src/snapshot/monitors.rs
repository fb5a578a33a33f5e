//! Objects of the Prometheus operator, if the cluster has it.
#![expect(missing_docs, reason = "the fields have the names and meanings of the operator's API")]

use serde::Deserialize;
use serde_json::Value;

use super::meta::Metadata;
use super::reader::{Reader, Seen, Wanted};

/// Of an object that someone else defines: what it says, as it says it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Custom {
    pub metadata: Metadata,
    pub spec: Value,
    pub status: Value,
}

/// Who scrapes what. None: the cluster does not have the kind.
#[derive(Clone, Debug, Default)]
pub struct Monitoring {
    pub service_monitors: Seen<Option<Vec<Custom>>>,
    pub pod_monitors: Seen<Option<Vec<Custom>>>,
    pub prometheuses: Seen<Option<Vec<Custom>>>,
}

pub(super) async fn read(reader: &Reader) -> Monitoring {
    let wanted = |resource: &str| Wanted::list("monitoring.coreos.com/v1", resource, None);
    let (services, pods, servers) = (wanted("servicemonitors"), wanted("podmonitors"), wanted("prometheuses"));
    let (service_monitors, pod_monitors, prometheuses) =
        tokio::join!(reader.list_if_there(&services), reader.list_if_there(&pods), reader.list_if_there(&servers));
    Monitoring { service_monitors, pod_monitors, prometheuses }
}
