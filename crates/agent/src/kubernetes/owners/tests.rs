use super::*;
use crate::kubernetes::interest::ObjectInterest;
use crate::kubernetes::manifest::ObjectManifest;
use crate::kubernetes::objects::Key;

/// Names in the order replicaset, deployment, statefulset, daemonset, job, cronjob.
type Names<'a> = [Option<&'a str>; 6];

fn names(owners: &Owners) -> Names<'_> {
    let owners =
        [&owners.replicaset, &owners.deployment, &owners.statefulset, &owners.daemonset, &owners.job, &owners.cronjob];
    owners.map(|owner| owner.as_ref().map(|owner| &*owner.name))
}

fn pod(kind: &str, name: &str, hash: Option<&str>) -> (Pod, Option<Arc<str>>) {
    let reference = OwnerReference { kind: kind.into(), name: name.into(), uid: "owner".into() };
    let owners = direct(&[reference]);
    let created = "2026-11-22T10:00:00Z";
    let guess = guess(&owners, hash, created);
    (Pod { namespace: "shop".into(), created: created.into(), owners, ..Pod::default() }, guess)
}

#[test]
fn each_kind_of_controller_gives_its_names_and_no_others() {
    #[track_caller]
    fn check(kind: &str, name: &str, hash: Option<&str>, expected: Names<'_>) {
        let (mut pod, guess) = pod(kind, name, hash);
        resolve(&mut pod, guess.as_ref(), &Objects::default());
        assert_eq!(names(&pod.owners), expected, "{kind} {name}");
    }
    let none = None;
    // A Deployment's ReplicaSet, a bare one, one whose name only looks like it, and one of Argo Rollouts, whose pods have
    // the label rollouts-pod-template-hash instead.
    let web = Some("web-5d9c7b5f6d");
    check("ReplicaSet", "web-5d9c7b5f6d", Some("5d9c7b5f6d"), [web, Some("web"), none, none, none, none]);
    check("ReplicaSet", "web-5d9c7b5f6d", None, [web, none, none, none, none, none]);
    check("ReplicaSet", "web-5d9c7b5f6d", Some("otherhash1"), [web, none, none, none, none, none]);
    check("ReplicaSet", "web-5d9c7b5f6d", Some(""), [web, none, none, none, none, none]);
    check("ReplicaSet", "5d9c7b5f6d", Some("5d9c7b5f6d"), [Some("5d9c7b5f6d"), none, none, none, none, none]);
    check("ReplicaSet", "web5d9c", Some("5d9c"), [Some("web5d9c"), none, none, none, none, none]);
    check("ReplicaSet", "a-b-7d", Some("7d"), [Some("a-b-7d"), Some("a-b"), none, none, none, none]);
    check("StatefulSet", "db", None, [none, none, Some("db"), none, none, none]);
    check("DaemonSet", "logs", Some("5d9c"), [none, none, none, Some("logs"), none, none]);
    // 29 931 240 minutes after 1970 it is 2026-11-27.
    let job = |name| [none, none, none, none, Some(name), none];
    let of_cronjob = |name, cronjob| [none, none, none, none, Some(name), Some(cronjob)];
    check("Job", "backup-29920000", None, of_cronjob("backup-29920000", "backup"));
    check("Job", "a-b-29920000", None, of_cronjob("a-b-29920000", "a-b"));
    check("Job", "backup", None, job("backup"));
    check("Job", "import-2024", None, job("import-2024"));
    check("Job", "backup-20261122", None, job("backup-20261122"));
    check("Job", "backup-99999999", None, job("backup-99999999"));
    check("Job", "backup-+2992000", None, job("backup-+2992000"));
    check("Job", "-29920000", None, job("-29920000"));
    check("Node", "node-a", None, [none; 6]);
    check("Rollout", "web", None, [none; 6]);
}

fn known(uid: &str, owners: &[(&str, &str, &str)]) -> Known {
    let owners: Vec<_> =
        owners.iter().map(|(kind, name, uid)| serde_json::json!({"kind": kind, "name": name, "uid": uid})).collect();
    let object = serde_json::json!({"metadata": {"name": "x", "uid": uid, "ownerReferences": owners}});
    let ObjectManifest { metadata }: ObjectManifest = serde_json::from_value(object).unwrap();
    Known::new(metadata, &ObjectInterest::default())
}

fn key(kind: Kind, name: &str) -> Key {
    let namespace = if kind.is_namespaced() { "shop" } else { "" };
    Key { kind, namespace: namespace.into(), name: name.into() }
}

#[test]
fn what_an_owner_says_of_itself_counts_more_than_its_name() {
    let mut objects = Objects::default();
    objects.set(&key(Kind::ReplicaSet, "web-5d9c"), Some(known("owner", &[("Deployment", "web-cut-short", "d1")])));
    let (mut pod, guess) = pod("ReplicaSet", "web-5d9c", Some("5d9c"));
    resolve(&mut pod, guess.as_ref(), &objects);
    let deployment = pod.owners.deployment.as_ref().unwrap();
    assert_eq!((&*deployment.name, deployment.uid.as_deref()), ("web-cut-short", Some("d1")));
    // Its own word, also when it is that nobody owns it.
    objects.set(&key(Kind::ReplicaSet, "web-5d9c"), Some(known("owner", &[("Rollout", "web", "r1")])));
    resolve(&mut pod, guess.as_ref(), &objects);
    assert_eq!(pod.owners.deployment, None);
    // Another ReplicaSet of the same name says nothing of this one.
    objects.set(&key(Kind::ReplicaSet, "web-5d9c"), Some(known("another", &[("Deployment", "other", "d2")])));
    resolve(&mut pod, guess.as_ref(), &objects);
    let deployment = pod.owners.deployment.as_ref().unwrap();
    assert_eq!((&*deployment.name, &deployment.uid), ("web", &None));
}

#[test]
fn a_job_that_was_read_tells_its_cronjob_whatever_its_name() {
    let mut objects = Objects::default();
    objects.set(&key(Kind::Job, "by-hand"), Some(known("owner", &[("CronJob", "backup", "c1")])));
    let (mut pod, guess) = pod("Job", "by-hand", None);
    resolve(&mut pod, guess.as_ref(), &objects);
    assert_eq!(pod.owners.cronjob.as_ref().unwrap().uid.as_deref(), Some("c1"));
    objects.set(&key(Kind::Job, "by-hand"), None);
    resolve(&mut pod, guess.as_ref(), &objects);
    assert_eq!(pod.owners.cronjob, None);
}

#[test]
fn a_deployment_that_was_read_completes_the_one_known_by_name() {
    let mut objects = Objects::default();
    objects.set(&key(Kind::Deployment, "web"), Some(known("d1", &[])));
    objects.set(&key(Kind::Namespace, "shop"), Some(known("n1", &[])));
    let (mut pod, guess) = pod("ReplicaSet", "web-5d9c", Some("5d9c"));
    resolve(&mut pod, guess.as_ref(), &objects);
    let deployment = pod.owners.deployment.as_ref().unwrap();
    assert_eq!(deployment.uid.as_deref(), Some("d1"));
    assert!(deployment.object.is_some());
    assert_eq!(&*pod.namespace_object.as_ref().unwrap().uid, "n1");
}
