use serde_json::json;

use super::*;
use crate::kubernetes::kept::Keys;

fn seen(pod: serde_json::Value, interest: &Interest) -> Seen {
    let pod: PodManifest = serde_json::from_value(pod).unwrap();
    pod.seen(interest)
}

/// As an API server writes it, with much that is not read.
fn full() -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-5d9c-x", "namespace": "shop", "uid": "u1", "resourceVersion": "4711",
            "creationTimestamp": "2026-11-22T10:00:00Z", "deletionTimestamp": null, "generation": 1,
            "labels": {"app": "web", "pod-template-hash": "5d9c", "tier": "front"},
            "annotations": {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c", "uid": "r1", "controller": true}],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}]
        },
        "spec": {
            "nodeName": "node-a", "hostname": "web", "volumes": [{"name": "v"}],
            "containers": [{"name": "main", "image": "shop/web:1.2", "env": [{"name": "A", "value": "b"}]}],
            "initContainers": [{"name": "setup", "image": "busybox"}]
        },
        "status": {
            "phase": "Running", "startTime": "2026-11-22T10:00:01Z", "podIP": "10.0.0.1", "hostIP": "192.0.2.1",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "hostIPs": [{"ip": "192.0.2.1"}],
            "containerStatuses": [{
                "name": "main", "containerID": "containerd://c2", "imageID": "docker.io/shop/web@sha256:12", "restartCount": 2,
                "lastState": {"terminated": {"containerID": "containerd://c1", "exitCode": 1}}
            }],
            "initContainerStatuses": [{"name": "setup", "containerID": "cri-o://i0", "imageID": "", "restartCount": 0, "lastState": {}}]
        }
    })
}

#[test]
fn what_is_wanted_of_a_pod_is_read_and_the_rest_is_not_kept() {
    let interest = Interest { pod_labels: Keys::exact(["app"]), ..Interest::default() };
    let Seen { pod, version, guess } = seen(full(), &interest);
    assert_eq!((version, guess.as_deref()), (4711, Some("web")));
    assert_eq!((&*pod.name, &*pod.namespace, &*pod.uid), ("web-5d9c-x", "shop", "u1"));
    assert_eq!((pod.node.as_deref(), pod.hostname.as_deref()), (Some("node-a"), Some("web")));
    assert_eq!((&*pod.created, pod.started.as_deref()), ("2026-11-22T10:00:00Z", Some("2026-11-22T10:00:01Z")));
    assert_eq!(pod.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
    assert_eq!(pod.host_addresses.len(), 1);
    assert!(!pod.deleted && !pod.host_network && !pod.ignored);
    assert_eq!(pod.phase, Phase::Running);
    assert_eq!(pod.labels.iter().collect::<Vec<_>>(), [("app", "web")]);
    assert!(pod.annotations.is_empty());
    assert_eq!(&*pod.owners.replicaset.as_ref().unwrap().name, "web-5d9c");
}

#[test]
fn containers_are_known_with_the_life_before_this_one() {
    let pod = seen(full(), &Interest::default()).pod;
    let lives = |container: &Container| -> Vec<(u32, String)> {
        container.instances.iter().map(|life| (life.restart_count, life.id.to_string())).collect()
    };
    let [main, setup] = &*pod.containers else { unreachable!("there are two containers") };
    assert_eq!((&*main.name, &*main.image, main.kind), ("main", "shop/web:1.2", ContainerKind::Main));
    assert_eq!(lives(main), [(2, "c2".to_owned()), (1, "c1".to_owned())]);
    assert_eq!(&*main.instances[0].image_id, "docker.io/shop/web@sha256:12");
    assert_eq!((setup.kind, lives(setup)), (ContainerKind::Init, vec![(0, "i0".to_owned())]));
}

#[test]
fn a_pod_that_has_just_been_made_lacks_almost_everything() {
    let pod = json!({"metadata": {"uid": "u", "labels": null, "creationTimestamp": null}, "spec": {"containers": null}, "status": {"podIPs": null}});
    let Seen { pod, version, guess } = seen(pod, &Interest { pod_labels: Keys::all(), ..Interest::default() });
    assert_eq!((version, guess), (0, None));
    assert_eq!(pod, Pod { uid: "u".into(), ..Pod::default() });
}

#[test]
fn deletion_host_network_and_the_wish_to_be_left_alone_are_seen() {
    let mut pod = full();
    pod["metadata"]["deletionTimestamp"] = "2026-11-22T11:00:00Z".into();
    pod["metadata"]["annotations"] = json!({"opentelemetry.io/k8s-processor.ignore": "true"});
    pod["spec"]["hostNetwork"] = true.into();
    let pod = seen(pod, &Interest::default()).pod;
    assert!(pod.deleted && pod.host_network && pod.ignored);
}

#[test]
fn a_pod_with_twenty_labels_takes_less_than_four_kilobytes() {
    let mut pod = full();
    for number in 0..20 {
        pod["metadata"]["labels"][format!("example.com/some-label-{number}")] =
            format!("some-value-of-a-label-{number}").into();
    }
    let interest = Interest { pod_labels: Keys::all(), pod_annotations: Keys::all(), ..Interest::default() };
    let bytes = seen(pod, &interest).pod.memory();
    assert!((1000..4096).contains(&bytes), "{bytes} bytes");
}

#[test]
fn a_watched_pod_says_its_version_and_where_it_is_found() {
    let pod: WatchedPod = serde_json::from_value(full()).unwrap();
    assert_eq!(pod.meta().resource_version.as_deref(), Some("4711"));
    assert_eq!(WatchedPod::url_path(&(), Some("shop")), "/api/v1/namespaces/shop/pods");
    assert_eq!(WatchedPod::url_path(&(), None), "/api/v1/pods");
}
