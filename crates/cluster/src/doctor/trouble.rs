//! What is the matter with a pod of the agent, as far as its status and the events about it tell. Several families ask.

use jiff::Timestamp;

use super::words::older;
use crate::snapshot::Agent;
use crate::snapshot::events::Event;
use crate::snapshot::meta::condition;
use crate::snapshot::pods::{ContainerStatus, Pod, Terminated, Waiting};

/// An agent is ready within a second or two; what takes longer than this after the start is trouble.
pub(super) const STARTING: i64 = 60;

/// What happened longer ago than this is history.
pub(super) const RECENT: i64 = 20 * 60;

/// So many restarts in a short time are no accident.
const RESTARTS: u32 = 3;

/// What is the matter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble<'a> {
    /// No node takes it: what the scheduler says.
    Unschedulable(&'a str),
    /// Its image does not come.
    Image(&'a ContainerStatus, &'a Waiting),
    /// The container cannot be made.
    Container(&'a Waiting),
    /// What it mounts is not there.
    Volume(&'a Event),
    /// It was killed for its memory.
    OutOfMemory(&'a ContainerStatus, &'a Terminated),
    /// The kubelet ended it, since it did not answer the liveness probe.
    Liveness(&'a Event),
    /// It ends again and again.
    Crash(&'a ContainerStatus, &'a Terminated),
    /// Its node ended it for want of something.
    Evicted,
    /// It runs and does not become ready.
    NotReady,
}

/// What is the matter with this pod; none if nothing is, or it is just starting or ending.
pub(super) fn of<'a>(agent: &'a Agent, pod: &'a Pod, now: Timestamp) -> Option<Trouble<'a>> {
    if pod.status.phase == "Failed" {
        return (pod.status.reason == "Evicted").then_some(Trouble::Evicted);
    }
    if pod.is_over() || pod.is_ending() {
        return None;
    }
    let scheduled = condition(&pod.status.conditions, "PodScheduled");
    if let Some(refused) =
        scheduled.filter(|scheduled| scheduled.status == "False" && scheduled.reason == "Unschedulable")
    {
        return Some(Trouble::Unschedulable(&refused.message));
    }
    let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
    let of_a_container = statuses.clone().find_map(|status| of_container(agent, pod, status, now));
    of_a_container.or_else(|| volume(agent, pod, now)).or_else(|| {
        let since = condition(&pod.status.conditions, "Ready").and_then(|ready| ready.last_transition_time);
        let since = since.max(pod.status.start_time);
        let runs = statuses.clone().any(|status| status.state.running.is_some());
        (runs && !pod.is_ready() && older(now, since, STARTING)).then_some(Trouble::NotReady)
    })
}

fn of_container<'a>(agent: &'a Agent, pod: &Pod, status: &'a ContainerStatus, now: Timestamp) -> Option<Trouble<'a>> {
    let waiting = status.state.waiting.as_ref();
    let reason = waiting.map(|waiting| waiting.reason.as_str()).unwrap_or_default();
    match (reason, waiting) {
        (
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable",
            Some(waiting),
        ) => {
            return Some(Trouble::Image(status, waiting));
        }
        ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError", Some(waiting)) => {
            return Some(Trouble::Container(waiting));
        }
        _ => {}
    }
    let ended = status.state.terminated.as_ref().or(status.last_state.terminated.as_ref())?;
    let recent = !older(now, ended.finished_at, RECENT);
    if ended.reason == "OOMKilled" && (recent || reason == "CrashLoopBackOff") {
        return Some(Trouble::OutOfMemory(status, ended));
    }
    let again = reason == "CrashLoopBackOff" || (recent && status.restart_count >= RESTARTS);
    again.then(|| killed(agent, pod, now).map_or(Trouble::Crash(status, ended), Trouble::Liveness))
}

/// The failing liveness or startup probe for which the kubelet ended a container of this pod.
fn killed<'a>(agent: &'a Agent, pod: &Pod, now: Timestamp) -> Option<&'a Event> {
    let mut events =
        agent.events.items().iter().filter(|event| is_about(event, pod) && !older(now, event.last(), RECENT));
    let ended = events.clone().any(|event| event.reason == "Killing" && event.message.contains("probe"));
    let fails = |event: &&Event| {
        let message = event.message.to_lowercase();
        event.reason == "Unhealthy" && (message.starts_with("liveness") || message.starts_with("startup"))
    };
    if ended { events.find(fails) } else { None }
}

/// An event is about a pod of this name, and of this life of it.
pub(super) fn is_about(event: &Event, pod: &Pod) -> bool {
    let involved = &event.involved_object;
    involved.kind == "Pod"
        && involved.name == pod.metadata.name
        && (involved.uid.is_empty() || pod.metadata.uid.is_empty() || involved.uid == pod.metadata.uid)
}

fn volume<'a>(agent: &'a Agent, pod: &Pod, now: Timestamp) -> Option<Trouble<'a>> {
    let statuses = &pod.status.container_statuses;
    let creating = statuses.iter().all(|status| status.state.running.is_none());
    let about = agent.events.items().iter().filter(|event| is_about(event, pod) && !older(now, event.last(), RECENT));
    let mut failed = about.filter(|event| matches!(event.reason.as_str(), "FailedMount" | "FailedAttachVolume"));
    if creating && !pod.is_ready() { failed.next().map(Trouble::Volume) } else { None }
}
