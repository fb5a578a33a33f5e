//! Reading a cluster: the objects of a migration, and the metrics of both sides through the API server. Nothing is changed.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use kube::Client;
use serde_json::Value;

use super::flow::{self, Counters, Flow, Side};
use super::objects::{Objects, list, name, text};
use super::{Report, verdict};

/// One request takes no longer.
const WITHIN: Duration = Duration::from_secs(20);
/// Objects in one page.
const PAGE: usize = 500;
/// Pages of one kind at most.
const PAGES: usize = 100;
/// Agents whose metrics are read; they are on many nodes, and their sum only has to show that data flows.
const AGENTS_ASKED: usize = 50;

/// What is read: kind, group and version, resource, and whether a cluster may lack the kind.
const KINDS: [(&str, &str, &str, bool); 8] = [
    ("Deployment", "apis/apps/v1", "deployments", false),
    ("DaemonSet", "apis/apps/v1", "daemonsets", false),
    ("StatefulSet", "apis/apps/v1", "statefulsets", false),
    ("CronJob", "apis/batch/v1", "cronjobs", false),
    ("Service", "api/v1", "services", false),
    ("ConfigMap", "api/v1", "configmaps", false),
    ("OpenTelemetryCollector", "apis/opentelemetry.io/v1beta1", "opentelemetrycollectors", true),
    ("Instrumentation", "apis/opentelemetry.io/v1alpha1", "instrumentations", true),
];

/// Why something was not read.
pub(super) struct Failure {
    /// The code of HTTP; none if there was no answer.
    pub(super) code: Option<u16>,
    /// What was said.
    pub(super) message: String,
}

/// Reads all objects. Where the whole cluster may not be read, the namespace of the old collector is; what was not seen is noted.
///
/// # Errors
/// The API server cannot be reached, or knows us not.
pub async fn read(client: &Client, namespace: Option<&str>) -> anyhow::Result<Objects> {
    let mut objects = Objects::default();
    for (kind, group, resource, may_lack) in KINDS {
        let failure = match items(client, &format!("/{group}/{resource}"), kind, &mut objects).await {
            Ok(()) => continue,
            Err(failure) => failure,
        };
        match failure.code {
            Some(404) if may_lack => continue,
            Some(403) => {}
            Some(401) => anyhow::bail!("the API server does not know us (401): {}; log in again", failure.message),
            None => anyhow::bail!("the API server cannot be reached: {}", failure.message),
            Some(code) => {
                objects.unseen.push(format!("{resource}: the API server answered {code}: {}", failure.message));
                continue;
            }
        }
        let grant = format!("needs the right to list {resource} in all namespaces");
        match namespace {
            Some(namespace) => {
                let path = format!("/{group}/namespaces/{namespace}/{resource}");
                match items(client, &path, kind, &mut objects).await {
                    Ok(()) => objects.unseen.push(format!("{resource} outside of namespace {namespace} ({grant})")),
                    Err(failure) => objects.unseen.push(format!("{resource} ({grant}): {}", failure.message)),
                }
            }
            None => objects.unseen.push(format!("{resource} ({grant}; with --from its namespace is enough)")),
        }
    }
    Ok(objects)
}

async fn items(client: &Client, path: &str, kind: &str, objects: &mut Objects) -> Result<(), Failure> {
    let mut next = String::new();
    for _ in 0..PAGES {
        let more = if next.is_empty() { String::new() } else { format!("&continue={next}") };
        let page = get(client, &format!("{path}?limit={PAGE}{more}")).await?;
        for item in list(&page, "/items") {
            let mut item = item.clone();
            if let Some(item) = item.as_object_mut() {
                item.insert("kind".to_owned(), kind.into());
            }
            objects.add(item);
        }
        next = text(&page, "/metadata/continue").to_owned();
        if next.is_empty() {
            return Ok(());
        }
    }
    objects.unseen.push(format!("more than {} objects of kind {kind}", PAGE * PAGES));
    Ok(())
}

/// One object.
pub(super) async fn get(client: &Client, path: &str) -> Result<Value, Failure> {
    let text = get_text(client, path).await?;
    serde_json::from_str(&text)
        .map_err(|error| Failure { code: Some(200), message: format!("it is not JSON: {error}") })
}

async fn get_text(client: &Client, path: &str) -> Result<String, Failure> {
    let request =
        Request::get(path).body(Vec::new()).map_err(|error| Failure { code: None, message: error.to_string() })?;
    match tokio::time::timeout(WITHIN, client.request_text(request)).await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => Err(Failure { code: None, message: format!("no answer within {} s", WITHIN.as_secs()) }),
    }
}

pub(super) fn failure(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => Failure { code: Some(status.code), message: status.message.clone() },
        error => {
            // The cause is further in: what stands on top only says that there is one.
            let mut cause: &dyn std::error::Error = error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            Failure { code: None, message: cause.to_string() }
        }
    }
}

