use super::*;
use crate::kubernetes::kept::Keys;
use crate::kubernetes::source::{Feed, GRACE, Source};
use crate::kubernetes::{Directories, Directory, ObjectInterest};
use crate::telemetry::Metrics;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/demo/pods.yaml");

fn source(path: &str, filter: Filter) -> Source {
    Source { feed: Feed::File(path.into()), filter, grace: GRACE }
}

fn open(path: &str, filter: Filter, interest: Interest) -> anyhow::Result<Directory> {
    Directories::default().open(&source(path, filter), interest, &Metrics::new())
}

fn of_node(node: &str) -> Filter {
    Filter { node: Some(node.into()), ..Filter::default() }
}

#[tokio::test]
async fn the_demos_list_is_read_for_one_node() {
    let interest = Interest { pod_labels: Keys::exact(["app"]), ..Interest::default() };
    let pods = open(DEMO, of_node("node-b"), interest).unwrap();
    assert!(pods.synced());
    assert_eq!(pods.len(), 2);
    assert!(pods.by_address("127.0.0.11".parse().unwrap()).is_none(), "it is on another node");
    let pod = pods.by_address("127.0.0.12".parse().unwrap()).unwrap();
    assert_eq!(&*pod.owners.deployment.as_ref().unwrap().name, "fastapi-metrics");
    assert_eq!(pod.labels.iter().collect::<Vec<_>>(), [("app", "fastapi-metrics")]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_is_read_again_and_a_broken_one_leaves_what_was_known() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let write = |uid: &str, address: &str| {
        let text = format!(r#"{{"metadata": {{"uid": "{uid}", "name": "x"}}, "status": {{"podIP": "{address}"}}}}"#);
        std::fs::write(path, text).unwrap();
    };
    write("a", "10.0.0.1");
    let pods = open(path, Filter::default(), Interest::default()).unwrap();
    assert_eq!(pods.len(), 1, "a single pod is a list, too, and so is JSON");
    let before = pods.generation();
    write("bb", "10.0.0.2");
    pods.changed_since(before).await;
    assert!(pods.by_address("10.0.0.1".parse().unwrap()).is_none());
    assert!(pods.by_address("10.0.0.2".parse().unwrap()).is_some());
    std::fs::write(path, "items: 5 and then some").unwrap();
    tokio::time::sleep(LOOK_EVERY * 3).await;
    assert_eq!(pods.len(), 1);
    write("a", "10.0.0.1");
    tokio::time::sleep(LOOK_EVERY * 3).await;
    assert!(pods.by_uid("a").is_some(), "the same UID may come back to a file");
}

#[tokio::test]
async fn namespaces_and_nodes_of_a_file_serve_those_who_want_them() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "
kind: List
items:
  - {kind: Namespace, metadata: {name: shop, uid: n1, labels: {team: red, other: x}}}
  - {kind: Namespace, metadata: {name: kube-system, uid: the-cluster}}
  - {kind: Pod, metadata: {name: a, namespace: shop, uid: u1}, spec: {nodeName: node-a}}
  - {kind: Service, metadata: {name: ignored}}
";
    std::fs::write(file.path(), text).unwrap();
    let interest = Interest {
        namespaces: Some(ObjectInterest { labels: Keys::exact(["team"]), ..ObjectInterest::default() }),
        cluster_uid: true,
        ..Interest::default()
    };
    let pods = open(file.path().to_str().unwrap(), Filter::default(), interest).unwrap();
    let pod = pods.by_uid("u1").unwrap();
    let namespace = pod.namespace_object.as_ref().unwrap();
    assert_eq!(namespace.labels.iter().collect::<Vec<_>>(), [("team", "red")]);
    assert_eq!(&*pods.namespace("shop").unwrap().uid, "n1");
    assert_eq!(pods.cluster_uid().as_deref(), Some("the-cluster"));
    assert!(pods.node("node-a").is_none());
}

#[tokio::test]
async fn a_file_that_is_no_list_of_pods_is_an_error_that_names_it() {
    let check = |text: &str, expected: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let error = open(file.path().to_str().unwrap(), Filter::default(), Interest::default()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected) && error.contains(file.path().to_str().unwrap()), "{error}");
    };
    check("receivers: {}", "neither `items` nor `metadata`");
    check("items: [{metadata: {name: a}}]", "no `metadata.uid`");
    check("items: [{metadata: {uid: 5}}]", "field of another type");
    let error = open("/nonexistent/pods.yaml", Filter::default(), Interest::default()).unwrap_err();
    assert!(format!("{error:#}").contains("cannot read the pods of /nonexistent/pods.yaml"));
}
