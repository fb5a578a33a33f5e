//! Data of a pod that is not known yet.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::*;

const UID: &str = "extract: {metadata: [k8s.pod.uid]}";

fn waiting(scene: &Scene) -> f64 {
    scene.metrics.value(&table::K8S_WAITING, &[("processor", "k8s_attributes")]).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn data_of_a_known_pod_does_not_wait() {
    let scene = Scene::new(UID, vec![pod(5)]);
    assert!(scene.processor.wait(&batch("10.0.0.5", vec![])).is_none());
}

#[tokio::test(start_paused = true)]
async fn data_of_a_new_pod_waits_until_the_pod_is_known() {
    let scene = Scene::new(UID, vec![]);
    let batch = batch("10.0.0.5", vec![]);
    let start = Instant::now();
    let wait = scene.processor.wait(&batch).unwrap();
    let comes = async {
        sleep(Duration::from_millis(300)).await;
        assert_eq!(waiting(&scene), 1.0);
        // Another one does not end it.
        scene.directory.put(pod(6));
        sleep(Duration::from_millis(400)).await;
        scene.directory.put(pod(5));
    };
    tokio::join!(wait, comes);
    assert_eq!(start.elapsed(), Duration::from_millis(700));
    assert_eq!((waiting(&scene), scene.waited("found")), (0.0, 1.0));
    assert_eq!(scene.show("10.0.0.5", vec![]), "k8s.pod.uid=uid-5");
}

#[tokio::test(start_paused = true)]
async fn an_address_is_waited_for_in_vain_once_in_a_while_only() {
    let scene = Scene::new(UID, vec![]);
    let batch = batch("10.0.0.5", vec![]);
    let start = Instant::now();
    scene.processor.wait(&batch).unwrap().await;
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!(scene.waited("vain"), 1.0);
    assert!(scene.processor.wait(&batch).is_none());
    sleep(Duration::from_secs(31)).await;
    assert!(scene.processor.wait(&batch).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_can_be_no_pod_is_not_waited_for() {
    let mut on_host = pod(8);
    on_host.host_addresses = ["192.0.2.11".parse().unwrap()].into_iter().collect();
    let scene = Scene::new(UID, vec![pod(5), on_host]);
    for peer in ["127.0.0.1", "::1", "127.0.0.6", "192.0.2.11", "10.0.0.1", ""] {
        assert!(scene.processor.wait(&batch(peer, vec![])).is_none(), "{peer}");
    }
    scene.directory.delete("uid-5");
    assert!(scene.processor.wait(&batch("10.0.0.5", vec![])).is_none(), "it has ended");
    // Found by what it says of itself.
    let sent = vec![text("k8s.pod.ip", "10.0.0.8")];
    assert!(scene.processor.wait(&batch("10.9.9.9", sent)).is_none());
    // A pod in a test has an address of loopback.
    assert!(scene.processor.wait(&batch("127.0.5.5", vec![])).is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_when_that_is_not_wanted_or_the_agent_stops() {
    let scene = Scene::new(&format!("{UID}\nnew_pod_wait: 0s"), vec![]);
    assert!(scene.processor.wait(&batch("10.0.0.5", vec![])).is_none());

    let scene = Scene::new(UID, vec![]);
    let batch = batch("10.0.0.5", vec![]);
    let start = Instant::now();
    let wait = scene.processor.wait(&batch).unwrap();
    let stops = async {
        sleep(Duration::from_millis(100)).await;
        scene.patience.end();
    };
    tokio::join!(wait, stops);
    assert_eq!(start.elapsed(), Duration::from_millis(100));
    assert_eq!(scene.waited("stopped"), 1.0);
    assert!(scene.processor.wait(&batch).is_none(), "nothing waits any more");
    scene.patience.begin();
    assert!(scene.processor.wait(&batch).is_some());
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait_and_one_that_goes_away_makes_room() {
    let scene = Scene::new(UID, vec![]);
    let batches: Vec<Batch> = (0..=255).map(|number| batch(&format!("10.0.1.{number}"), vec![])).collect();
    let mut waits: Vec<_> = batches.iter().map(|batch| scene.processor.wait(batch).unwrap()).collect();
    assert_eq!(waiting(&scene), 256.0);
    let more = batch("10.0.2.1", vec![]);
    assert!(scene.processor.wait(&more).is_none());
    assert_eq!(scene.waited("crowded"), 1.0);
    waits.pop();
    assert_eq!(waiting(&scene), 255.0);
    assert!(scene.processor.wait(&more).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_start_waits_for_the_pods_if_that_is_wanted() {
    let scene = Scene::new("wait_for_metadata: true\nwait_for_metadata_timeout: 3s", vec![]);
    scene.processor.enricher.ready().await.unwrap();
    let scene = Scene::new("{}", vec![]);
    timeout(Duration::ZERO, scene.processor.enricher.ready()).await.unwrap().unwrap();
}
