//! Family `rollout`: whether the newest agent has come to every node, and if not, what holds it up.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::nodes::left_out;
use super::placement::{passes, taint_text};
use super::pods::{WITHOUT_SURGE, without_surge};
use super::seeing::{Seeing, at_each_agent};
use super::trouble::{self, Trouble};
use super::words::{age, count, list, older};
use super::{Check, Context, Family, Finding, Severity};
use crate::snapshot::meta::condition;
use crate::snapshot::nodes::Taint;
use crate::snapshot::pods::Pod;
use crate::snapshot::{Agent, Snapshot};

pub(super) const FAMILY: Family = Family {
    name: "rollout",
    about: "Whether the newest agent has come to every node (UP-TO-DATE), and if not, what holds it up.",
    checks: &[&STUCK, &BY_HAND, &NOT_OBSERVED, &MISPLACED, &SLOW],
    look,
};

static STUCK: Check = Check {
    id: "rollout-stuck",
    severity: Severity::Error,
    means: "A rollout does not go on: a new agent is in trouble, and Kubernetes waits for it before it replaces the others.",
    evidence: "UP-TO-DATE below DESIRED with new pods in trouble, or a new pod in trouble beside an old one; \
               `ProgressDeadlineExceeded` of a Deployment.",
    remedy: "Mend what the new pods suffer from, which is a finding of its own, or go back.",
};

static BY_HAND: Check = Check {
    id: "rollout-by-hand",
    severity: Severity::Warning,
    means: "The update strategy is `OnDelete`: agents stay as old as they are until somebody deletes their pods.",
    evidence: "`updateStrategy.type: OnDelete` and UP-TO-DATE below DESIRED.",
    remedy: "Delete the old pods, or choose `RollingUpdate`.",
};

static NOT_OBSERVED: Check = Check {
    id: "rollout-not-observed",
    severity: Severity::Warning,
    means: "Kubernetes has not looked at the newest change of the DaemonSet: its controllers do not run, or are far behind.",
    evidence: "`status.observedGeneration` is behind `metadata.generation` more than a minute after the newest pod.",
    remedy: "Look at the kube-controller-manager.",
};

static MISPLACED: Check = Check {
    id: "rollout-misplaced",
    severity: Severity::Note,
    means: "Agents run on nodes where none is to run any more. Kubernetes takes them away, or, where it is a taint with `NoSchedule` \
            that came after them, leaves them there until their pods end.",
    evidence: "`status.numberMisscheduled` of the DaemonSet; the taints of the nodes with agents.",
    remedy: "The toleration if there is such a taint; else nothing, unless it lasts.",
};

static SLOW: Check = Check {
    id: "rollout-slow",
    severity: Severity::Note,
    means: "The agents of a large cluster are replaced one after another, which takes hours.",
    evidence: "More than 100 nodes, `maxUnavailable` 1 and no `maxSurge`.",
    remedy: "A percentage.",
};

/// From so many nodes on, one after another takes too long: at 30 s each it is an hour.
const MANY: u32 = 100;

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    at_each_agent(snapshot, context, of_agent)
}

fn of_agent(it: &Seeing<'_>) -> Vec<Finding> {
    [stuck(it), by_hand(it), not_observed(it), misplaced(it), slow(it)].into_iter().flatten().collect()
}

impl Seeing<'_> {
    fn reference(&self) -> String {
        self.agent.controller.reference()
    }

    /// The pods of the newest revision, which are labelled as the newest pod is, and those of others. It takes two revisions to tell.
    fn revisions(&self) -> (Vec<&Pod>, Vec<&Pod>) {
        let pods = || self.agent.pods.items().iter().filter(|pod| !pod.is_ending() && !pod.is_over());
        let revision = |pod: &Pod| {
            let labels = &pod.metadata.labels;
            labels.get("controller-revision-hash").or(labels.get("pod-template-hash")).cloned()
        };
        // Times have whole seconds, in which two revisions may be made; DaemonSets number theirs.
        let number = |pod: &Pod| pod.metadata.labels.get("pod-template-generation")?.parse::<u64>().ok();
        let newest = pods().max_by_key(|pod| (number(pod), pod.metadata.creation_timestamp)).and_then(revision);
        pods().filter(|_| newest.is_some()).partition(|pod| revision(pod) == newest)
    }
}

