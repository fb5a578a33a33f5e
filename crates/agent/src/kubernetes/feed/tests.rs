//! The feed from the API server against a server that is played: what is asked, and what is known after each answer.

mod objects;
mod trouble;

use serde_json::{Value, json};
use tokio::time::Duration;

use super::played::Server;
use crate::kubernetes::kept::Keys;
use crate::kubernetes::source::{FieldFilter, LabelFilter, LabelOp, Source};
use crate::kubernetes::{Directory, Interest};
use crate::telemetry::{Metrics, table};

fn source() -> Source {
    Source::of_node("node-a")
}

fn pod(address: &str) -> Value {
    json!({
        "metadata": {"name": format!("pod-{address}"), "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"nodeName": "node-a"},
        "status": {"phase": "Running", "podIP": address}
    })
}

/// Who has an address, for those who know.
#[track_caller]
fn check(pods: &Directory, address: &str, expected: Option<&str>) {
    let found = pods.by_address(address.parse().unwrap());
    assert_eq!(found.as_ref().map(|pod| &*pod.uid), expected, "{address}");
}

/// Lets the tasks do what they can do now, and then some seconds pass.
async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

async fn open(server: &Server) -> Directory {
    let pods = server.open(&source(), Interest::default(), &Metrics::new());
    pods.wait_synced().await;
    settle().await;
    pods
}

#[tokio::test(start_paused = true)]
async fn one_list_and_one_watch_of_this_node_from_the_servers_memory() {
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    let pods = open(&server).await;
    check(&pods, "10.0.0.1", Some("a"));
    let (lists, watches) = (server.asked("list pods"), server.asked("watch pods"));
    assert_eq!((lists.len(), watches.len()), (1, 1));
    let query = |key: &str| lists[0].query.get(key).map(String::as_str);
    assert_eq!(lists[0].path, "/api/v1/pods");
    assert_eq!(query("fieldSelector"), Some("spec.nodeName=node-a"));
    assert_eq!((query("resourceVersion"), query("resourceVersionMatch")), (Some("0"), Some("NotOlderThan")));
    assert_eq!(query("limit"), None, "with a limit servers read their store");
    let query = |key: &str| watches[0].query.get(key).map(String::as_str);
    assert_eq!(query("fieldSelector"), Some("spec.nodeName=node-a"));
    assert_eq!((query("resourceVersion"), query("allowWatchBookmarks")), (Some("101"), Some("true")));
    let timeout: u64 = query("timeoutSeconds").unwrap().parse().unwrap();
    assert!((240..=300).contains(&timeout), "{timeout}");
}

#[tokio::test(start_paused = true)]
async fn the_filters_of_the_configuration_are_the_servers_work() {
    let mut source = source();
    source.filter.namespace = Some("shop".into());
    source.filter.labels = vec![LabelFilter { key: "app".into(), op: LabelOp::Exists }];
    source.filter.fields = vec![FieldFilter { key: "status.phase".into(), value: "Running".into(), equals: true }];
    let server = Server::new();
    let pods = server.open(&source, Interest::default(), &Metrics::new());
    pods.wait_synced().await;
    settle().await;
    for asked in [server.asked("list pods"), server.asked("watch pods")].concat() {
        assert_eq!(asked.path, "/api/v1/namespaces/shop/pods");
        assert_eq!(asked.query["labelSelector"], "app");
        assert_eq!(asked.query["fieldSelector"].replace("%2C", ","), "spec.nodeName=node-a,status.phase=Running");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_tells_is_known_at_once_and_counted() {
    let (server, metrics) = (Server::new(), Metrics::new());
    let pods = server.open(&source(), Interest::default(), &metrics);
    pods.wait_synced().await;
    settle().await;
    let generation = pods.generation();
    server.put("a", pod("10.0.0.1"));
    pods.changed_since(generation).await;
    check(&pods, "10.0.0.1", Some("a"));
    server.put("a", pod("10.0.0.2"));
    server.put("b", pod("10.0.0.1"));
    settle().await;
    check(&pods, "10.0.0.2", Some("a"));
    check(&pods, "10.0.0.1", Some("b"));
    server.delete("a");
    settle().await;
    check(&pods, "10.0.0.2", None);
    assert!(pods.by_uid("a").is_some(), "it has just ended");
    seconds(130).await;
    assert!(pods.by_uid("a").is_none());
    let value = |row| metrics.value(row, &[]).unwrap();
    assert_eq!(value(&table::K8S_POD_TABLE_SIZE), 1.0);
    assert_eq!(
        [value(&table::K8S_POD_ADDED), value(&table::K8S_POD_UPDATED), value(&table::K8S_POD_DELETED)],
        [2.0, 1.0, 1.0]
    );
    let requests =
        |verb| metrics.value(&table::KUBERNETES_REQUESTS, &[("resource", "pods"), ("verb", verb), ("code", "200")]);
    assert_eq!((requests("list"), requests("watch")), (Some(1.0), Some(1.0)));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_goes_on_where_it_was_without_a_list() {
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    let pods = open(&server).await;
    server.bookmark();
    settle().await;
    seconds(10).await;
    server.cut();
    server.put("b", pod("10.0.0.2"));
    check(&pods, "10.0.0.1", Some("a"));
    seconds(2).await;
    check(&pods, "10.0.0.2", Some("b"));
    let watches = server.asked("watch pods");
    assert_eq!((server.asked("list pods").len(), watches.len()), (1, 2));
    assert_eq!(watches[1].query["resourceVersion"], "111", "the bookmark's, not the last pod's");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_is_asked_for_anew_and_nothing_else_is() {
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    let pods = open(&server).await;
    seconds(3600).await;
    check(&pods, "10.0.0.1", Some("a"));
    let watches = server.asked("watch pods").len();
    assert!((12..=15).contains(&watches), "{watches} watches in an hour");
    assert_eq!(server.asked("list pods").len(), 1);
    assert_eq!(server.watches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_cut_again_and_again_is_not_a_flood() {
    let server = Server::new();
    let _pods = open(&server).await;
    for _ in 0..6000 {
        server.cut();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let watches = server.asked("watch pods").len();
    assert!((15..60).contains(&watches), "{watches} watches in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_go_on_is_followed_by_a_list_as_new_as_what_was_seen() {
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    server.put("b", pod("10.0.0.2"));
    let pods = open(&server).await;
    let before = pods.by_uid("b").unwrap();
    server.cut();
    server.delete("a");
    server.put("c", pod("10.0.0.1"));
    server.compact();
    check(&pods, "10.0.0.1", Some("a"));
    seconds(5).await;
    check(&pods, "10.0.0.1", Some("c"));
    let lists = server.asked("list pods");
    assert_eq!(lists.len(), 2);
    assert_eq!(lists[1].query["resourceVersion"], "102");
    assert_eq!(lists[1].query["resourceVersionMatch"], "NotOlderThan");
    assert!(std::sync::Arc::ptr_eq(&before, &pods.by_uid("b").unwrap()), "what did not change stays");
    assert!(pods.by_uid("a").is_some(), "it ended and can still be found");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lags_behind_is_not_believed_and_one_that_was_restored_is() {
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    let pods = open(&server).await;
    // Another server answers, with what was long ago.
    server.delete("a");
    server.put("b", pod("10.0.0.1"));
    settle().await;
    server.set_version(110);
    server.compact();
    server.cut();
    server.set_version(50);
    seconds(3).await;
    check(&pods, "10.0.0.1", Some("b"));
    assert!(server.asked("list pods").len() > 1, "it was asked and could not serve");
    // It caught up.
    server.set_version(200);
    server.put("c", pod("10.0.0.3"));
    seconds(20).await;
    check(&pods, "10.0.0.3", Some("c"));
    // The store was restored from a backup: nothing as new will ever come.
    server.set_version(300);
    server.compact();
    server.cut();
    server.set_version(10);
    server.put("d", pod("10.0.0.4"));
    seconds(300).await;
    check(&pods, "10.0.0.4", Some("d"));
}

#[tokio::test(start_paused = true)]
async fn somebody_who_wants_more_labels_costs_one_more_list() {
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    let pods = open(&server).await;
    assert!(pods.by_uid("a").unwrap().labels.is_empty());
    pods.want(Interest { pod_labels: Keys::exact(["app"]), ..Interest::default() });
    settle().await;
    assert_eq!(pods.by_uid("a").unwrap().labels.get("app"), Some("web"));
    pods.want(Interest { pod_labels: Keys::exact(["app"]), ..Interest::default() });
    settle().await;
    assert_eq!(server.asked("list pods").len(), 2);
    assert_eq!(server.watches(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_the_last_of_its_users_a_directory_stops_asking() {
    let server = Server::new();
    let pods = open(&server).await;
    let second = pods.clone();
    drop(pods);
    settle().await;
    assert_eq!(server.watches(), 1);
    drop(second);
    settle().await;
    assert_eq!(server.watches(), 0);
    seconds(600).await;
    assert_eq!(server.asked("watch pods").len(), 1);
}
