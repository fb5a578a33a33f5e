//! How the pod is found, and what is said when it is not.

use super::*;

const UID: &str = "extract: {metadata: [k8s.pod.uid]}";

fn check(associations: &str, pods: Vec<Pod>, peer: &str, sent: &[KeyValue], expected: Option<&str>) {
    let yaml = format!("extract: {{metadata: [k8s.pod.uid, k8s.deployment.name]}}\n{associations}");
    let after = Scene::new(&yaml, pods).send(peer, sent.to_vec());
    let found = after.iter().find(|entry| entry.key == "k8s.pod.uid").map(|entry| show(std::slice::from_ref(entry)));
    assert_eq!(
        found.as_deref(),
        expected.map(|uid| format!("k8s.pod.uid={uid}")).as_deref(),
        "{associations} {sent:?}"
    );
}

#[test]
fn without_associations_addresses_are_looked_up_in_the_collectors_order() {
    let check = |peer: &str, sent: Vec<KeyValue>, expected: Option<&str>| {
        check("", vec![pod(5), pod(6), pod(7)], peer, &sent, expected);
    };
    let (ip, old_ip, host) = (text("k8s.pod.ip", "10.0.0.6"), text("ip", "10.0.0.7"), text("host.name", "10.0.0.7"));
    check("10.0.0.5", vec![], Some("uid-5"));
    check("::ffff:10.0.0.5", vec![], Some("uid-5"));
    check("10.0.0.5", vec![old_ip.clone()], Some("uid-7"));
    check("10.0.0.5", vec![old_ip, ip], Some("uid-6"));
    check("10.0.0.5", vec![host.clone()], Some("uid-5"));
    check("", vec![host], Some("uid-7"));
    check("", vec![text("host.name", "some-host")], None);
    check("10.0.0.9", vec![], None);
    // An attribute that leads nowhere does not end the search, as it does in the Collector.
    check("10.0.0.5", vec![text("k8s.pod.ip", "10.9.9.9")], Some("uid-5"));
    check("10.0.0.5", vec![text("k8s.pod.ip", "no address")], Some("uid-5"));
    check("10.0.0.5", vec![entry("k8s.pod.ip", Any::IntValue(6))], Some("uid-5"));
}

#[test]
fn all_sources_of_an_association_must_be_there_and_agree() {
    let by_name = "pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.name}, \
                   {from: resource_attribute, name: k8s.namespace.name}]}]";
    let (name, namespace) = (text("k8s.pod.name", "web-5d9c7b5f6d-5"), text("k8s.namespace.name", "shop"));
    let pods = || vec![pod(5), pod(6)];
    check(by_name, pods(), "10.0.0.6", &[name.clone(), namespace], Some("uid-5"));
    check(by_name, pods(), "10.0.0.6", &[name.clone(), text("k8s.namespace.name", "other")], None);
    check(by_name, pods(), "10.0.0.6", std::slice::from_ref(&name), None);

    let both = "pod_association: [{sources: [{from: connection}, {from: resource_attribute, name: k8s.pod.name}]}]";
    check(both, pods(), "10.0.0.5", std::slice::from_ref(&name), Some("uid-5"));
    check(both, pods(), "10.0.0.6", std::slice::from_ref(&name), None);
    check(both, pods(), "", &[name], None);
}

#[test]
fn each_attribute_finds_its_pod() {
    let by = |name: &str| format!("pod_association: [{{sources: [{{from: resource_attribute, name: {name}}}]}}]");
    let check = |name: &str, value: &str, expected: Option<&str>| {
        let mut other = pod(6);
        other.owners.deployment = owner("other", "other-uid");
        check(&by(name), vec![pod(5), other], "10.0.0.9", &[text(name, value)], expected);
    };
    check("k8s.pod.name", "web-5d9c7b5f6d-6", Some("uid-6"));
    check("k8s.pod.ip", "10.0.0.5", Some("uid-5"));
    check("host.name", "10.0.0.5", Some("uid-5"));
    check("host.name", "host", None);
    check("container.id", "id-6", Some("uid-6"));
    check("container.id", "id", None);
    // Extracted, so that it can be looked for.
    check("k8s.deployment.name", "other", Some("uid-6"));
    check("k8s.deployment.name", "none", None);
    // Found, and already there: it stays.
    check("k8s.pod.uid", "uid-5", Some("uid-5"));
}

