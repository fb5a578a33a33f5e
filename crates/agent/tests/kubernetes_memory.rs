//! What the pods of a node take: bytes that are really allocated, indexes and all. A process of its own, with the agent's
//! allocator, so that nothing else is counted.
#![cfg(feature = "jemalloc")]
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::fmt::Write as _;

use otel_agent::kubernetes::{Directories, Directory, Feed, Filter, GRACE, Interest, Keys, Source};
use otel_agent::telemetry::Metrics;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const PODS: usize = 500;
const LABELS: usize = 20;

#[tokio::test]
async fn five_hundred_pods_with_twenty_labels_take_less_than_four_kilobytes_each() {
    // Once before, so that what is made only once is not counted.
    drop(open(1));
    let before = allocated();
    let pods = open(PODS);
    let taken = allocated() - before;
    assert_eq!(pods.len(), PODS);
    let pod = pods.by_uid("uid-of-a-pod-with-the-usual-length-007").unwrap();
    assert_eq!(pod.labels.len(), LABELS + 1);
    let each = taken / PODS;
    println!("{each} bytes a pod, of which its own estimate is {}", pod.memory());
    assert!((pod.memory()..4096).contains(&each), "{each} bytes a pod");
}

/// On a thread of its own: what it frees stays in its cache and counts as allocated until it ends.
fn open(count: usize) -> Directory {
    let runtime = tokio::runtime::Handle::current();
    let opening = std::thread::spawn(move || {
        let _entered = runtime.enter();
        read(count)
    });
    opening.join().unwrap()
}

fn read(count: usize) -> Directory {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), list(count)).unwrap();
    let source = Source { feed: Feed::File(file.path().to_owned()), filter: Filter::default(), grace: GRACE };
    let interest = Interest { pod_labels: Keys::all(), ..Interest::default() };
    Directories::default().open(&source, interest, &Metrics::new()).unwrap()
}

fn allocated() -> usize {
    tikv_jemalloc_ctl::epoch::advance().unwrap();
    tikv_jemalloc_ctl::stats::allocated::read().unwrap()
}

fn list(count: usize) -> String {
    let mut text = "items:\n".to_owned();
    for pod in 0..count {
        let labels: String = (0..LABELS).fold(String::new(), |mut labels, label| {
            write!(labels, ", example.com/a-label-of-a-pod-{label:02}: value-of-the-label-{label:02}").unwrap();
            labels
        });
        writeln!(
            text,
            "- metadata: {{name: web-5d9c7b5f6d-{pod:05}, namespace: shop, uid: uid-of-a-pod-with-the-usual-length-{pod:03}, \
             creationTimestamp: '2026-11-22T10:00:00Z', labels: {{pod-template-hash: 5d9c7b5f6d{labels}}}, \
             ownerReferences: [{{kind: ReplicaSet, name: web-5d9c7b5f6d, uid: uid-of-the-replicaset-of-the-pod-here}}]}}\n  \
             spec: {{nodeName: node-a, containers: [{{name: main, image: registry.example.com/shop/web:1.2.3}}, \
             {{name: proxy, image: registry.example.com/mesh/proxy:4.5.6}}]}}\n  \
             status: {{phase: Running, startTime: '2026-11-22T10:00:01Z', hostIP: 192.0.2.1, podIP: 10.1.{}.{}, containerStatuses: \
             [{{name: main, restartCount: 0, containerID: 'containerd://{pod:064}', imageID: 'registry.example.com/shop/web@sha256:{pod:064}'}}]}}",
            pod / 250,
            pod % 250
        )
        .unwrap();
    }
    text
}
