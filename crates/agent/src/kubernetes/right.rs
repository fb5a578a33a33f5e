//! Permissions: which are needed, which are missing, and how to grant them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::time::{Duration, Instant};

use crate::telemetry::{Metrics, table};

/// A permission of Kubernetes' RBAC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, with its subresource if any: `pods`, `nodes/pods`.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
    /// The one object that it is about; none: any.
    pub name: Option<&'static str>,
    /// The one namespace in which it is enough to have it; none: in the whole cluster.
    pub namespace: Option<String>,
    /// What it is for.
    pub why: &'static str,
}

/// A permission that the agent lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub right: Right,
    /// Since when.
    pub since: SystemTime,
    /// What the API server said.
    pub message: String,
    /// The commands that grant it.
    pub remedy: String,
}

/// The permissions that are missing right now, each told in the log when it is found missing and every ten minutes.
pub(super) struct Troubles {
    missing: Mutex<BTreeMap<Right, (Trouble, Instant)>>,
    metrics: Metrics,
}

/// How often a missing permission is told again.
const TELL_EVERY: Duration = Duration::from_mins(10);

impl Troubles {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self { missing: Mutex::default(), metrics: metrics.clone() }
    }

    /// The API server refused, with this message.
    pub(super) fn refused(&self, right: &Right, message: &str) {
        let remedy = right.grant_command(user_in(message).unwrap_or("<namespace>:<service account>"));
        let mut missing = self.lock();
        let now = Instant::now();
        let (trouble, told) = missing.entry(right.clone()).or_insert_with(|| {
            self.count(right, 1);
            let since = SystemTime::now();
            (Trouble { right: right.clone(), since, message: String::new(), remedy: String::new() }, now - TELL_EVERY)
        });
        (trouble.message, trouble.remedy) = (message.to_owned(), remedy);
        if now.saturating_duration_since(*told) >= TELL_EVERY {
            *told = now;
            let (why, remedy) = (right.why, trouble.remedy.replace('\n', " && "));
            tracing::warn!(%right, why, error = message, remedy, "The agent lacks a permission of Kubernetes; it goes on without what it is for.");
        }
    }

    /// The API server let us.
    pub(super) fn granted(&self, right: &Right) {
        if self.lock().remove(right).is_some() {
            self.count(right, -1);
            tracing::info!(%right, "The agent has the permission of Kubernetes that it lacked.");
        }
    }

    pub(super) fn list(&self) -> Vec<Trouble> {
        self.lock().values().map(|(trouble, _)| trouble.clone()).collect()
    }

    /// Nobody asks any more.
    pub(super) fn close(&self) {
        for right in std::mem::take(&mut *self.lock()).keys() {
            self.count(right, -1);
        }
    }

    fn count(&self, right: &Right, more: i64) {
        self.metrics.gauge(&table::KUBERNETES_MISSING_RIGHTS, &[("resource", right.resource)]).add(more);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Right, (Trouble, Instant)>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Right {
    /// To read pods from the kubelet.
    pub const KUBELET_PODS: Right = Right {
        group: "",
        resource: "nodes/pods",
        verbs: &["get"],
        name: None,
        namespace: None,
        why: "which pods run on this node, from its kubelet",
    };

    /// To read the UID of the cluster.
    pub const CLUSTER_UID: Right = Right {
        group: "",
        resource: "namespaces",
        verbs: &["get"],
        name: Some("kube-system"),
        namespace: None,
        why: "the UID of the cluster",
    };

    /// To list and watch pods.
    #[must_use]
    pub fn pods(namespace: Option<&str>) -> Right {
        Right {
            group: "",
            resource: "pods",
            verbs: &["list", "watch"],
            name: None,
            namespace: namespace.map(Into::into),
            why: "which pods run on this node",
        }
    }

    /// The commands that grant it, one a line, to a service account (`open-telemetry:otel-agent`, also with the
    /// `system:serviceaccount:` that API servers put before it) or to another user.
    #[must_use]
    pub fn grant_command(&self, account: &str) -> String {
        let account = account.strip_prefix("system:serviceaccount:").unwrap_or(account);
        let subject = if account.contains(':') && !account.starts_with("system:") {
            format!("--serviceaccount={account}")
        } else {
            format!("--user={account}")
        };
        let resource =
            if self.group.is_empty() { self.resource.to_owned() } else { format!("{}.{}", self.resource, self.group) };
        let (kind, space) = match &self.namespace {
            Some(namespace) => ("role", format!(" --namespace={namespace}")),
            None => ("clusterrole", String::new()),
        };
        let only = self.name.map(|name| format!(" --resource-name={name}")).unwrap_or_default();
        let parts = ["otel-agent", self.resource].into_iter().chain(self.name);
        let name = parts.collect::<Vec<_>>().join("-").replace('/', "-");
        let verbs = self.verbs.join(",");
        format!(
            "kubectl create {kind} {name}{space} --verb={verbs} --resource={resource}{only}\n\
             kubectl create {kind}binding {name}{space} --{kind}={name} {subject}"
        )
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verbs.join(" and "), self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = self.name {
            write!(f, " {name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

/// The user in what an API server says when it refuses: `pods is forbidden: User "system:serviceaccount:a:b" cannot list
/// resource ..`.
pub(super) fn user_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"").or_else(|| message.split_once("user="))?;
    rest.split(['"', ',']).next().filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_of_the_cluster_is_granted_to_the_account_that_was_refused() {
        let said = "pods is forbidden: User \"system:serviceaccount:open-telemetry:otel-agent\" cannot list resource \
                    \"pods\" in API group \"\" at the cluster scope";
        let account = user_in(said).unwrap();
        assert_eq!(
            Right::pods(None).grant_command(account),
            "kubectl create clusterrole otel-agent-pods --verb=list,watch --resource=pods\n\
             kubectl create clusterrolebinding otel-agent-pods --clusterrole=otel-agent-pods \
             --serviceaccount=open-telemetry:otel-agent"
        );
        assert_eq!(Right::pods(None).to_string(), "list and watch pods");
        assert_eq!(Right::KUBELET_PODS.to_string(), "get nodes/pods");
    }

    #[test]
    fn a_right_in_a_namespace_takes_a_role_only() {
        let right = Right { group: "apps", resource: "replicasets", verbs: &["get"], ..Right::pods(Some("shop")) };
        assert_eq!(
            right.grant_command("monitoring:agent"),
            "kubectl create role otel-agent-replicasets --namespace=shop --verb=get --resource=replicasets.apps\n\
             kubectl create rolebinding otel-agent-replicasets --namespace=shop --role=otel-agent-replicasets \
             --serviceaccount=monitoring:agent"
        );
        assert_eq!(right.to_string(), "get replicasets.apps in namespace shop");
    }

    #[test]
    fn the_right_to_one_object_names_it_and_people_are_users() {
        let commands = Right::CLUSTER_UID.grant_command("jane@example.com");
        assert!(commands.contains("--resource=namespaces --resource-name=kube-system"), "{commands}");
        assert!(commands.starts_with("kubectl create clusterrole otel-agent-namespaces-kube-system "), "{commands}");
        assert!(commands.ends_with("--user=jane@example.com"), "{commands}");
        assert!(Right::CLUSTER_UID.grant_command("system:anonymous").ends_with("--user=system:anonymous"));
    }

    #[test]
    fn the_user_is_found_in_what_kubelets_say_too() {
        assert_eq!(
            user_in("Forbidden (user=system:serviceaccount:a:b, verb=get, resource=nodes)"),
            Some("system:serviceaccount:a:b")
        );
        assert_eq!(user_in("no"), None);
    }
}
