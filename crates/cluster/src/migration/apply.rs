//! The steps that change something. Each says what it did and how to undo it; none does more than was asked.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

use super::applications::Move;
use super::found::Manager;
use super::live::{failure, get};
use super::objects::{name, text};
use super::{Report, Target};

/// The agent beside the old collector.
mod agent;

/// Fields that somebody else has set.
mod conflict;

/// What the API server would add.
mod defaults;

pub use agent::{Choices, agent};

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// What it did, a line each.
    pub did: Vec<String>,
    /// The commands that undo it.
    pub undo: Vec<String>,
}

/// Moves applications: all, or one by namespace/name.
///
/// # Errors
/// An agent is not ready, none has that name, it has changed meanwhile, or the API server refused.
pub async fn applications(client: &Client, report: &Report, only: Option<&str>) -> anyhow::Result<Done> {
    let flow = report.flow.as_ref().ok_or_else(|| anyhow!("the cluster was not looked at"))?;
    let wanted = flow.agents_wanted.unwrap_or_default();
    if wanted == 0 || flow.agents_ready < wanted {
        bail!(
            "{} of {wanted} agents are ready: what applications on the other nodes send would be dropped there. Nothing was changed; \
             wait for: {} rollout status daemonset/{} -n {}",
            flow.agents_ready,
            report.target.kubectl,
            report.target.name,
            report.target.namespace
        );
    }
    let moves: Vec<&Move> =
        report.applications.moves.iter().filter(|one| only.is_none_or(|only| one.id() == only)).collect();
    if let Some(only) = only.filter(|_| moves.is_empty()) {
        let all: Vec<String> = report.applications.moves.iter().map(Move::id).collect();
        let there = if all.is_empty() { "none does".to_owned() } else { format!("these do: {}", all.join(", ")) };
        bail!("no application {only} points at the old collector; {there}");
    }
    let mut done = Done::default();
    for one in moves {
        let moved = move_one(client, one).await;
        moved.with_context(|| format!("{} {} could not be moved; {}", one.kind, one.id(), so_far(&done.did)))?;
        let pairs: Vec<String> = one.variables.iter().map(|change| format!("{}={}", change.name, change.to)).collect();
        done.did.push(format!("{} {}: {}", one.kind, one.id(), pairs.join(" ")));
        done.undo.extend(one.undo.iter().cloned());
    }
    if done.did.is_empty() {
        done.did.push("no application points at the old collector: nothing to do".to_owned());
    }
    Ok(done)
}

async fn move_one(client: &Client, one: &Move) -> anyhow::Result<()> {
    let path = path(&one.kind, "", &one.namespace, &one.name)?;
    let object = get(client, &path).await.map_err(|failure| anyhow!("it cannot be read: {}", failure.message))?;
    if one.kind == "ConfigMap" {
        let mut data = serde_json::Map::new();
        for change in &one.variables {
            if object.pointer("/data").and_then(|data| data.get(&change.name)).and_then(Value::as_str)
                != Some(&change.from)
            {
                bail!("{} is no longer `{}`; look again", change.name, change.from);
            }
            data.insert(change.name.clone(), json!(change.to));
        }
        call(client, Method::PATCH, &path, "application/merge-patch+json", &json!({"data": data})).await?;
        let now = jiff::Timestamp::now().to_string();
        let annotated =
            json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}}}});
        for workload in one.restarts.iter().filter(|workload| !workload.starts_with("cronjob/")) {
            let (kind, name) = workload.split_once('/').unwrap_or_default();
            let path = self::path(kind, "", &one.namespace, name)?;
            let patched = call(client, Method::PATCH, &path, "application/merge-patch+json", &annotated).await;
            patched.with_context(|| format!("the ConfigMap is changed, but {workload} was not restarted"))?;
        }
        return Ok(());
    }
    let template = super::objects::template(&object).cloned().unwrap_or_default();
    let container = super::objects::containers(&template).find(|container| text(container, "/name") == one.container);
    let mut variables = Vec::new();
    for change in &one.variables {
        let env = container.map(|container| super::objects::list(container, "/env")).unwrap_or_default();
        let now = env.iter().find(|env| text(env, "/name") == change.name).map(|env| text(env, "/value"));
        if now.unwrap_or_default() != change.from {
            bail!("{} of container {} is no longer `{}`; look again", change.name, one.container, change.from);
        }
        variables.push(json!({"name": change.name, "value": change.to}));
    }
    let list =
        if super::objects::list(&template, "/spec/containers").iter().any(|own| text(own, "/name") == one.container) {
            "containers"
        } else {
            "initContainers"
        };
    let mut spec = json!({"template": {"spec": {list: [{"name": one.container, "env": variables}]}}});
    if one.kind == "CronJob" {
        spec = json!({"jobTemplate": {"spec": spec}});
    }
    call(client, Method::PATCH, &path, "application/strategic-merge-patch+json", &json!({"spec": spec})).await.map(drop)
}

