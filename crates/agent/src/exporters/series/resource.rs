//! What of the resource and the scope goes to each of its series, and to `target_info`.

use wire::view::{Attributes, Scope};

use super::conversion::{Conversion, SERVICE_KEYS};
use super::labels::{Label, LabelSet};
use super::names::{BadName, Namer};

/// Who a resource is, in Prometheus' terms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `service.namespace/service.name`, or the name alone; none without a name.
    pub job: Option<String>,
    /// `service.instance.id`.
    pub instance: Option<String>,
}

impl Identity {
    /// Reads it from the attributes of a resource.
    #[must_use]
    pub fn of(resource: &Attributes<'_>) -> Identity {
        let [name, namespace, instance] = SERVICE_KEYS.map(|key| resource.get(key).map(|value| value.to_string()));
        let job = match (namespace, name) {
            (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
            (None, name) => name,
            (Some(_), None) => None,
        };
        Identity { job, instance }
    }

    /// Whether both are there, so that `target_info` can be joined to the series.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let there = |part: &Option<String>| part.as_ref().is_some_and(|part| !part.is_empty());
        there(&self.job) && there(&self.instance)
    }

    /// Sets `job` and `instance`.
    pub fn set_in(&self, labels: &mut LabelSet) {
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            labels.set(name, value.as_deref().unwrap_or_default());
        }
    }
}

/// Adds the resource attributes that become labels of every series. They win over an attribute of a data point with the
/// same key, so add them after these.
///
/// # Errors
///
/// Nothing of a key is left as a name.
pub fn convert(
    labels: &mut LabelSet,
    namer: &Namer,
    conversion: &Conversion,
    resource: Attributes<'_>,
) -> Result<(), BadName> {
    for attribute in resource.into_iter().filter(|attribute| conversion.takes(attribute.key())) {
        labels.attribute(namer, attribute.key(), attribute.value().to_string())?;
    }
    Ok(())
}

/// Adds `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and the scope's attributes as `otel_scope_…`.
///
/// # Errors
///
/// Nothing of a key is left as a name.
pub fn scope(labels: &mut LabelSet, namer: &Namer, scope: &Scope<'_>, schema_url: &str) -> Result<(), BadName> {
    for attribute in scope.attributes() {
        // These three would hide what the scope is.
        if !["name", "version", "schema_url"].contains(&attribute.key()) {
            let named = format!("otel_scope_{}", attribute.key());
            labels.attribute_as(namer, &named, &named, attribute.value().to_string())?;
        }
    }
    labels.set("otel_scope_name", scope.name());
    labels.set("otel_scope_version", scope.version());
    labels.set("otel_scope_schema_url", schema_url);
    Ok(())
}

/// The labels of `target_info`: everything known of the resource but what `job` and `instance` are made of.
///
/// # Errors
///
/// Nothing of a key is left as a name.
pub fn target_info(namer: &Namer, identity: &Identity, resource: Attributes<'_>) -> Result<Vec<Label>, BadName> {
    let mut labels = LabelSet::default();
    labels.reserve_internal();
    for attribute in resource.into_iter().filter(|attribute| !SERVICE_KEYS.contains(&attribute.key())) {
        labels.attribute(namer, attribute.key(), attribute.value().to_string())?;
    }
    identity.set_in(&mut labels);
    Ok(labels.finish())
}
