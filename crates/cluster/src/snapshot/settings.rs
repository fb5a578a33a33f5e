//! The ConfigMaps that applications take `OTEL_…` variables from.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde::Deserialize;

use super::controllers::Controller;
use super::meta::or_default;
use super::reader::{Reader, Seen, Wanted};

/// By namespace and name: what they say of `OTEL_…` variables; none: there is no such ConfigMap.
pub type ConfigMaps = BTreeMap<(String, String), Option<BTreeMap<String, String>>>;

/// So many are read; a cluster in which more hold such variables is not read to its end.
const MOST: usize = 60;

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigMap {
    #[serde(deserialize_with = "or_default")]
    data: BTreeMap<String, String>,
}

/// Reads those that the templates name. What may not be read is noted down and left out.
pub(super) async fn read(reader: &Reader, controllers: &[Controller]) -> ConfigMaps {
    let wanted: BTreeSet<(String, String)> = controllers.iter().flat_map(named).collect();
    let reads = wanted.into_iter().take(MOST).map(async |(namespace, name)| {
        let seen: Seen<Option<ConfigMap>> = reader.object(&Wanted::one("configmaps", &namespace, &name)).await;
        match seen {
            Seen::Known(map) | Seen::Part(map, _) => Some(((namespace, name), map.map(|map| map.data))),
            Seen::Unseen(_) => None,
        }
    });
    join_all(reads).await.into_iter().flatten().collect()
}

fn named(controller: &Controller) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for container in &controller.spec.template.spec.containers {
        let single = container.env.iter().filter(|variable| variable.name.starts_with("OTEL_EXPORTER_OTLP"));
        let single = single.filter_map(|variable| variable.value_from.as_ref()?.config_map_key_ref.as_ref());
        names.extend(single.map(|reference| reference.name.clone()));
        names.extend(
            container.env_from.iter().filter_map(|from| from.config_map_ref.as_ref()).map(|map| map.name.clone()),
        );
    }
    names.into_iter().map(|name| (controller.metadata.namespace.clone(), name)).collect()
}
