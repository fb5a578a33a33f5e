//! Namespaces, what may be used in them, and classes of priority.
#![expect(missing_docs, reason = "the fields have the names and meanings of the Kubernetes API")]

use std::collections::BTreeMap;

use serde::Deserialize;

use super::meta::{Metadata, or_default};
use super::quantity::Quantity;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Namespace {
    pub metadata: Metadata,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PriorityClass {
    pub metadata: Metadata,
    pub value: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quota {
    pub metadata: Metadata,
    pub status: QuotaStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuotaStatus {
    #[serde(deserialize_with = "or_default")]
    pub hard: BTreeMap<String, Quantity>,
    #[serde(deserialize_with = "or_default")]
    pub used: BTreeMap<String, Quantity>,
}