/// Deletes the old collector, after writing what is deleted to a file.
///
/// # Errors
/// It may not go yet, something else manages it, the file cannot be written, or the API server refused.
pub async fn delete_old(client: &Client, report: &Report, file: &Path) -> anyhow::Result<Done> {
    let verdict = report.verdict.as_ref().ok_or_else(|| anyhow!("the cluster was not looked at"))?;
    if !verdict.may_go {
        let open: Vec<&str> =
            verdict.answers.iter().filter(|one| one.holds != Some(true)).map(|one| one.evidence.as_str()).collect();
        bail!("the old collector may not go yet: {}. Nothing was changed", open.join("; "));
    }
    let from = &report.from;
    if from.manager != Manager::Plain {
        bail!("something else manages it and would only make it again: run `{}`. Nothing was changed", verdict.command);
    }
    let mut references = vec![(from.kind.clone(), from.name.clone())];
    references.extend(from.services.iter().map(|service| ("Service".to_owned(), service.name.clone())));
    references.extend(from.config_map.iter().map(|name| ("ConfigMap".to_owned(), name.clone())));
    let mut kept = String::new();
    for (kind, name) in &references {
        let object = get(client, &path(kind, "", &from.namespace, name)?).await;
        let object = object
            .map_err(|failure| anyhow!("{kind} {name} cannot be read: {}; nothing was changed", failure.message))?;
        kept.push_str("---\n");
        kept.push_str(&serde_saphyr::to_string(&as_it_was_written(object))?);
    }
    std::fs::write(file, kept)
        .with_context(|| format!("what is deleted cannot be kept in {}; nothing was changed", file.display()))?;
    let mut done = Done::default();
    for (kind, name) in &references {
        let options = json!({"propagationPolicy": "Background"});
        let path = path(kind, "", &from.namespace, name)?;
        let gone = call(client, Method::DELETE, &path, "application/json", &options).await;
        gone.with_context(|| format!("{kind} {name} was not deleted; {}", so_far(&done.did)))?;
        done.did.push(format!("{kind} {}/{name} deleted", from.namespace));
    }
    done.undo.push(format!("{} apply -f {}", report.target.kubectl, file.display()));
    Ok(done)
}

/// An object without what the API server added.
fn as_it_was_written(mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.shift_remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for key in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"] {
                metadata.shift_remove(key);
            }
        }
        // The addresses that it had may be given to another Service meanwhile.
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
            && spec.get("clusterIP").is_some_and(|address| address != "None")
        {
            spec.shift_remove("clusterIP");
            spec.shift_remove("clusterIPs");
        }
    }
    object
}

async fn call(client: &Client, method: Method, url: &str, content: &str, body: &Value) -> anyhow::Result<Value> {
    send(client, method, url, content, body).await?.map_err(|error| told(&error))
}

