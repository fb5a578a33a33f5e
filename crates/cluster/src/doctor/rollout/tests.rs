use serde_json::json;

use crate::doctor::played::{agent_pod, ago, change_pod, find, healthy, ids, parsed, seen};
use crate::snapshot::Snapshot;

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
    assert_eq!(findings[1].title, "the rollout stands still: 0 of 2 agents are new and ready");
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
    assert!(findings[0].remedy[0].command.as_deref().unwrap().contains("\"maxSurge\":0"), "{:?}", findings[0].remedy);
    assert!(findings[1].remedy[1].command.as_deref().unwrap().contains("\"maxSurge\":0"));
}

#[test]
fn a_new_pod_that_is_counted_as_up_to_date_still_holds_it_up() {
    let mut snapshot = healthy();
    rolling(&mut snapshot, 2);
    assert_eq!(find(&snapshot), []);
    waiting(&mut snapshot, "ImagePullBackOff");
    let findings = find(&snapshot);
    assert_eq!(ids(&findings), ["image-pull", "rollout-stuck"]);
    assert_eq!(
        findings[1].evidence,
        [
            "DESIRED 2, CURRENT 2, READY 2, UP-TO-DATE 2, AVAILABLE 2",
            "1 pod of the new ones is in trouble: otel-agent-new"
        ]
    );
    // An old one elsewhere does not wait for it: its own node has none.
    seen(&mut snapshot.agents[0].pods).retain(|pod| pod.name() != "otel-agent-n1");
    assert!(!ids(&find(&snapshot)).contains(&"rollout-stuck"));
    // Of a Deployment it does, wherever it is.
    snapshot.agents[0].controller.kind = "Deployment";
    let status = &mut snapshot.agents[0].controller.status;
    (status.replicas, status.ready_replicas, status.updated_replicas) = (2, 1, 1);
    assert!(ids(&find(&snapshot)).contains(&"rollout-stuck"));
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
