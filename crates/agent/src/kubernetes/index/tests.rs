//! Cases by hand, and the index against a simple model of a node on which addresses are used again and again.

mod model;

use smallvec::smallvec;

use super::*;
use crate::kubernetes::pod::{Container, ContainerKind, Instance, Phase};

fn pod(uid: &str, address: &str) -> Pod {
    Pod {
        uid: uid.into(),
        name: format!("pod-{uid}").into(),
        namespace: "shop".into(),
        addresses: address.split(' ').filter_map(address::parse).collect(),
        phase: Phase::Running,
        ..Pod::default()
    }
}

fn seen(version: u64, pod: Pod) -> Seen {
    Seen { pod, version, guess: None }
}

fn index() -> Index {
    Index::new(Duration::from_mins(2))
}

#[track_caller]
fn check(index: &Index, address: &str, expected: Option<&str>) {
    let found = index.by_address(address.parse().unwrap());
    assert_eq!(found.map(|pod| &*pod.uid), expected, "{address}");
}

#[test]
fn every_address_of_a_pod_finds_it_in_either_clothes() {
    let mut index = index();
    index.see(seen(1, pod("a", "10.0.0.1 fd00::1")));
    check(&index, "10.0.0.1", Some("a"));
    check(&index, "::ffff:10.0.0.1", Some("a"));
    check(&index, "fd00::1", Some("a"));
    check(&index, "10.0.0.2", None);
    index.see(seen(2, pod("a", "10.0.0.2")));
    check(&index, "10.0.0.1", None);
    check(&index, "10.0.0.2", Some("a"));
}

#[test]
fn the_newest_owner_wins_at_once_and_a_late_delete_of_the_old_one_leaves_it() {
    let mut index = index();
    index.see(seen(1, pod("old", "10.0.0.1")));
    index.see(seen(2, pod("new", "10.0.0.1")));
    check(&index, "10.0.0.1", Some("new"));
    index.see(seen(3, Pod { deleted: true, ..pod("old", "10.0.0.1") }));
    check(&index, "10.0.0.1", Some("new"));
    index.delete("old", 0, Instant::now());
    check(&index, "10.0.0.1", Some("new"));
    index.sweep(Instant::now() + Duration::from_mins(3));
    check(&index, "10.0.0.1", Some("new"));
}

#[test]
fn a_pod_that_is_about_to_end_keeps_its_address_until_somebody_claims_it() {
    let mut index = index();
    index.see(seen(1, Pod { deleted: true, ..pod("old", "10.0.0.1") }));
    check(&index, "10.0.0.1", Some("old"));
    index.see(seen(2, pod("new", "10.0.0.1")));
    check(&index, "10.0.0.1", Some("new"));
    // Also in the other order, as in a list.
    let mut index = self::index();
    index.see(seen(2, pod("new", "10.0.0.1")));
    index.see(seen(3, Pod { deleted: true, ..pod("old", "10.0.0.1") }));
    check(&index, "10.0.0.1", Some("new"));
}

#[test]
fn a_pod_that_is_over_has_no_address() {
    for phase in [Phase::Succeeded, Phase::Failed] {
        let mut index = index();
        index.see(seen(1, pod("a", "10.0.0.1")));
        index.see(seen(2, Pod { phase, ..pod("a", "10.0.0.1") }));
        check(&index, "10.0.0.1", None);
        assert_eq!(index.class_of("10.0.0.1".parse().unwrap()), AddressClass::Ended);
        assert!(index.by_uid("a").is_some());
    }
}

#[test]
fn pods_on_the_hosts_network_are_found_by_all_but_their_address() {
    let mut index = index();
    let host =
        Pod { host_network: true, host_addresses: smallvec!["192.0.2.1".parse().unwrap()], ..pod("host", "192.0.2.1") };
    index.see(seen(1, host));
    check(&index, "192.0.2.1", None);
    assert_eq!(index.class_of("192.0.2.1".parse().unwrap()), AddressClass::HostNetwork);
    assert!(index.by_name("shop", "pod-host").is_some());
    index.delete("host", 0, Instant::now());
    assert_eq!(index.class_of("192.0.2.1".parse().unwrap()), AddressClass::Unknown);
}

#[test]
fn addresses_that_are_no_pods_have_a_class() {
    let mut index = index();
    let here = Pod { host_addresses: smallvec!["192.0.2.1".parse().unwrap()], ..pod("a", "10.244.1.17") };
    index.see(seen(1, here));
    let class = |text: &str| index.class_of(text.parse().unwrap());
    assert_eq!(class("10.244.1.17"), AddressClass::Pod);
    assert_eq!(class("192.0.2.1"), AddressClass::Node);
    assert_eq!(class("10.244.1.1"), AddressClass::Bridge);
    assert_eq!(class("10.244.2.1"), AddressClass::Unknown);
    assert_eq!(class("127.0.0.1"), AddressClass::Loopback);
    assert_eq!(class("127.0.0.6"), AddressClass::Mesh);
}

