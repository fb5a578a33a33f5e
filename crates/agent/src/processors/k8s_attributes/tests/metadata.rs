//! Every attribute that can be added, for pods of each kind.

use super::*;
use crate::kubernetes::Kind;

/// All fields, one resource, one attribute a line.
fn all_of(pod: &Pod) -> String {
    let fields = Field::WORDS.iter().map(|(word, _)| *word).filter(|word| *word != "container.image.tag");
    let yaml = format!("extract: {{metadata: [{}]}}", fields.collect::<Vec<_>>().join(", "));
    let mut lines: Vec<String> =
        added(&yaml, pod, vec![]).iter().map(|entry| show(std::slice::from_ref(entry))).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn every_field_of_a_pod_of_a_deployment() {
    let mut pod = pod(5);
    pod.hostname = Some("web-host".into());
    pod.node_object = Some(Arc::new(object("node-a", "node-uid", &[], &[])));
    pod.owners.deployment = owner("web", "deployment-uid");
    insta::assert_snapshot!(all_of(&pod));
}

#[test]
fn pods_of_each_kind_of_controller() {
    let kinds: [(&str, Owners); 6] = [
        ("bare replica set", Owners { replicaset: owner("bare", "rs-uid"), ..Owners::default() }),
        ("stateful set", Owners { statefulset: owner("db", "sts-uid"), ..Owners::default() }),
        ("daemon set", Owners { daemonset: owner("agent", "ds-uid"), ..Owners::default() }),
        ("job", Owners { job: owner("migrate", "job-uid"), ..Owners::default() }),
        (
            "cron job",
            Owners {
                job: owner("backup-29381234", "job-uid"),
                cronjob: owner("backup", "cronjob-uid"),
                ..Owners::default()
            },
        ),
        ("no controller", Owners::default()),
    ];
    let show = |(name, owners): (&str, Owners)| {
        let mut pod = pod(5);
        pod.owners = owners;
        let all = all_of(&pod);
        let mine = all.lines().filter(|line| {
            ["replicaset", "deployment", "statefulset", "daemonset", "job", "service.name="]
                .iter()
                .any(|word| line.contains(word))
        });
        format!("{name}: {}", mine.collect::<Vec<_>>().join(" "))
    };
    insta::assert_snapshot!(kinds.map(show).join("\n"));
}

#[test]
fn by_default_these_are_added() {
    let scene = Scene::new("{}", vec![pod(5)]);
    assert_eq!(
        scene.show("10.0.0.5", vec![text("service.name", "mine")]),
        "service.name=mine k8s.pod.name=web-5d9c7b5f6d-5 k8s.namespace.name=shop k8s.pod.start_time=2026-11-22T10:00:00Z \
         k8s.pod.uid=uid-5 k8s.deployment.name=web k8s.node.name=node-a container.image.name=ghcr.io/shop/web \
         container.image.tags=[1.2]"
    );
}

#[test]
fn what_the_sender_said_stays_unless_it_is_empty() {
    let scene = Scene::new("extract: {metadata: [k8s.pod.name, k8s.node.name, container.image.tags]}", vec![pod(5)]);
    let sent =
        vec![text("k8s.pod.name", ""), entry("k8s.node.name", Any::IntValue(7)), text("container.image.tags", "")];
    // A list takes the place of nothing, as in the Collector.
    let expected = "k8s.pod.name=web-5d9c7b5f6d-5 k8s.node.name=7 container.image.tags=";
    assert_eq!(scene.show("10.0.0.5", sent), expected);
}

#[test]
fn labels_and_annotations_become_attributes() {
    let mut one = pod(5);
    one.labels = [("app", "web"), ("app.kubernetes.io/part-of", "shop"), ("empty", "")].into_iter().collect();
    one.annotations = [("team", "blue"), ("resource.opentelemetry.io/service.name", "named")].into_iter().collect();
    let check = |rules: &str, expected: &str| {
        let yaml = format!("extract: {{metadata: [k8s.pod.uid], {rules}}}");
        let mut again = pod(5);
        (again.labels, again.annotations) = (one.labels.clone(), one.annotations.clone());
        again.namespace_object = Some(Arc::new(object("shop", "", &[("tier", "gold")], &[("cost", "9")])));
        again.node_object = Some(Arc::new(object("node-a", "node-uid", &[("zone", "z1")], &[])));
        let deployment = object("web", "d-uid", &[("release", "r7")], &[]);
        again.owners.deployment =
            Some(Owner { name: "web".into(), uid: Some("d-uid".into()), object: Some(Arc::new(deployment)) });
        let shown = show(&added(&yaml, &again, vec![]));
        assert_eq!(shown, format!("k8s.pod.uid=uid-5{expected}"), "{rules}");
    };
    check("labels: [{key: app}]", " k8s.pod.label.app=web");
    check("labels: [{key: app, tag_name: application}]", " application=web");
    check("labels: [{key: absent, tag_name: application}]", "");
    check("labels: [{key: empty, tag_name: e}]", " e=");
    check(r"labels: [{key_regex: 'app\.kubernetes\.io/(.*)', tag_name: $1}]", " part-of=shop");
    check(r"labels: [{key_regex: 'app\.kubernetes\.io/(?P<what>.*)', tag_name: 'a.${what}'}]", " a.part-of=shop");
    // Without a group to refer to, the name would be the same for all keys.
    check("labels: [{key_regex: 'app', tag_name: x}]", " k8s.pod.label.app=web");
    check("labels: [{key_regex: 'ap'}, {key_regex: '.*pty'}]", "");
    check("labels: [{key: app, tag_name: x}, {key: app.kubernetes.io/part-of, tag_name: x}]", " x=shop");
    check("annotations: [{key: team}]", " k8s.pod.annotation.team=blue");
    check("annotations: [{key: cost, from: namespace}]", " k8s.namespace.annotation.cost=9");
    check("labels: [{key: tier, from: namespace, tag_name: tier}]", " tier=gold");
    check("labels: [{key: zone, from: node}]", " k8s.node.label.zone=z1");
    check("labels: [{key: release, from: deployment}]", " k8s.deployment.label.release=r7");
    check("otel_annotations: true", " service.name=named");
}

#[test]
fn the_name_of_a_service_is_the_best_that_there_is() {
    let check = |change: &dyn Fn(&mut Pod), expected: &str| {
        let mut pod = pod(5);
        change(&mut pod);
        let yaml = "extract: {metadata: [service.name], otel_annotations: true}";
        assert_eq!(show(&added(yaml, &pod, vec![])), format!("service.name={expected}"));
    };
    check(&|pod| pod.owners = Owners::default(), "web-5d9c7b5f6d-5");
    check(&|pod| pod.owners.deployment = None, "web-5d9c7b5f6d");
    check(&|_| {}, "web");
    let name = ("app.kubernetes.io/name", "by-name");
    check(&|pod| pod.labels = [name].into_iter().collect(), "by-name");
    let instance = ("app.kubernetes.io/instance", "by-instance");
    check(&|pod| pod.labels = [name, instance].into_iter().collect(), "by-instance");
    check(
        &|pod| {
            pod.labels = [name, instance].into_iter().collect();
            pod.annotations = [("resource.opentelemetry.io/service.name", "by-annotation")].into_iter().collect();
        },
        "by-annotation",
    );
}

#[test]
fn the_container_is_the_one_that_the_resource_names() {
    let fields = "k8s.container.name, container.id, container.image.name, container.image.tags, \
                  container.image.repo_digests, service.version, service.instance.id";
    let mut two = pod(5);
    two.containers = Box::new([
        container("app", "shop/web:1.2", &[(0, "old"), (3, "new")]),
        container("sidecar", &format!("proxy@{DIGEST}"), &[(0, "side")]),
    ]);
    let scene = Scene::new(&format!("extract: {{metadata: [{fields}]}}"), vec![two, pod(6)]);
    let check = |peer: &str, sent: Vec<KeyValue>, expected: &str| {
        assert_eq!(scene.show(peer, sent), expected);
    };
    check("10.0.0.5", vec![], "");
    let app = "container.image.name=shop/web container.image.tags=[1.2] \
               service.instance.id=shop.web-5d9c7b5f6d-5.app service.version=1.2";
    let digests = format!("container.image.repo_digests=[ghcr.io/shop/app@{DIGEST}]");
    check(
        "10.0.0.5",
        vec![text("k8s.container.name", "app")],
        &format!("k8s.container.name=app {app} container.id=new {digests}"),
    );
    check(
        "10.0.0.5",
        vec![text("k8s.container.name", "app"), entry("k8s.container.restart_count", Any::IntValue(0))],
        &format!("k8s.container.name=app k8s.container.restart_count=0 {app} container.id=old {digests}"),
    );
    check(
        "10.0.0.5",
        vec![text("k8s.container.name", "app"), text("k8s.container.restart_count", "7")],
        &format!("k8s.container.name=app k8s.container.restart_count=7 {app}"),
    );
    check(
        "10.0.0.5",
        vec![text("container.id", "side")],
        &format!(
            "container.id=side k8s.container.name=sidecar container.image.name=proxy container.image.tags=[latest] \
             service.instance.id=shop.web-5d9c7b5f6d-5.sidecar service.version={DIGEST} \
             container.image.repo_digests=[ghcr.io/shop/sidecar@{DIGEST}]"
        ),
    );
    check("10.0.0.5", vec![text("k8s.container.name", "none")], "k8s.container.name=none");
    // The only one is meant when none is named.
    let only = scene.show("10.0.0.6", vec![]);
    assert!(only.starts_with("k8s.container.name=app") && only.contains("container.id=id-6"), "{only}");
}

#[test]
fn a_container_that_was_added_to_look_at_the_pod_is_not_meant() {
    let mut looked_at = pod(5);
    let mut debugger = container("debugger", "busybox", &[(0, "debug")]);
    debugger.kind = ContainerKind::Ephemeral;
    looked_at.containers = Box::new([container("app", "shop/web", &[(0, "id")]), debugger]);
    let scene = Scene::new("extract: {metadata: [k8s.container.name]}", vec![looked_at]);
    assert_eq!(scene.show("10.0.0.5", vec![]), "k8s.container.name=app");
}

#[test]
fn what_the_resource_names_is_looked_up_also_when_no_pod_is_found() {
    let yaml = "extract:
  metadata: [k8s.node.uid, service.namespace]
  labels: [{key: tier, from: namespace}, {key: zone, from: node}, {key: release, from: statefulset}]";
    let mut other = pod(6);
    other.owners = Owners { statefulset: owner("db", "db-uid"), ..Owners::default() };
    let scene = Scene::new(yaml, vec![other]);
    let put = |kind, namespace: &str, object| scene.directory.put_object_in(kind, namespace, object);
    put(Kind::Namespace, "", object("shop", "", &[("tier", "gold")], &[]));
    put(Kind::Node, "", object("node-a", "node-uid", &[("zone", "z1")], &[]));
    put(Kind::StatefulSet, "shop", object("db", "db-uid", &[("release", "r7")], &[]));
    let sent = vec![
        text("k8s.namespace.name", "shop"),
        text("k8s.node.name", "node-a"),
        text("k8s.statefulset.uid", "db-uid"),
    ];
    assert_eq!(
        scene.show("10.0.0.99", sent),
        "k8s.namespace.name=shop k8s.node.name=node-a k8s.statefulset.uid=db-uid k8s.namespace.label.tier=gold \
         service.namespace=shop k8s.node.label.zone=z1 k8s.node.uid=node-uid k8s.statefulset.label.release=r7"
    );
    assert_eq!(scene.show("10.0.0.99", vec![]), "");
}

#[test]
fn a_pod_that_asks_for_it_or_is_excluded_is_left_alone() {
    let mut ignored = pod(5);
    ignored.ignored = true;
    let mut jaeger = pod(6);
    jaeger.name = "jaeger-agent-x".into();
    let mut noisy = pod(7);
    noisy.name = "very-noisy-pod".into();
    let scene = Scene::new("extract: {metadata: [k8s.pod.uid]}", vec![ignored, jaeger, noisy]);
    assert_eq!(scene.show("10.0.0.5", vec![]), "");
    assert_eq!(scene.show("10.0.0.6", vec![]), "");
    assert_eq!(scene.show("10.0.0.7", vec![]), "k8s.pod.uid=uid-7");
    assert!(scene.processor.enricher.last_misses().is_empty(), "nobody is to look for a mistake");

    let mut jaeger = pod(6);
    jaeger.name = "jaeger-agent-x".into();
    let mut noisy = pod(7);
    noisy.name = "very-noisy-pod".into();
    let scene = Scene::new("extract: {metadata: [k8s.pod.uid]}\nexclude: {pods: [{name: noisy}]}", vec![jaeger, noisy]);
    assert_eq!(scene.show("10.0.0.6", vec![]), "k8s.pod.uid=uid-6", "the list replaces the default");
    assert_eq!(scene.show("10.0.0.7", vec![]), "");
}

#[test]
fn a_pod_that_changes_is_seen_at_once() {
    let scene = Scene::new("extract: {metadata: [k8s.pod.uid], labels: [{key: v, tag_name: v}]}", vec![]);
    for version in ["1", "2"] {
        let mut pod = pod(5);
        pod.labels = [("v", version)].into_iter().collect();
        scene.directory.put(pod);
        assert_eq!(scene.show("10.0.0.5", vec![]), format!("k8s.pod.uid=uid-5 v={version}"));
    }
    scene.directory.delete("uid-5");
    assert_eq!(scene.show("10.0.0.5", vec![]), "");
}

#[test]
fn the_uid_of_the_cluster_is_added_once_it_is_known() {
    let scene = Scene::new("extract: {metadata: [k8s.cluster.uid]}", vec![pod(5)]);
    assert_eq!(scene.show("10.0.0.5", vec![]), "");
    scene.directory.put_cluster_uid("cluster");
    assert_eq!(scene.show("10.0.0.5", vec![]), "k8s.cluster.uid=cluster");
    assert_eq!(scene.show("10.0.0.5", vec![text("k8s.cluster.uid", "own")]), "k8s.cluster.uid=own");
    assert_eq!(scene.show("10.0.0.9", vec![]), "", "no pod of this cluster");
}