/// Whether one of the new pods in trouble is there beside an old one, which waits for it. Kubernetes counts a new pod of a Deployment
/// as UP-TO-DATE as soon as it is made, so that its numbers alone do not tell.
fn holds_up(agent: &Agent, troubled: &[(&Pod, Trouble<'_>)], old: &[&Pod]) -> bool {
    let by_node = agent.controller.is_daemon_set();
    troubled.iter().any(|(new, _)| old.iter().any(|old| !by_node || (new.node().is_some() && new.node() == old.node())))
}

fn stuck(it: &Seeing<'_>) -> Option<Finding> {
    let numbers = it.agent.controller.numbers();
    let exceeded = condition(&it.agent.controller.status.conditions, "Progressing")
        .filter(|progressing| progressing.status == "False" && progressing.reason == "ProgressDeadlineExceeded");
    let (new, old) = it.revisions();
    let troubled: Vec<(&Pod, Trouble<'_>)> =
        new.iter().filter_map(|pod| Some((*pod, trouble::of(it.agent, pod, it.snapshot.taken)?))).collect();
    // Without a pod of the new kind in trouble it goes on, or none can be made at all, which is told elsewhere.
    let behind = numbers.up_to_date < numbers.desired && !troubled.is_empty();
    if !behind && !holds_up(it.agent, &troubled, &old) && exceeded.is_none() {
        return None;
    }
    let done =
        if new.is_empty() { numbers.up_to_date as usize } else { new.iter().filter(|pod| pod.is_ready()).count() };
    let names: Vec<&str> = troubled.iter().map(|(pod, _)| pod.name()).collect();
    let mut finding = STUCK
        .found(
            it.agent.title(),
            format!("the rollout stands still: {done} of {} agents are new and ready", numbers.desired),
        )
        .seen(format!(
            "DESIRED {}, CURRENT {}, READY {}, UP-TO-DATE {}, AVAILABLE {}",
            numbers.desired, numbers.current, numbers.ready, numbers.up_to_date, numbers.available
        ));
    if !names.is_empty() {
        let is = if names.len() == 1 { "is" } else { "are" };
        finding =
            finding.seen(format!("{} of the new ones {is} in trouble: {}", count(names.len(), "pod"), list(&names)));
    }
    if let Some(exceeded) = exceeded {
        finding = finding.seen(format!("ProgressDeadlineExceeded: {}", exceeded.message));
    }
    let no_room = troubled.iter().any(|(_, trouble)| matches!(trouble, Trouble::Unschedulable(_)));
    let finding = finding
        .because(
            "Kubernetes goes on when a new agent is ready, so that what is wrong with the new ones does not reach every node. \
             What they suffer from is told in a finding of its own.",
        )
        .mend(it.kubectl(&format!("rollout undo {}", it.reference())), "Goes back to the agent before this change.");
    Some(match no_room && surges(it.agent) {
        true => finding.mend(
            it.kubectl(&format!("patch {} --patch='{}'", it.reference(), without_surge())),
            format!("If there is no room for a second agent on a node. {WITHOUT_SURGE}"),
        ),
        false => finding,
    })
}

fn surges(agent: &Agent) -> bool {
    let rolling = agent.controller.spec.update_strategy.rolling_update.as_ref();
    rolling.is_some_and(|rolling| {
        !matches!(&rolling.max_surge, Value::Null) && rolling.max_surge != 0 && rolling.max_surge != "0%"
    })
}

fn by_hand(it: &Seeing<'_>) -> Option<Finding> {
    let numbers = it.agent.controller.numbers();
    if it.agent.controller.spec.update_strategy.kind != "OnDelete" || numbers.up_to_date >= numbers.desired {
        return None;
    }
    let patch =
        json!({"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}}});
    Some(
        BY_HAND
            .found(
                it.agent.title(),
                format!("{} of {} agents are of an older kind", numbers.desired - numbers.up_to_date, numbers.desired),
            )
            .seen(format!("updateStrategy is OnDelete; UP-TO-DATE is {} of {}", numbers.up_to_date, numbers.desired))
            .because("With OnDelete a change reaches a node when somebody deletes the agent there.")
            .mend(
                it.kubectl(&format!("patch {} --patch='{patch}'", it.reference())),
                "Lets Kubernetes replace them, a tenth at a time.",
            ),
    )
}

fn not_observed(it: &Seeing<'_>) -> Option<Finding> {
    let controller = &it.agent.controller;
    let (seen, newest) = (controller.status.observed_generation, controller.metadata.generation);
    let last = it.agent.pods.items().iter().filter_map(|pod| pod.metadata.creation_timestamp).max();
    let last = last.max(controller.metadata.creation_timestamp);
    if seen >= newest || !older(it.snapshot.taken, last, trouble::STARTING) {
        return None;
    }
    let since =
        last.map(|last| format!("; the last pod was made {} ago", age(it.snapshot.taken, last))).unwrap_or_default();
    Some(
        NOT_OBSERVED
            .found(it.agent.title(), "Kubernetes has not looked at its newest change")
            .seen(format!("generation {newest}, observed {seen}{since}"))
            .because("The kube-controller-manager does not run, or is far behind.")
            .mend(
                format!(
                    "{} --namespace=kube-system get pods --selector=component=kube-controller-manager",
                    it.context.kubectl
                ),
                "Shows whether it runs, where the cluster shows it.",
            ),
    )
}

fn misplaced(it: &Seeing<'_>) -> Option<Finding> {
    let number = it.agent.controller.status.number_misscheduled;
    if number == 0 {
        return None;
    }
    let finding = MISPLACED
        .found(it.agent.title(), format!("{} where none is to be", count(number as usize, "agent")))
        .seen(format!("numberMisscheduled is {number}"));
    let (passing, tainted): (Vec<_>, Vec<_>) = left_out::with_last_agents(it.agent, it.snapshot.nodes.items())
        .into_iter()
        .partition(|(_, taints)| taints.iter().any(passes));
    if tainted.is_empty() && number as usize <= passing.len() {
        return None;
    }
    if tainted.is_empty() {
        return Some(
            finding
                .because("Its node selector, affinity or tolerations, or the labels or taints of nodes have changed.")
                .advise("Kubernetes takes them away; look again if it lasts."),
        );
    }
    let told = tainted.iter().take(3).map(|(node, taints)| {
        let taints: Vec<String> = taints.iter().map(taint_text).collect();
        format!("the agent on {node} does not tolerate its taint {}", taints.join(", "))
    });
    let taints: BTreeSet<Taint> = tainted.iter().flat_map(|(_, taints)| taints.clone()).collect();
    let taints: Vec<Taint> = taints.into_iter().collect();
    Some(left_out::tolerate(
        it.context,
        it.agent,
        &taints,
        finding
            .seen_all(told)
            .because(
                "These agents were there before the taint, and NoSchedule ends nothing that runs: they stay until their pods end, \
                 and no others come.",
            ),
    ))
}

fn slow(it: &Seeing<'_>) -> Option<Finding> {
    let controller = &it.agent.controller;
    let desired = controller.numbers().desired;
    let rolling = controller.spec.update_strategy.rolling_update.as_ref()?;
    let one = rolling.max_unavailable == 1 || rolling.max_unavailable.is_null();
    if !controller.is_daemon_set() || desired <= MANY || !one || surges(it.agent) {
        return None;
    }
    let patch = json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}}}});
    Some(
        SLOW.found(it.agent.title(), format!("{desired} agents are replaced one after another"))
            .seen("maxUnavailable is 1, and there is no maxSurge")
            .because("Each node waits for the one before; at half a minute each that is hours.")
            .mend(it.kubectl(&format!("patch {} --patch='{patch}'", it.reference())), "Replaces a tenth at a time."),
    )
}

#[cfg(test)]
mod tests;
