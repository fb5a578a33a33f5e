use std::time::Duration;

use super::*;
use crate::kubernetes::kept::Keys;
use crate::kubernetes::source::{Feed, Filter};
use crate::telemetry::table;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/demo/pods.yaml");

fn demo() -> Source {
    Source { feed: Feed::File(DEMO.into()), filter: Filter::default(), grace: GRACE }
}

fn pod(uid: &str, address: &str) -> Pod {
    Pod { uid: uid.into(), addresses: [address.parse().unwrap()].into_iter().collect(), ..Pod::default() }
}

#[tokio::test]
async fn a_source_is_opened_once_for_all_and_ends_with_the_last_of_them() {
    let (directories, metrics) = (Directories::default(), Metrics::new());
    let size = || metrics.value(&table::K8S_POD_TABLE_SIZE, &[]);
    let first = directories.open(&demo(), Interest::default(), &metrics).unwrap();
    let second = directories.clone().open(&demo(), Interest::default(), &metrics).unwrap();
    assert!(Arc::ptr_eq(&first.inner, &second.inner));
    assert_eq!(size(), Some(3.0));
    let other = Source { filter: Filter { node: Some("node-a".into()), ..Filter::default() }, ..demo() };
    let other = directories.open(&other, Interest::default(), &metrics).unwrap();
    assert!(!Arc::ptr_eq(&first.inner, &other.inner));
    assert_eq!(size(), Some(4.0));
    drop(first);
    assert!(second.inner.tasks.iter().all(|task| !task.is_finished()));
    let tasks = second.inner.tasks.clone();
    drop((second, other));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(tasks.iter().all(AbortHandle::is_finished));
    assert_eq!(size(), Some(0.0));
    assert_eq!(metrics.value(&table::K8S_POD_ADDED, &[]), Some(4.0));
}

#[tokio::test]
async fn a_directory_that_outlives_a_plan_keeps_nothing_that_the_plan_showed() {
    let (directories, metrics) = (Directories::default(), Metrics::new());
    let (plan, shown) = (metrics.scoped(), Arc::new(7));
    let weak = Arc::downgrade(&shown);
    plan.on_collect(move |sink| sink.set(&table::BUDGET_USED, &[], *shown));
    let open = directories.open(&demo(), Interest::default(), &plan).unwrap();
    let next_plan = metrics.scoped();
    let kept = directories.open(&demo(), Interest::default(), &next_plan).unwrap();
    drop((open, plan));
    assert!(weak.upgrade().is_none());
    drop(next_plan);
    assert_eq!(metrics.value(&table::K8S_POD_TABLE_SIZE, &[]), Some(3.0));
    kept.put(pod("a", "10.0.0.1"));
    kept.inner.shared.counts.failure("pods", "timeout");
    assert_eq!(metrics.value(&table::K8S_POD_TABLE_SIZE, &[]), Some(4.0));
    let failure = [("resource", "pods"), ("reason", "timeout")];
    assert_eq!(metrics.value(&table::KUBERNETES_FAILURES, &failure), Some(1.0));
}

#[tokio::test]
async fn a_pod_is_found_by_its_address_in_any_directory_that_is_open() {
    let (directories, metrics) = (Directories::default(), Metrics::new());
    let name = || directories.by_address("127.0.0.13".parse().unwrap()).map(|pod| pod.name.to_string());
    assert_eq!(name(), None);
    let open = directories.open(&demo(), Interest::default(), &metrics).unwrap();
    assert!(name().is_some_and(|name| name.starts_with("fastapi-worker-")), "{:?}", name());
    drop(open);
    assert_eq!(name(), None);
}

#[tokio::test]
async fn a_second_user_who_wants_more_makes_the_feed_bring_it() {
    let (directories, metrics) = (Directories::default(), Metrics::new());
    let pods = directories.open(&demo(), Interest::default(), &metrics).unwrap();
    let of = |pods: &Directory| pods.by_address("127.0.0.13".parse().unwrap()).unwrap();
    assert!(of(&pods).labels.is_empty());
    let generation = pods.generation();
    let labels = Interest { pod_labels: Keys::exact(["app"]), ..Interest::default() };
    let more = directories.open(&demo(), labels, &metrics).unwrap();
    more.changed_since(generation).await;
    assert_eq!(of(&pods).labels.get("app"), Some("fastapi-worker"));
}

#[tokio::test]
async fn a_fixed_directory_knows_its_pods_and_tells_of_changes() {
    let pods = Directory::fixed(vec![pod("a", "10.0.0.1")]);
    pods.wait_synced().await;
    let generation = pods.generation();
    let waiting = tokio::spawn({
        let pods = pods.clone();
        async move { pods.changed_since(generation).await }
    });
    pods.put(pod("b", "10.0.0.2"));
    waiting.await.unwrap();
    assert!(pods.by_address("::ffff:10.0.0.2".parse().unwrap()).is_some());
    pods.delete("b");
    assert!(pods.by_address("10.0.0.2".parse().unwrap()).is_none());
    pods.put_object(Kind::Namespace, Object { name: "".into(), uid: "n".into(), ..Object::default() });
    assert_eq!(&*pods.by_uid("a").unwrap().uid, "a");
}