#[test]
fn an_association_that_leads_nowhere_is_passed_over() {
    let chain = "pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.ip}]}, \
                 {sources: [{from: connection}]}]";
    check(chain, vec![pod(5), pod(6)], "10.0.0.5", &[text("k8s.pod.ip", "10.0.0.6")], Some("uid-6"));
    check(chain, vec![pod(5), pod(6)], "10.0.0.5", &[text("k8s.pod.ip", "10.0.0.66")], Some("uid-5"));
    check(chain, vec![pod(5), pod(6)], "10.0.0.66", &[text("k8s.pod.ip", "10.0.0.67")], None);
}

#[test]
fn a_pod_on_the_hosts_network_is_never_found_by_its_address() {
    let host = || {
        let mut host = pod(5);
        host.host_network = true;
        host
    };
    check("", vec![host()], "10.0.0.5", &[], None);
    let by_uid = "pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.name}]}]";
    check(by_uid, vec![host()], "10.0.0.5", &[text("k8s.pod.name", "web-5d9c7b5f6d-5")], Some("uid-5"));
    let scene = Scene::new(UID, vec![host()]);
    scene.send("10.0.0.5", vec![]);
    assert_eq!(scene.misses("connection", "host_network"), 1.0);
}

#[test]
fn the_address_is_written_when_it_is_asked_for_also_without_a_pod() {
    let scene = Scene::new("extract: {metadata: [k8s.pod.ip]}", vec![pod(5)]);
    assert_eq!(scene.show("10.0.0.5", vec![]), "k8s.pod.ip=10.0.0.5");
    assert_eq!(scene.show("10.0.0.9", vec![]), "k8s.pod.ip=10.0.0.9");
    assert_eq!(scene.show("10.0.0.9", vec![text("k8s.pod.ip", "10.0.0.8")]), "k8s.pod.ip=10.0.0.8");
    let scene = Scene::new("extract: {metadata: [k8s.pod.uid]}", vec![pod(5)]);
    assert_eq!(scene.show("10.0.0.9", vec![]), "");

    // One that came over IPv6 is said to have come so.
    let mut dual = pod(5);
    dual.addresses.push("fd00::5".parse().unwrap());
    let scene = Scene::new("extract: {metadata: [k8s.pod.ip]}", vec![dual]);
    assert_eq!(scene.show("fd00::5", vec![]), "k8s.pod.ip=fd00::5");
    assert_eq!(scene.show("10.0.0.5", vec![]), "k8s.pod.ip=10.0.0.5");
}

#[test]
fn passing_through_writes_the_address_and_nothing_else() {
    let check = |more: &str, peer: &str, sent: Vec<KeyValue>, expected: &str| {
        let scene = Scene::new(&format!("passthrough: true\n{more}"), vec![]);
        assert!(scene.processor.wait(&batch(peer, sent.clone())).is_none());
        assert_eq!(scene.show(peer, sent), expected);
    };
    check("", "10.0.0.5", vec![], "k8s.pod.ip=10.0.0.5");
    check("", "10.0.0.5", vec![text("k8s.pod.ip", "10.0.0.6")], "k8s.pod.ip=10.0.0.6");
    check("", "10.0.0.5", vec![text("ip", "10.0.0.6")], "ip=10.0.0.6 k8s.pod.ip=10.0.0.6");
    check("", "", vec![], "");
    let by_uid = "pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}, {sources: [{from: connection}]}]";
    check(by_uid, "10.0.0.5", vec![], "k8s.pod.ip=10.0.0.5");
    check(by_uid, "10.0.0.5", vec![text("k8s.pod.uid", "x")], "k8s.pod.uid=x");
}