/// The answer as it is; the outer error is a request that could not be made.
async fn send(
    client: &Client,
    method: Method,
    url: &str,
    content: &str,
    body: &Value,
) -> anyhow::Result<Result<Value, kube::Error>> {
    let request = Request::builder().method(method).uri(url).header("content-type", content);
    Ok(client.request::<Value>(request.body(serde_json::to_vec(body)?)?).await)
}

/// What was answered, with its code.
fn told(error: &kube::Error) -> anyhow::Error {
    let failure = failure(error);
    match failure.code {
        Some(code) => anyhow!("the API server answered {code}: {}", failure.message),
        None => anyhow!("no answer from the API server: {}", failure.message),
    }
}

/// What was done before a step stopped.
fn so_far(did: &[String]) -> String {
    if did.is_empty() { "nothing was changed".to_owned() } else { format!("done before that: {}", did.join("; ")) }
}

/// `daemonset/otel-agent -n open-telemetry`.
fn reference(object: &Value) -> String {
    let space = text(object, "/metadata/namespace");
    let space = if space.is_empty() { String::new() } else { format!(" -n {space}") };
    format!("{}/{}{space}", text(object, "/kind").to_lowercase(), name(object))
}

fn path_of(object: &Value) -> anyhow::Result<String> {
    path(text(object, "/kind"), text(object, "/apiVersion"), text(object, "/metadata/namespace"), name(object))
}

/// Where an object is in the API. The version is that of the object, or the usual one of its kind.
fn path(kind: &str, version: &str, namespace: &str, name: &str) -> anyhow::Result<String> {
    const KINDS: [(&str, &str, &str); 18] = [
        ("namespace", "v1", "namespaces"),
        ("serviceaccount", "v1", "serviceaccounts"),
        ("service", "v1", "services"),
        ("configmap", "v1", "configmaps"),
        ("secret", "v1", "secrets"),
        ("daemonset", "apps/v1", "daemonsets"),
        ("deployment", "apps/v1", "deployments"),
        ("statefulset", "apps/v1", "statefulsets"),
        ("cronjob", "batch/v1", "cronjobs"),
        ("clusterrole", "rbac.authorization.k8s.io/v1", "clusterroles"),
        ("clusterrolebinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings"),
        ("role", "rbac.authorization.k8s.io/v1", "roles"),
        ("rolebinding", "rbac.authorization.k8s.io/v1", "rolebindings"),
        ("networkpolicy", "networking.k8s.io/v1", "networkpolicies"),
        ("priorityclass", "scheduling.k8s.io/v1", "priorityclasses"),
        ("servicemonitor", "monitoring.coreos.com/v1", "servicemonitors"),
        ("podmonitor", "monitoring.coreos.com/v1", "podmonitors"),
        ("prometheusrule", "monitoring.coreos.com/v1", "prometheusrules"),
    ];
    let known = KINDS.iter().find(|(known, ..)| *known == kind.to_lowercase());
    let (_, usual, resource) = known.ok_or_else(|| anyhow!("objects of kind {kind} are not known here"))?;
    let version = if version.is_empty() { usual } else { version };
    let root = if version.contains('/') { "apis" } else { "api" };
    let space = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    Ok(format!("/{root}/{version}{space}/{resource}/{name}"))
}

/// The commands that bring Secrets and ConfigMaps of the old namespace into the new one, without showing what is in them.
#[must_use]
pub fn copies(references: &[String], from: &str, target: &Target) -> Vec<String> {
    if from == target.namespace {
        return Vec::new();
    }
    let (kubectl, to) = (&target.kubectl, &target.namespace);
    let copy = |reference: &String| {
        format!(
            "{kubectl} get {reference} -n {from} -o yaml | sed -e 's/^  namespace: .*/  namespace: {to}/' -e '/^  uid: /d' \
             -e '/^  resourceVersion: /d' | {kubectl} apply -f -"
        )
    };
    references.iter().map(copy).collect()
}
