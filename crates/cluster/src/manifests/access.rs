//! What the agents may do: the namespace with its Pod Security level, the account, and a role with what the configuration needs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::labels::{AGENT, owned};
use super::security::{self, Level};
use super::{Context, NAME, Object};
use crate::workload::Permission;

pub(super) fn namespace(cx: &Context<'_>) -> Option<Object> {
    if !cx.values.create_namespace {
        return None;
    }
    let (level, reasons) = security::level(cx.workload, cx.values);
    let mut labels = cx.values.labels.clone();
    labels.extend(owned([("app.kubernetes.io/name", NAME), ("app.kubernetes.io/part-of", "opentelemetry")]));
    for mode in ["enforce", "audit", "warn"] {
        labels.insert(format!("pod-security.kubernetes.io/{mode}"), level.as_str().to_owned());
    }
    let note = match level {
        Level::Restricted => "The agent passes the strictest level of Pod Security.".to_owned(),
        Level::Privileged => format!("Pod Security level privileged, because of\n- {}", reasons.join("\n- ")),
    };
    let metadata =
        ObjectMeta { name: Some(cx.values.namespace.clone()), labels: Some(labels), ..ObjectMeta::default() };
    Some(Object::new(&Namespace { metadata, ..Namespace::default() }, &note))
}

pub(super) fn priority_class(cx: &Context<'_>) -> Option<Object> {
    let class = cx.values.priority_class.create.then(|| PriorityClass {
        metadata: cx.cluster_metadata(cx.values.priority_class().unwrap_or(NAME)),
        value: cx.values.priority_class.value,
        global_default: Some(false),
        preemption_policy: Some("PreemptLowerPriority".to_owned()),
        description: Some("otel-agent: telemetry of a node is lost while it has no agent".to_owned()),
    });
    class.map(|class| Object::new(&class, "Agents are placed before applications and stopped after them."))
}

pub(super) fn account_and_roles(cx: &Context<'_>) -> Vec<Object> {
    let permissions = &cx.workload.permissions;
    let mut objects = Vec::new();
    if cx.values.service_account.create {
        let annotations = cx.values.service_account.annotations.clone();
        let mut metadata = cx.metadata(cx.values.account());
        metadata.annotations = (!annotations.is_empty()).then_some(annotations);
        let account = ServiceAccount {
            metadata,
            // Without permissions there is no use for a token.
            automount_service_account_token: Some(!permissions.is_empty()),
            ..ServiceAccount::default()
        };
        objects.push(Object::new(&account, ""));
    }
    if !cx.values.rbac.create {
        return objects;
    }
    let mut by_namespace: BTreeMap<Option<&str>, Vec<&Permission>> = BTreeMap::new();
    for permission in permissions {
        by_namespace.entry(permission.namespace.as_deref()).or_default().push(permission);
    }
    for (namespace, permissions) in by_namespace {
        objects.extend(roles(cx, namespace, &permissions));
    }
    objects
}

/// What the configuration needs, no more: each line of the note says what for.
fn roles(cx: &Context<'_>, namespace: Option<&str>, permissions: &[&Permission]) -> [Object; 2] {
    let rules: Vec<PolicyRule> = permissions.iter().map(|permission| rule(permission)).collect();
    let why: Vec<String> =
        permissions.iter().map(|one| format!("- {} {}: {}", one.verbs.join(", "), one.resource, one.why)).collect();
    let note = format!("What this configuration needs, and what for:\n{}", why.join("\n"));
    let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
    let role_ref = RoleRef {
        api_group: "rbac.authorization.k8s.io".to_owned(),
        kind: kind.to_owned(),
        name: cx.role_name(namespace),
    };
    let subject = Subject {
        kind: "ServiceAccount".to_owned(),
        name: cx.values.account().to_owned(),
        namespace: Some(cx.values.namespace.clone()),
        ..Subject::default()
    };
    let metadata = ObjectMeta {
        name: Some(cx.role_name(namespace)),
        namespace: namespace.map(str::to_owned),
        labels: Some(cx.labels(AGENT)),
        ..ObjectMeta::default()
    };
    let subjects = Some(vec![subject]);
    if namespace.is_some() {
        let role = Role { metadata: metadata.clone(), rules: Some(rules) };
        [Object::new(&role, &note), Object::new(&RoleBinding { metadata, role_ref, subjects }, "")]
    } else {
        let role = ClusterRole { metadata: metadata.clone(), rules: Some(rules), ..ClusterRole::default() };
        [Object::new(&role, &note), Object::new(&ClusterRoleBinding { metadata, role_ref, subjects }, "")]
    }
}

impl Context<'_> {
    /// Cluster roles are shared by all namespaces: the agents of another one must not change the role of these.
    fn role_name(&self, namespace: Option<&str>) -> String {
        let usual = self.values.namespace == crate::values::Values::default().namespace;
        if namespace.is_some() || usual { NAME.to_owned() } else { format!("{NAME}-{}", self.values.namespace) }
    }
}

fn rule(permission: &Permission) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![permission.group.clone()]),
        resources: Some(vec![permission.resource.clone()]),
        resource_names: permission.name.as_ref().map(|name| vec![name.clone()]),
        verbs: permission.verbs.clone(),
        ..PolicyRule::default()
    }
}
