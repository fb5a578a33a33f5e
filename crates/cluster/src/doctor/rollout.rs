//! Family `rollout`: whether the newest agent has come to every node, and if not, what holds it up.

use serde_json::{Value, json};

use super::pods::{WITHOUT_SURGE, without_surge};
use super::seeing::{Seeing, at_each_agent};
use super::trouble::{self, Trouble};
use super::words::{age, count, list, older};
use super::{Check, Context, Family, Finding, Severity};
use crate::snapshot::meta::condition;
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
    evidence: "UP-TO-DATE below DESIRED, or AVAILABLE below DESIRED, with new pods in trouble; `ProgressDeadlineExceeded` of a \
               Deployment.",
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
    means: "Agents run on nodes where none is to run any more; Kubernetes takes them away.",
    evidence: "`status.numberMisscheduled` of the DaemonSet.",
    remedy: "Nothing, unless it lasts.",
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

    /// The pods of the newest revision: those that are labelled as the newest pod is. It takes two revisions to tell.
    fn newest(&self) -> Vec<&Pod> {
        let pods = || self.agent.pods.items().iter().filter(|pod| !pod.is_ending());
        let revision = |pod: &Pod| {
            let labels = &pod.metadata.labels;
            labels.get("controller-revision-hash").or(labels.get("pod-template-hash")).cloned()
        };
        // Times have whole seconds, in which two revisions may be made; DaemonSets number theirs.
        let number = |pod: &Pod| pod.metadata.labels.get("pod-template-generation")?.parse::<u64>().ok();
        let newest = pods().max_by_key(|pod| (number(pod), pod.metadata.creation_timestamp)).and_then(revision);
        pods().filter(|pod| newest.is_some() && revision(pod) == newest).collect()
    }
}

fn stuck(it: &Seeing<'_>) -> Option<Finding> {
    let numbers = it.agent.controller.numbers();
    let behind = numbers.up_to_date < numbers.desired;
    let exceeded = condition(&it.agent.controller.status.conditions, "Progressing")
        .filter(|progressing| progressing.status == "False" && progressing.reason == "ProgressDeadlineExceeded");
    if !behind && exceeded.is_none() {
        return None;
    }
    let new = it.newest();
    let troubled: Vec<(&Pod, Trouble<'_>)> =
        new.iter().filter_map(|pod| Some((*pod, trouble::of(it.agent, pod, it.snapshot.taken)?))).collect();
    // Without a pod of the new kind in trouble it goes on, or none can be made at all, which is told elsewhere.
    if troubled.is_empty() && exceeded.is_none() {
        return None;
    }
    let names: Vec<&str> = troubled.iter().map(|(pod, _)| pod.name()).collect();
    let mut finding = STUCK
        .found(
            it.agent.title(),
            format!("the rollout stands still: {} of {} agents are up to date", numbers.up_to_date, numbers.desired),
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
    (number > 0).then(|| {
        MISPLACED
            .found(it.agent.title(), format!("{} where none is to be", count(number as usize, "agent")))
            .seen(format!("numberMisscheduled is {number}"))
            .because("Its node selector, affinity or tolerations, or the labels or taints of nodes have changed.")
            .advise("Kubernetes takes them away; look again if it lasts.")
    })
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
mod tests {
    use super::*;
    use crate::doctor::played::{agent_pod, ago, change_pod, find, healthy, ids, parsed, seen};

    fn rolling(snapshot: &mut Snapshot, up_to_date: u32) {
        snapshot.agents[0].controller.status.updated_number_scheduled = up_to_date;
        for node in ["n1", "n2"] {
            change_pod(snapshot, node, |pod| {
                pod.metadata.labels.insert("controller-revision-hash".to_owned(), "old".to_owned());
            });
        }
        let mut new = agent_pod("n1");
        new.metadata.name = "otel-agent-new".to_owned();
        new.metadata.creation_timestamp = Some(ago(300).parse().unwrap());
        seen(&mut snapshot.agents[0].pods).push(new);
    }

    fn waiting(snapshot: &mut Snapshot, reason: &str) {
        let new = seen(&mut snapshot.agents[0].pods).last_mut().unwrap();
        new.status.conditions.clear();
        new.status.container_statuses[0].state = parsed(json!({"waiting": {"reason": reason}}));
    }

    #[test]
    fn a_rollout_that_goes_on_is_no_finding() {
        let mut snapshot = healthy();
        rolling(&mut snapshot, 1);
        assert_eq!(find(&snapshot), []);
    }

    #[test]
    fn a_new_agent_in_trouble_holds_it_up() {
        let mut snapshot = healthy();
        rolling(&mut snapshot, 1);
        waiting(&mut snapshot, "ImagePullBackOff");
        let findings = find(&snapshot);
        assert_eq!(ids(&findings), ["image-pull", "rollout-stuck"]);
        assert_eq!(findings[1].title, "the rollout stands still: 1 of 2 agents are up to date");
        let command = findings[1].remedy[0].command.as_deref();
        assert_eq!(command, Some("kubectl --namespace=open-telemetry rollout undo daemonset/otel-agent"));
    }

    #[test]
    fn a_surge_that_does_not_fit_is_told_as_such() {
        let mut snapshot = healthy();
        rolling(&mut snapshot, 1);
        let full = parsed(json!({"cpu": "1100m", "memory": "8Gi", "pods": "110"}));
        seen(&mut snapshot.nodes)[0].status.allocatable = full;
        let new = seen(&mut snapshot.agents[0].pods).last_mut().unwrap();
        new.spec.node_name = String::new();
        new.spec.affinity =
            parsed(json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms":
            [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}}}));
        new.status = parsed(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/2 nodes are available: 1 Insufficient cpu."}]}));
        let findings = find(&snapshot);
        assert_eq!(ids(&findings), ["no-room", "rollout-stuck"]);
        assert_eq!(findings[0].evidence[0], "node n1 has 0 cpu left of 1100m, the agent requests 100m");
        assert!(
            findings[0].remedy[0].command.as_deref().unwrap().contains("\"maxSurge\":0"),
            "{:?}",
            findings[0].remedy
        );
        assert!(findings[1].remedy[1].command.as_deref().unwrap().contains("\"maxSurge\":0"));
    }

    #[test]
    fn other_states_of_a_rollout() {
        let mut snapshot = healthy();
        let controller = &mut snapshot.agents[0].controller;
        controller.spec.update_strategy = parsed(json!({"type": "OnDelete"}));
        controller.status.updated_number_scheduled = 0;
        assert_eq!(ids(&find(&snapshot)), ["rollout-by-hand"]);

        let mut snapshot = healthy();
        snapshot.agents[0].controller.metadata.generation = 2;
        assert_eq!(ids(&find(&snapshot)), ["rollout-not-observed"]);

        let mut snapshot = healthy();
        let controller = &mut snapshot.agents[0].controller;
        let status = &mut controller.status;
        for number in [
            &mut status.desired_number_scheduled,
            &mut status.current_number_scheduled,
            &mut status.number_ready,
            &mut status.updated_number_scheduled,
            &mut status.number_available,
        ] {
            *number = 400;
        }
        controller.spec.update_strategy =
            parsed(json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}));
        assert_eq!(ids(&find(&snapshot)), ["rollout-slow"]);
    }
}
