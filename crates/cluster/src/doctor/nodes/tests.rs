use serde_json::json;

use crate::doctor::played::{application, change_pod, find, find_with, healthy, ids, node, parsed, remove_pod, seen};
use crate::doctor::{Severity, Understood};
use crate::snapshot::nodes::Node;
use crate::snapshot::{Seen, Snapshot, Unseen};

fn tainted(snapshot: &mut Snapshot) {
    let node: Node = parsed(json!({
        "metadata": {"name": "n3"},
        "spec": {"taints": [{"key": "gpu", "value": "only", "effect": "NoSchedule"}]},
    }));
    seen(&mut snapshot.nodes).push(node);
}

#[test]
fn nothing_is_wrong_with_a_healthy_cluster() {
    assert_eq!(find(&healthy()), []);
}

#[test]
fn a_taint_is_named_with_the_toleration_to_add() {
    let mut snapshot = healthy();
    tainted(&mut snapshot);
    let findings = find(&snapshot);
    assert_eq!(ids(&findings), ["node-taint"]);
    assert_eq!(findings[0].subject, "node n3");
    assert_eq!(
        findings[0].remedy[0].command.as_deref().unwrap(),
        "kubectl --namespace=open-telemetry patch daemonset/otel-agent --type=json --patch='[{\"op\":\"add\",\
         \"path\":\"/spec/template/spec/tolerations\",\"value\":[{\"key\":\"gpu\",\"operator\":\"Equal\",\
         \"value\":\"only\",\"effect\":\"NoSchedule\"}]}]'"
    );
}

#[test]
fn an_agent_that_was_there_before_the_taint_is_the_last_one() {
    let with = |key: &str, effect: &str| {
        let mut snapshot = healthy();
        seen(&mut snapshot.nodes)[0].spec.taints = parsed(json!([{"key": key, "effect": effect}]));
        seen(&mut snapshot.nodes).push(parsed(json!({
            "metadata": {"name": "n3"}, "spec": {"taints": [{"key": key, "effect": effect}]},
        })));
        snapshot.agents[0].controller.status.number_misscheduled = 1;
        find(&snapshot)
    };
    let found = with("team", "NoSchedule");
    assert_eq!(ids(&found), ["node-taint", "node-taint", "rollout-misplaced"]);
    let told = |index: usize| (found[index].subject.as_str(), found[index].title.as_str());
    assert_eq!(told(0), ("node n3", "1 node has no agent because of a taint"));
    assert_eq!(told(1), ("node n1", "1 node has the last agent because of a taint"));
    assert!(found[1].cause.contains("none is made in its place"), "{}", found[1].cause);
    assert_eq!(
        found[2].evidence,
        ["numberMisscheduled is 1", "the agent on n1 does not tolerate its taint team:NoSchedule"]
    );
    assert!(found[2].cause.contains("NoSchedule ends nothing that runs"), "{}", found[2].cause);
    assert_eq!(found[2].remedy, found[1].remedy);
    // Whom NoExecute is for is ended.
    assert_eq!(with("team", "NoExecute")[0].subject, "nodes n1, n3");
    // Nodes come and go.
    assert_eq!(with("ToBeDeletedByClusterAutoscaler", "NoSchedule"), []);
}

#[test]
fn applications_on_a_node_without_an_agent_lose_their_data() {
    let mut snapshot = healthy();
    tainted(&mut snapshot);
    seen(&mut snapshot.pods).push(application("gpu-job", "n3"));
    let findings = find(&snapshot);
    assert_eq!(ids(&findings), ["node-taint", "node-unserved"]);
    assert_eq!(findings[1].severity, Severity::Error);
    assert!(findings[1].evidence[0].contains("n3 (1 pod)"), "{:?}", findings[1].evidence);
}

#[test]
fn an_agent_that_is_not_ready_serves_nobody() {
    let mut snapshot = healthy();
    change_pod(&mut snapshot, "n2", |pod| pod.status.conditions.clear());
    assert!(ids(&find(&snapshot)).contains(&"node-unserved"));
    // One that was made a moment ago is starting.
    let mut snapshot = healthy();
    change_pod(&mut snapshot, "n2", |pod| {
        pod.status.conditions.clear();
        pod.metadata.creation_timestamp = Some("2026-11-01T11:59:50Z".parse().unwrap());
        pod.status.start_time = pod.metadata.creation_timestamp;
    });
    assert!(!ids(&find(&snapshot)).contains(&"node-unserved"));
}

