//! A permission of Kubernetes' RBAC: which was missing, and the commands that grant it.

use std::fmt;

use serde::Serialize;

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

/// How `kubectl create` names somebody who is to be given a right.
#[must_use]
pub fn subject_flag(user: &str) -> String {
    match user.strip_prefix("system:serviceaccount:") {
        Some(account) => format!("--serviceaccount={account}"),
        None if user.chars().all(|c| c.is_ascii_alphanumeric() || "@.:_-".contains(c)) => format!("--user={user}"),
        None => format!("--user='{}'", user.replace('\'', r"'\''")),
    }
}

/// The user in what an API server says when it refuses: `pods is forbidden: User "jane" cannot list resource ..`.
#[must_use]
pub fn user_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"").or_else(|| message.split_once("user="))?;
    rest.split(['"', ',']).next().filter(|user| !user.is_empty())
}

/// The commands that let a user read what was not to be seen: what is needed in the whole cluster is one ClusterRole, what
/// is needed in a namespace one Role there. They add to a role that is there already.
#[must_use]
pub fn grant_commands(kubectl: &str, rights: &[Right], user: &str) -> Vec<String> {
    let mut places: Vec<Option<String>> = rights.iter().map(|right| right.namespace.clone()).collect();
    places.sort();
    places.dedup();
    places.iter().flat_map(|place| grant_in(kubectl, rights, place.as_deref(), user)).collect()
}

fn grant_in(kubectl: &str, rights: &[Right], namespace: Option<&str>, user: &str) -> Vec<String> {
    let (kind, space) = match namespace {
        Some(namespace) => ("role", format!(" --namespace={namespace}")),
        None => ("clusterrole", String::new()),
    };
    let here = |right: &&Right| right.namespace.as_deref() == namespace;
    let mut verbs: Vec<&[String]> = rights.iter().filter(here).map(|right| right.verbs.as_slice()).collect();
    verbs.sort();
    verbs.dedup();
    let mut commands = Vec::new();
    for (number, verbs) in verbs.into_iter().enumerate() {
        let of_these = rights.iter().filter(here).filter(|right| right.verbs == verbs);
        let mut resources: Vec<String> = of_these.map(Right::qualified).collect();
        resources.sort();
        resources.dedup();
        let (verbs, resources) = (verbs.join(","), resources.join(","));
        let name = if number == 0 { "otel-agent-doctor".to_owned() } else { format!("otel-agent-doctor-{number}") };
        let reconcile = format!("--dry-run=client -o yaml | {kubectl} auth reconcile -f -");
        commands
            .push(format!("{kubectl} create {kind} {name}{space} --verb={verbs} --resource={resources} {reconcile}"));
        let subject = subject_flag(user);
        commands.push(format!("{kubectl} create {kind}binding {name}{space} --{kind}={name} {subject} {reconcile}"));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_of_the_cluster_with_the_same_verb_take_one_role() {
        let rights = [Right::everywhere("list", "", "pods"), Right::everywhere("list", "apps", "daemonsets")];
        let said = "pods is forbidden: User \"jane@example.com\" cannot list resource \"pods\"";
        let commands = grant_commands("kubectl", &rights, user_in(said).unwrap());
        assert_eq!(
            commands,
            [
                "kubectl create clusterrole otel-agent-doctor --verb=list --resource=daemonsets.apps,pods \
                 --dry-run=client -o yaml | kubectl auth reconcile -f -",
                "kubectl create clusterrolebinding otel-agent-doctor --clusterrole=otel-agent-doctor \
                 --user=jane@example.com --dry-run=client -o yaml | kubectl auth reconcile -f -",
            ]
        );
    }

    #[test]
    fn rights_in_a_namespace_and_with_other_verbs_take_roles_of_their_own() {
        let rights = [
            Right::within("open-telemetry", "get", "", "pods/log"),
            Right::everywhere("list", "", "nodes"),
            Right::everywhere("create", "authorization.k8s.io", "subjectaccessreviews"),
        ];
        let commands = grant_commands("kubectl --context=prod", &rights, "system:serviceaccount:ops:doctor");
        assert_eq!(commands.len(), 6, "{commands:#?}");
        assert!(commands[0].contains("--verb=create --resource=subjectaccessreviews.authorization.k8s.io "));
        assert!(commands[2].contains("create clusterrole otel-agent-doctor-1 --verb=list --resource=nodes "));
        assert!(commands[4].contains("create role otel-agent-doctor --namespace=open-telemetry --verb=get "));
        assert!(commands[5].contains("--serviceaccount=ops:doctor"), "{}", commands[5]);
        assert_eq!(rights[0].to_string(), "get pods/log in namespace open-telemetry");
    }
}