#[test]
fn an_ended_pod_is_found_by_uid_container_and_name_for_a_while_but_not_by_address() {
    let mut index = index();
    let (start, mut pod) = (Instant::now(), pod("a", "10.0.0.1"));
    pod.containers = [container(&["c1", "c0"])].into();
    index.see(seen(1, pod));
    index.delete("a", 0, start);
    let found = |index: &Index| {
        [index.by_uid("a"), index.by_container("c1"), index.by_container("c0"), index.by_name("shop", "pod-a")]
            .map(|found| found.is_some())
    };
    check(&index, "10.0.0.1", None);
    index.sweep(start + Duration::from_secs(119));
    assert_eq!(found(&index), [true; 4]);
    assert_eq!(index.len(), 0);
    index.sweep(start + Duration::from_secs(120));
    assert_eq!(found(&index), [false; 4]);
    assert_eq!(index.class_of("10.0.0.1".parse().unwrap()), AddressClass::Unknown);
}

fn container(ids: &[&str]) -> Container {
    let instance = |id: &&str| Instance { restart_count: 0, id: (*id).into(), image_id: Arc::default() };
    Container {
        name: "main".into(),
        image: "image".into(),
        kind: ContainerKind::Main,
        instances: ids.iter().map(instance).collect(),
    }
}

#[test]
fn a_name_that_is_used_again_finds_the_pod_that_has_it_now() {
    let mut index = index();
    let named = |uid: &str, created: &str| Pod { name: "db-0".into(), created: created.into(), ..pod(uid, "") };
    index.see(seen(1, named("old", "2026-11-01T00:00:00Z")));
    index.delete("old", 0, Instant::now());
    assert_eq!(&*index.by_name("shop", "db-0").unwrap().uid, "old");
    index.see(seen(2, named("new", "2026-11-02T00:00:00Z")));
    assert_eq!(&*index.by_name("shop", "db-0").unwrap().uid, "new");
    assert!(index.by_name("other", "db-0").is_none());
    assert_eq!(&*index.find(&|pod| &*pod.name == "db-0").unwrap().uid, "new");
}

#[test]
fn what_is_older_than_what_was_seen_is_left_and_the_deleted_do_not_come_back() {
    let mut index = index();
    index.see(seen(5, pod("a", "10.0.0.2")));
    assert!(!index.see(seen(4, pod("a", "10.0.0.1"))).any());
    check(&index, "10.0.0.1", None);
    assert!(!index.see(seen(4, pod("never-seen", "10.0.0.1"))).any());
    index.delete("a", 7, Instant::now());
    assert!(!index.see(seen(6, pod("a", "10.0.0.1"))).any());
    check(&index, "10.0.0.1", None);
    // An old list is not given to the index; a new one tells what there is.
    assert_eq!(index.horizon(), 7);
    assert!(index.see_all(vec![seen(4, pod("b", "10.0.0.1"))], 8, Instant::now()).any());
    check(&index, "10.0.0.1", Some("b"));
    assert!(!index.delete("b", 8, Instant::now()).any(), "it was deleted before the list was made, and made again");
}

#[test]
fn a_pod_that_a_list_lacked_comes_back_with_one_that_has_it() {
    let mut index = index();
    index.see(seen(5, pod("a", "10.0.0.1")));
    assert_eq!(index.see_all(Vec::new(), 0, Instant::now()), Changes { ended: 1, ..Changes::default() });
    check(&index, "10.0.0.1", None);
    assert!(index.by_uid("a").is_some());
    let back = index.see_all(vec![seen(5, pod("a", "10.0.0.1"))], 0, Instant::now());
    assert_eq!(back, Changes { added: 1, ..Changes::default() });
    check(&index, "10.0.0.1", Some("a"));
}

#[test]
fn a_server_that_counts_anew_is_believed_once_its_versions_are_forgotten() {
    let mut index = index();
    index.see(seen(500, pod("a", "10.0.0.1")));
    assert!(!index.see(seen(7, pod("a", "10.0.0.2"))).any());
    index.forget_versions();
    assert!(index.see(seen(7, pod("a", "10.0.0.2"))).any());
    check(&index, "10.0.0.2", Some("a"));
}

#[test]
fn a_pod_that_did_not_change_stays_the_same_with_what_was_made_for_it() {
    let mut index = index();
    index.see(seen(1, pod("a", "10.0.0.1")));
    let before = Arc::clone(index.by_uid("a").unwrap());
    assert!(!index.see(seen(2, pod("a", "10.0.0.1"))).any());
    assert!(!index.see_all(vec![seen(3, pod("a", "10.0.0.1"))], 3, Instant::now()).any());
    assert!(Arc::ptr_eq(&before, index.by_uid("a").unwrap()));
}

#[test]
fn of_two_pods_of_one_list_the_one_that_started_last_has_the_address() {
    let started = |uid: &str, at: &str| Pod { started: Some(at.into()), ..pod(uid, "10.0.0.1") };
    let (first, second) = (|| started("a", "2026-11-22T10:00:00Z"), || started("b", "2026-11-22T11:00:00Z"));
    for list in [vec![seen(1, first()), seen(1, second())], vec![seen(1, second()), seen(1, first())]] {
        let mut index = index();
        index.see_all(list, 1, Instant::now());
        check(&index, "10.0.0.1", Some("b"));
        index.delete("b", 0, Instant::now());
        check(&index, "10.0.0.1", Some("a"));
    }
}