#[test]
fn what_is_not_found_is_counted_with_the_reason_and_kept() {
    let yaml = "extract: {metadata: [k8s.pod.uid]}
pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}, {sources: [{from: connection}]}]";
    let mut on_host = pod(8);
    on_host.host_addresses = ["192.0.2.11".parse().unwrap()].into_iter().collect();
    let scene = Scene::new(yaml, vec![pod(5), on_host]);
    let connections = [
        ("127.0.0.1", "loopback"),
        ("127.0.0.6", "mesh"),
        ("192.0.2.11", "node"),
        ("10.0.0.1", "bridge"),
        ("10.7.7.7", "unknown"),
    ];
    for (peer, reason) in connections {
        scene.send(peer, vec![]);
        assert_eq!(scene.misses("connection", reason), 1.0, "{peer} {reason}");
    }
    scene.send("10.7.7.7", vec![text("k8s.pod.uid", "none")]);
    assert_eq!(scene.misses("connection", "unknown"), 2.0);
    scene.send("", vec![text("k8s.pod.uid", "none")]);
    assert_eq!(scene.misses("resource_attribute/k8s.pod.uid", "no_such_pod"), 1.0);
    scene.send("", vec![]);
    assert_eq!(scene.misses("none", "no_identifier"), 1.0);
    scene.directory.delete("uid-5");
    scene.send("10.0.0.5", vec![]);
    assert_eq!(scene.misses("connection", "ended"), 1.0);

    let last = scene.processor.enricher.last_misses();
    assert_eq!(last.len(), 9);
    assert_eq!((last[0].peer, last[0].reason.as_str()), (Some([127, 0, 0, 1].into()), "loopback"));
    for _ in 0..100 {
        scene.send("10.7.7.7", vec![]);
    }
    assert_eq!(scene.processor.enricher.last_misses().len(), 50, "only the last ones are kept");
}

#[test]
fn the_collectors_counter_says_how_each_resource_was_looked_for() {
    let scene = Scene::new(UID, vec![pod(5)]);
    scene.send("10.0.0.5", vec![]);
    scene.send("10.0.0.6", vec![]);
    scene.send("", vec![]);
    let count = |status, identifier| {
        let labels = [("status", status), ("pod_identifier", identifier), ("otelcol_signal", "logs")];
        scene.metrics.value(&table::K8S_ASSOCIATION, &labels)
    };
    assert_eq!(count("success", "connection"), Some(1.0));
    assert_eq!(count("error", "connection"), Some(1.0));
    assert_eq!(count("error", ""), Some(1.0));
}

#[test]
fn attributes_that_name_another_pod_than_the_sender_are_believed_and_counted() {
    let yaml = "extract: {metadata: [k8s.pod.name]}
pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}, {sources: [{from: connection}]}]";
    let scene = Scene::new(yaml, vec![pod(5), pod(6)]);
    let mismatches = || scene.metrics.value(&table::K8S_MISMATCHES, &[("processor", "k8s_attributes")]);
    let sent = || vec![text("k8s.pod.uid", "uid-5")];
    assert_eq!(scene.show("10.0.0.5", sent()), "k8s.pod.uid=uid-5 k8s.pod.name=web-5d9c7b5f6d-5");
    assert_eq!(mismatches(), Some(0.0));
    assert_eq!(scene.show("10.0.0.6", sent()), "k8s.pod.uid=uid-5 k8s.pod.name=web-5d9c7b5f6d-5");
    assert_eq!(mismatches(), Some(1.0));
    scene.send("10.7.7.7", sent());
    assert_eq!(mismatches(), Some(1.0), "that is no pod of this node");
}
