//! A permission of Kubernetes' RBAC: which was missing, and the commands that grant it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::json;

/// What somebody may do with a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Right {
    /// API group; empty for the core.
    pub group: String,
    /// Resource, with its subresource if any: `pods`, `pods/log`.
    pub resource: String,
    /// Verbs.
    pub verbs: Vec<String>,
    /// The one namespace in which it is enough to have it; none: in the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The one object that it is about; none: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Right {
    /// In the whole cluster.
    #[must_use]
    pub fn everywhere(verb: &str, group: &str, resource: &str) -> Self {
        Self {
            group: group.to_owned(),
            resource: resource.to_owned(),
            verbs: vec![verb.to_owned()],
            namespace: None,
            name: None,
        }
    }

    /// In one namespace.
    #[must_use]
    pub fn within(namespace: &str, verb: &str, group: &str, resource: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..Self::everywhere(verb, group, resource) }
    }

    /// As `kubectl --resource=` takes it.
    #[must_use]
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            return self.resource.clone();
        }
        match self.resource.split_once('/') {
            Some((resource, sub)) => format!("{resource}.{}/{sub}", self.group),
            None => format!("{}.{}", self.resource, self.group),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verbs.join(", "), self.qualified())?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

/// The user in what an API server says when it refuses: `pods is forbidden: User "jane" cannot list resource ..`.
#[must_use]
pub fn user_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"").or_else(|| message.split_once("user="))?;
    rest.split(['"', ',']).next().filter(|user| !user.is_empty())
}

/// The commands that let a user read what was not to be seen: what is needed in the whole cluster is one ClusterRole, what
/// is needed in a namespace one Role there. They add to a role that is there already, and name kinds that this cluster may not
/// have, for which `kubectl create clusterrole` would refuse all.
#[must_use]
pub fn grant_commands(kubectl: &str, rights: &[Right], user: &str) -> Vec<String> {
    let mut places: Vec<Option<String>> = rights.iter().map(|right| right.namespace.clone()).collect();
    places.sort();
    places.dedup();
    let objects = places.iter().flat_map(|place| grant_in(rights, place.as_deref(), user));
    objects.map(|object| format!("echo '{object}' | {kubectl} auth reconcile -f -")).collect()
}

fn grant_in(rights: &[Right], namespace: Option<&str>, user: &str) -> [serde_json::Value; 2] {
    const NAME: &str = "otel-agent-doctor";
    const GROUP: &str = "rbac.authorization.k8s.io";
    let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
    let metadata = match namespace {
        Some(namespace) => json!({"name": NAME, "namespace": namespace}),
        None => json!({"name": NAME}),
    };
    let mut rules: BTreeMap<(&str, &[String]), Vec<&str>> = BTreeMap::new();
    for right in rights.iter().filter(|right| right.namespace.as_deref() == namespace) {
        rules.entry((&right.group, &right.verbs)).or_default().push(&right.resource);
    }
    let rules: Vec<_> = rules
        .into_iter()
        .map(|((group, verbs), mut resources)| {
            resources.sort_unstable();
            resources.dedup();
            json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
        })
        .collect();
    let account = user.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    let subject = match account {
        Some((namespace, name)) => json!({"kind": "ServiceAccount", "namespace": namespace, "name": name}),
        None => json!({"kind": "User", "apiGroup": GROUP, "name": user.replace('\'', "")}),
    };
    let version = format!("{GROUP}/v1");
    [
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "rules": rules}),
        json!({"apiVersion": version, "kind": format!("{kind}Binding"), "metadata": metadata, "subjects": [subject],
               "roleRef": {"apiGroup": GROUP, "kind": kind, "name": NAME}}),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_of_the_cluster_take_one_role() {
        let rights = [
            Right::everywhere("list", "", "pods"),
            Right::everywhere("list", "", "nodes"),
            Right::everywhere("list", "apps", "daemonsets"),
        ];
        let said = "pods is forbidden: User \"jane@example.com\" cannot list resource \"pods\"";
        let commands = grant_commands("kubectl --context=prod", &rights, user_in(said).unwrap());
        assert_eq!(commands.len(), 2, "{commands:#?}");
        assert!(commands[0].contains(r#""kind":"ClusterRole","#), "{}", commands[0]);
        assert!(commands[0].contains(r#"{"apiGroups":[""],"resources":["nodes","pods"],"verbs":["list"]}"#));
        assert!(commands[1].contains(r#""name":"jane@example.com""#), "{}", commands[1]);
        assert!(commands[1].ends_with("| kubectl --context=prod auth reconcile -f -"));
    }

    #[test]
    fn rights_in_a_namespace_take_a_role_there() {
        let rights = [Right::within("open-telemetry", "get", "", "pods/log"), Right::everywhere("list", "", "nodes")];
        let commands = grant_commands("kubectl", &rights, "system:serviceaccount:ops:doctor");
        assert_eq!(commands.len(), 4, "{commands:#?}");
        let role = r#""kind":"Role","metadata":{"name":"otel-agent-doctor","namespace":"open-telemetry"}"#;
        assert!(commands[2].contains(role), "{}", commands[2]);
        assert!(
            commands[3].contains(r#"{"kind":"ServiceAccount","namespace":"ops","name":"doctor"}"#),
            "{}",
            commands[3]
        );
        assert_eq!(rights[0].to_string(), "get pods/log in namespace open-telemetry");
    }
}
