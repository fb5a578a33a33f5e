//! What a pod belongs to: its controllers, and theirs.
//!
//! A pod names only its direct owner. Whose that is follows from names, without watching every ReplicaSet of the cluster;
//! where the owner itself was read, what it says counts and not the name.

use std::sync::Arc;

use jiff::Timestamp;

use super::interest::Kind;
use super::manifest::OwnerReference;
use super::objects::{Known, Objects};
use super::pod::{Owner, Owners, Pod};

/// Minutes since 1970 at the start of 2015, before which no CronJob ran. Dates that people put into names of Jobs
/// (`backup-20261122`) are below it.
const FIRST_CRONJOB: i64 = 23_667_840;

/// How far the clocks of a cluster may be apart, in minutes: a Job is not made before its time.
const CLOCKS_APART: i64 = 24 * 60;

/// The owners that a pod names itself.
pub(super) fn direct(references: &[OwnerReference]) -> Owners {
    let mut owners = Owners::default();
    for reference in references {
        let place = match reference.kind.as_str() {
            "ReplicaSet" => &mut owners.replicaset,
            "StatefulSet" => &mut owners.statefulset,
            "DaemonSet" => &mut owners.daemonset,
            "Job" => &mut owners.job,
            _ => continue,
        };
        let uid = Some(reference.uid.as_str()).filter(|uid| !uid.is_empty());
        *place = Some(Owner { name: reference.name.as_str().into(), uid: uid.map(Into::into), object: None });
    }
    owners
}

/// The name of what owns the owner, as far as names tell.
pub(super) fn guess(owners: &Owners, template_hash: Option<&str>, created: &str) -> Option<Arc<str>> {
    let name = match (&owners.replicaset, &owners.job) {
        (Some(replicaset), _) => deployment(&replicaset.name, template_hash?),
        (None, Some(job)) => cronjob(&job.name, created),
        (None, None) => None,
    };
    name.map(Into::into)
}

/// A Deployment names its ReplicaSets after itself and the hash of their template, which it also writes on the pods as
/// the label `pod-template-hash`. A ReplicaSet of its own has no such label, and those of Argo Rollouts have another.
fn deployment<'a>(replicaset: &'a str, template_hash: &str) -> Option<&'a str> {
    let name = replicaset.strip_suffix(template_hash)?.strip_suffix('-')?;
    (!name.is_empty() && !template_hash.is_empty()).then_some(name)
}

/// A CronJob names its Jobs after itself and the minute they are due, counted from 1970: eight digits until 2160.
fn cronjob<'a>(job: &'a str, created: &str) -> Option<&'a str> {
    let (name, digits) = job.rsplit_once('-')?;
    let is_number = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let minute: i64 = digits.parse().ok().filter(|_| is_number && !name.is_empty())?;
    let latest = created.parse::<Timestamp>().map_or(i64::MAX, |created| created.as_second() / 60 + CLOCKS_APART);
    (FIRST_CRONJOB..=latest).contains(&minute).then_some(name)
}

/// Puts into a pod what is known of its namespace, its node and its owners.
pub(super) fn resolve(pod: &mut Pod, guess: Option<&Arc<str>>, objects: &Objects) {
    pod.namespace_object = objects.get(Kind::Namespace, "", &pod.namespace).map(Known::object);
    let node = pod.node.as_deref().and_then(|node| objects.get(Kind::Node, "", node));
    pod.node_object = node.map(Known::object);
    let namespace = Arc::clone(&pod.namespace);
    let owners = &mut pod.owners;
    let read = |kind: Kind, owner: &mut Option<Owner>| {
        let owner = owner.as_mut()?;
        let same = |known: &&Known| owner.uid.as_ref().is_none_or(|uid| *uid == known.object.uid);
        let known = objects.get(kind, &namespace, &owner.name).filter(same);
        owner.object = known.map(Known::object);
        known
    };
    let above = |known: Option<&Known>, kind: Kind| match known {
        Some(known) => known.owner(kind),
        None => guess.map(|name| Owner { name: Arc::clone(name), uid: None, object: None }),
    };
    read(Kind::StatefulSet, &mut owners.statefulset);
    read(Kind::DaemonSet, &mut owners.daemonset);
    let replicaset = read(Kind::ReplicaSet, &mut owners.replicaset);
    if owners.replicaset.is_some() {
        owners.deployment = above(replicaset, Kind::Deployment);
    }
    let job = read(Kind::Job, &mut owners.job);
    if owners.job.is_some() && owners.replicaset.is_none() {
        owners.cronjob = above(job, Kind::CronJob);
    }
    for (kind, owner) in [(Kind::Deployment, &mut owners.deployment), (Kind::CronJob, &mut owners.cronjob)] {
        let known = read(kind, owner);
        if let (Some(owner), Some(known)) = (owner.as_mut(), known) {
            owner.uid.get_or_insert_with(|| Arc::clone(&known.object.uid));
        }
    }
}

#[cfg(test)]
mod tests;