#[test]
fn nodes_that_a_selector_leaves_out_are_a_note_unless_something_there_sends() {
    let mut snapshot = healthy();
    snapshot.agents[0].controller.spec.template.spec.node_selector = [("pool".to_owned(), "apps".to_owned())].into();
    for node in seen(&mut snapshot.nodes).iter_mut().take(1) {
        node.metadata.labels.insert("pool".to_owned(), "apps".to_owned());
    }
    remove_pod(&mut snapshot, "n2");
    let findings = find(&snapshot);
    assert_eq!(ids(&findings), ["node-selector"]);
    assert_eq!(findings[0].severity, Severity::Note);
    assert_eq!(findings[0].remedy[0].command.as_deref(), Some("kubectl label nodes n2 --overwrite pool=apps"));

    let mut sender = application("sender", "n2");
    sender.spec.containers[0].env = vec![parsed(json!({
        "name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel-agent.open-telemetry.svc:4318",
    }))];
    seen(&mut snapshot.pods).push(sender);
    let findings = find(&snapshot);
    assert_eq!(ids(&findings), ["node-selector", "node-unserved"]);
    assert_eq!(findings[0].severity, Severity::Warning);
    assert!(findings[1].evidence[0].contains("n2 (1 pod)"), "the other one does not send: {:?}", findings[1].evidence);
}

#[test]
fn cordoned_nodes_are_fine_and_virtual_ones_only_noted() {
    let mut snapshot = healthy();
    seen(&mut snapshot.nodes)[0].spec.unschedulable = true;
    let cordon = json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
    seen(&mut snapshot.nodes)[0].spec.taints = parsed(cordon);
    assert_eq!(find(&snapshot), []);
    let mut fargate = node("fargate-1");
    fargate.metadata.labels.insert("eks.amazonaws.com/compute-type".to_owned(), "fargate".to_owned());
    seen(&mut snapshot.nodes).push(fargate);
    let findings = find(&snapshot);
    assert_eq!(ids(&findings), ["node-foreign"]);
    assert_eq!(findings[0].severity, Severity::Note);
}

#[test]
fn without_an_agent_it_is_said_how_to_install_one_but_only_if_all_was_seen() {
    let mut snapshot = Snapshot { agents: Vec::new(), daemon_sets: Seen::default(), ..healthy() };
    let findings = find(&snapshot);
    assert_eq!(ids(&findings), ["agent-missing"]);
    snapshot.daemon_sets = Seen::Part(Vec::new(), Unseen::default());
    assert_eq!(find(&snapshot), []);
    snapshot.options.namespace = Some("monitoring".to_owned());
    let findings = find(&snapshot);
    assert_eq!(findings[0].title, "There is no agent in namespace monitoring");
}

#[test]
fn what_was_not_seen_is_no_reason_for_a_finding() {
    let mut snapshot = healthy();
    tainted(&mut snapshot);
    seen(&mut snapshot.pods).push(application("gpu-job", "n3"));
    snapshot.pods = Seen::Unseen(Unseen::default());
    assert_eq!(ids(&find(&snapshot)), ["node-taint"]);
    snapshot.nodes = Seen::Unseen(Unseen::default());
    assert_eq!(find(&snapshot), []);
}

#[test]
fn the_variable_with_the_nodes_name_is_there_and_holds_it() {
    let check = |name: &str, change: fn(&mut Snapshot)| {
        let mut snapshot = healthy();
        change(&mut snapshot);
        let limiter = Some(crate::doctor::Limiter::Percentage(75));
        let understood = Understood { node_variables: vec![name.to_owned()], limiter, ..Understood::default() };
        find_with(&snapshot, &understood)
    };
    assert_eq!(check("K8S_NODE_NAME", |_| ()), []);
    let missing = check("KUBE_NODE_NAME", |_| ());
    assert_eq!(ids(&missing), ["node-name-wrong"]);
    assert_eq!(missing[0].evidence[1], "container otel-agent has no variable KUBE_NODE_NAME");
    let other = check("K8S_NODE_NAME", |snapshot| {
        let env = &mut snapshot.agents[0].controller.spec.template.spec.containers[0].env[0];
        env.value_from = parsed(json!({"fieldRef": {"fieldPath": "metadata.name"}}));
    });
    assert_eq!(other[0].evidence[1], "K8S_NODE_NAME of container otel-agent is taken from metadata.name");
    let fixed = check("K8S_NODE_NAME", |snapshot| {
        let env = &mut snapshot.agents[0].controller.spec.template.spec.containers[0].env[0];
        (env.value, env.value_from) = ("n1".to_owned(), None);
    });
    assert_eq!(ids(&fixed), ["node-name-wrong"]);
}
