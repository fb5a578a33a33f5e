//! What the API server adds within a field that has one owner as a whole. There a server-side apply compares all of it: without what is
//! added, an object that `kubectl apply` has made of the very same text would be told to be somebody else's.

use serde_json::Value;

/// The object with each `fieldRef` and `resourceFieldRef` as the API server keeps it.
pub(super) fn with_defaults(mut object: Value) -> Value {
    fill(&mut object);
    object
}

fn fill(value: &mut Value) {
    match value {
        Value::Object(keys) => {
            for (reference, key, default) in [("fieldRef", "apiVersion", "v1"), ("resourceFieldRef", "divisor", "0")] {
                if let Some(Value::Object(reference)) = keys.get_mut(reference) {
                    reference.entry(key).or_insert_with(|| default.into());
                }
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
    fn a_reference_to_a_resource_has_the_divisor_that_the_api_server_adds() {
        let env = |reference: Value| json!({"env": [{"valueFrom": {"resourceFieldRef": reference}}]});
        let filled = env(json!({"resource": "limits.memory", "divisor": "0"}));
        assert_eq!(with_defaults(env(json!({"resource": "limits.memory"}))), filled);
        let other = env(json!({"resource": "limits.memory", "divisor": "1Mi"}));
        assert_eq!(with_defaults(other.clone()), other);
    }

    #[test]
    fn the_text_of_a_configuration_is_left_alone() {
        let config = json!({"kind": "ConfigMap", "data": {"agent.yaml": "fieldRef: {fieldPath: a}"}});
        assert_eq!(with_defaults(config.clone()), config);
    }
}
