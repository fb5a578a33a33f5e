//! What the API server adds within a field that has one owner as a whole. There a server-side apply compares all of it: without what is
//! added, an object that `kubectl apply` has made of the very same text would be told to be somebody else's.

use serde_json::Value;

/// The object with each `fieldRef` as the API server keeps it.
pub(super) fn with_defaults(mut object: Value) -> Value {
    fill(&mut object);
    object
}

fn fill(value: &mut Value) {
    match value {
        Value::Object(keys) => {
            if let Some(Value::Object(reference)) = keys.get_mut("fieldRef") {
                reference.entry("apiVersion").or_insert_with(|| "v1".into());
            }
            keys.values_mut().for_each(fill);
        }
        Value::Array(items) => items.iter_mut().for_each(fill),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_reference_has_the_version_that_the_api_server_adds() {
        let pod =
            |reference: Value| json!({"containers": [{"env": [{"name": "A", "valueFrom": {"fieldRef": reference}}]}]});
        let filled = pod(json!({"fieldPath": "spec.nodeName", "apiVersion": "v1"}));
        assert_eq!(with_defaults(pod(json!({"fieldPath": "spec.nodeName"}))), filled);
        assert_eq!(with_defaults(filled.clone()), filled);
        let other = pod(json!({"fieldPath": "spec.nodeName", "apiVersion": "v2"}));
        assert_eq!(with_defaults(other.clone()), other, "what is written stays");
    }

    #[test]
    fn the_text_of_a_configuration_is_left_alone() {
        let config = json!({"kind": "ConfigMap", "data": {"agent.yaml": "fieldRef: {fieldPath: a}"}});
        assert_eq!(with_defaults(config.clone()), config);
    }
}