/// Looks at both sides for some time, and judges.
pub async fn look(client: &Client, report: &mut Report, seconds: f64) {
    let (namespace, own) = (&report.target.namespace, &report.target.name);
    let daemon_set = get(client, &format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/{own}")).await;
    let old_port = metrics_port(&report.from.config);
    let old = pods(client, &report.from.namespace, &report.from.selector).await;
    let new = match &daemon_set {
        Ok(object) => {
            let selector = super::found::selector(object);
            let ready: u64 = object.pointer("/status/numberReady").and_then(Value::as_u64).unwrap_or_default();
            let wanted = object.pointer("/status/desiredNumberScheduled").and_then(Value::as_u64);
            Some((pods(client, namespace, &selector).await, wanted, ready))
        }
        Err(_) => None,
    };
    let (new, agents_wanted, agents_ready) = match new {
        Some((pods, wanted, ready)) => (pods, Some(wanted.unwrap_or_default()), ready),
        None => (Ok(Vec::new()), None, 0),
    };
    let mut new_side = Side::default();
    if let Err(failure) = daemon_set
        && failure.code != Some(404)
    {
        new_side.unread.push(format!("daemonset {namespace}/{own}: {}", failure.message));
    }
    let (old, new) = (
        asked(client, &report.from.namespace, old, old_port, usize::MAX),
        asked(client, namespace, new, 8888, AGENTS_ASKED),
    );
    let (old, new) = tokio::join!(old, new);
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let (old, mut new) =
        tokio::join!(again(client, &report.from.namespace, old, old_port), again(client, namespace, new, 8888));
    new.unread.append(&mut new_side.unread);
    let flow = Flow { seconds: began.elapsed().as_secs_f64(), old, new, agents_wanted, agents_ready };
    report.verdict = Some(verdict::judge(report, &flow));
    report.flow = Some(flow);
}

/// Names of the pods that run.
async fn pods(client: &Client, namespace: &str, selector: &[(String, String)]) -> Result<Vec<String>, String> {
    if selector.is_empty() {
        return Err("what selects its pods is not known".to_owned());
    }
    let labels: Vec<String> =
        selector.iter().map(|(key, value)| format!("{}%3D{}", key.replace('/', "%2F"), value)).collect();
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={}", labels.join("%2C"));
    let found =
        get(client, &path).await.map_err(|failure| format!("pods of namespace {namespace}: {}", failure.message))?;
    // One that is ending still has data; one that has ended has none.
    let runs = |pod: &&Value| !["Succeeded", "Failed", "Pending"].contains(&text(pod, "/status/phase"));
    Ok(list(&found, "/items").iter().filter(runs).map(|pod| name(pod).to_owned()).collect())
}

/// What pods said, by name; and those that said nothing.
type Asked = (Vec<(String, Counters)>, Vec<String>);

async fn asked(client: &Client, namespace: &str, pods: Result<Vec<String>, String>, port: u16, most: usize) -> Asked {
    let pods = match pods {
        Ok(pods) => pods,
        Err(why) => return (Vec::new(), vec![why]),
    };
    let each = pods.into_iter().take(most).map(|pod| async move {
        let read = counters(client, namespace, &pod, port).await;
        (pod, read)
    });
    let all: Vec<(String, Result<Counters, String>)> =
        futures_util::stream::iter(each).buffer_unordered(8).collect().await;
    let mut asked: Asked = (Vec::new(), Vec::new());
    for (pod, read) in all {
        match read {
            Ok(counters) => asked.0.push((pod, counters)),
            Err(why) => asked.1.push(why),
        }
    }
    asked.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    asked
}

async fn again(client: &Client, namespace: &str, before: Asked, port: u16) -> Side {
    let (before, unread) = before;
    let mut side = Side { pods: Vec::new(), unread };
    let names = Ok(before.iter().map(|(name, _)| name.clone()).collect());
    let (after, mut unread) = asked(client, namespace, names, port, usize::MAX).await;
    side.unread.append(&mut unread);
    for ((name, before), (_, after)) in
        before.iter().filter_map(|one| Some((one, after.iter().find(|(name, _)| *name == one.0)?)))
    {
        match flow::between(name, before, after) {
            Ok(pod) => side.pods.push(pod),
            Err(why) => side.unread.push(why),
        }
    }
    side
}

async fn counters(client: &Client, namespace: &str, pod: &str, port: u16) -> Result<Counters, String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
    let answer = get_text(client, &path).await;
    let text = answer.map_err(|failure| {
        let why = match failure.code.and_then(|code| StatusCode::from_u16(code).ok()) {
            Some(StatusCode::FORBIDDEN) => format!("needs the right to get pods/proxy in namespace {namespace}"),
            Some(StatusCode::NOT_FOUND) => "it is gone".to_owned(),
            _ => format!(
                "do its metrics listen on port {port} of every address (not only of localhost)? {}",
                failure.message.trim()
            ),
        };
        format!("metrics of pod {namespace}/{pod}: {why}")
    })?;
    Counters::read(&text).map_err(|why| format!("metrics of pod {namespace}/{pod}: {why}"))
}

/// The port of a Collector's own metrics.
pub(super) fn metrics_port(config: &Value) -> u16 {
    let Some(metrics) = config.pointer("/service/telemetry/metrics") else { return 8888 };
    let reader = list(metrics, "/readers").iter().find_map(|reader| reader.pointer("/pull/exporter/prometheus/port"));
    let address = text(metrics, "/address").rsplit(':').next().and_then(|port| port.parse().ok());
    super::found::number(reader).or(address).unwrap_or(8888)
}
