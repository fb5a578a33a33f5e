//! Namespaces, nodes and controllers: what is read of them, when, and what becomes of the pods.

use super::*;
use crate::kubernetes::feed::played::Refusal;
use crate::kubernetes::interest::ObjectInterest;

fn labels(keys: &[&str]) -> Option<ObjectInterest> {
    Some(ObjectInterest { labels: Keys::exact(keys.iter().copied()), ..ObjectInterest::default() })
}

fn of_namespaces() -> Interest {
    Interest { namespaces: labels(&["team"]), ..Interest::default() }
}

fn shop(server: &Server, team: &str) {
    server.put_object(
        "/api/v1/namespaces/shop",
        &json!({"name": "shop", "uid": "n1", "labels": {"team": team, "x": "y"}}),
    );
}

fn team(pods: &Directory, uid: &str) -> Option<String> {
    let pod = pods.by_uid(uid)?;
    Some(pod.namespace_object.as_ref()?.labels.get("team")?.to_owned())
}

#[tokio::test(start_paused = true)]
async fn nobody_asked_nothing_is_read() {
    let server = Server::new();
    shop(&server, "red");
    server.put("a", pod("10.0.0.1"));
    let pods = open(&server).await;
    seconds(1000).await;
    assert!(server.asked("get namespaces").is_empty());
    assert!(pods.by_uid("a").unwrap().namespace_object.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_read_once_for_all_of_its_pods_and_again_after_minutes() {
    let server = Server::new();
    shop(&server, "red");
    server.put("a", pod("10.0.0.1"));
    server.put("b", pod("10.0.0.2"));
    let pods = server.open(&source(), of_namespaces(), &Metrics::new());
    pods.wait_synced().await;
    assert_eq!(team(&pods, "a").as_deref(), Some("red"), "synced means that namespaces are there, too");
    server.put("c", pod("10.0.0.3"));
    settle().await;
    assert_eq!(team(&pods, "c").as_deref(), Some("red"));
    let asked = server.asked("get namespaces");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/api/v1/namespaces/shop");
    assert_eq!(asked[0].query["resourceVersion"], "0");
    assert_eq!(asked[0].accept, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    assert_eq!(pods.namespace("shop").unwrap().labels.len(), 1, "only what is wanted is kept");
    shop(&server, "blue");
    seconds(301).await;
    assert_eq!(team(&pods, "a").as_deref(), Some("blue"));
    assert_eq!(server.asked("get namespaces").len(), 2);
    for uid in ["a", "b", "c"] {
        server.delete(uid);
    }
    settle().await;
    assert!(pods.namespace("shop").is_none(), "no pod here is in it");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_its_last_pod_also_when_somebody_wants_more_in_that_moment() {
    // Which of the two is seen first is left to chance.
    for _ in 0..20 {
        let server = Server::new();
        shop(&server, "red");
        server.put("a", pod("10.0.0.1"));
        let pods = server.open(&source(), of_namespaces(), &Metrics::new());
        pods.wait_synced().await;
        settle().await;
        assert!(pods.namespace("shop").is_some());
        server.delete("a");
        pods.delete("a");
        pods.want(Interest { namespaces: labels(&["x"]), ..Interest::default() });
        settle().await;
        assert!(pods.namespace("shop").is_none(), "no pod here is in it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_for_namespaces_takes_their_labels_only() {
    let server = Server::new();
    shop(&server, "red");
    server.refuse("get namespaces", Refusal::Status(403, ""));
    server.put("a", pod("10.0.0.1"));
    let pods = server.open(&source(), of_namespaces(), &Metrics::new());
    pods.wait_synced().await;
    check(&pods, "10.0.0.1", Some("a"));
    assert_eq!(team(&pods, "a"), None);
    let [trouble] = pods.troubles().try_into().unwrap();
    assert_eq!(trouble.right.to_string(), "get namespaces");
    assert!(trouble.right.why.contains("labels"), "{}", trouble.right.why);
    server.allow("get namespaces");
    seconds(31).await;
    assert_eq!(team(&pods, "a").as_deref(), Some("red"));
    assert!(pods.troubles().is_empty());
}

#[tokio::test(start_paused = true)]
async fn controllers_the_node_and_the_cluster_are_read_where_they_are_wanted() {
    let server = Server::new();
    let owner = |kind: &str, name: &str, uid: &str| json!([{"kind": kind, "name": name, "uid": uid}]);
    server.put_object(
        "/apis/apps/v1/namespaces/shop/replicasets/web-5d9c",
        &json!({"name": "web-5d9c", "uid": "r1", "ownerReferences": owner("Deployment", "web", "d1")}),
    );
    server.put_object(
        "/apis/apps/v1/namespaces/shop/deployments/web",
        &json!({"name": "web", "uid": "d1", "labels": {"tier": "front"}}),
    );
    server.put_object("/api/v1/nodes/node-a", &json!({"name": "node-a", "uid": "node-uid", "labels": {"zone": "z1"}}));
    server.put_object("/api/v1/namespaces/kube-system", &json!({"name": "kube-system", "uid": "the-cluster"}));
    let mut owned = pod("10.0.0.1");
    owned["metadata"]["ownerReferences"] = owner("ReplicaSet", "web-5d9c", "r1");
    owned["metadata"]["labels"]["pod-template-hash"] = "5d9c".into();
    server.put("a", owned);
    let interest = Interest {
        replicasets: labels(&[]),
        deployments: labels(&["tier"]),
        nodes: labels(&["zone"]),
        cluster_uid: true,
        ..Interest::default()
    };
    let pods = server.open(&source(), interest, &Metrics::new());
    pods.wait_synced().await;
    let pod = pods.by_uid("a").unwrap();
    let deployment = pod.owners.deployment.as_ref().unwrap();
    assert_eq!((&*deployment.name, deployment.uid.as_deref()), ("web", Some("d1")));
    assert_eq!(deployment.object.as_ref().unwrap().labels.get("tier"), Some("front"));
    assert_eq!(pod.node_object.as_ref().unwrap().labels.get("zone"), Some("z1"));
    assert_eq!(&*pods.node("node-a").unwrap().uid, "node-uid");
    assert_eq!(pods.cluster_uid().as_deref(), Some("the-cluster"));
    assert!(pods.namespace("kube-system").is_none(), "nobody asked for labels of namespaces");
    let gets =
        ["replicasets", "deployments", "nodes", "namespaces"].map(|kind| server.asked(&format!("get {kind}")).len());
    assert_eq!(gets, [1; 4]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_the_server_does_not_have_yet_is_asked_for_again_soon() {
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    let pods = server.open(&source(), of_namespaces(), &Metrics::new());
    pods.wait_synced().await;
    assert_eq!(team(&pods, "a"), None);
    shop(&server, "red");
    seconds(2).await;
    assert_eq!(team(&pods, "a").as_deref(), Some("red"));
}
