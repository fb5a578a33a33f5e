//! Why a node does not take a pod: its taints, the pod's node selector and affinity, what is free there. The rules are
//! those of the DaemonSet controller and of the scheduler.

use crate::snapshot::meta::has_all;
use crate::snapshot::nodes::{Node, Taint};
use crate::snapshot::pods::{NodeSelectorTerm, Pod, PodSpec, Toleration};
use crate::snapshot::quantity::Quantity;

/// What the DaemonSet controller tolerates on behalf of every pod that it makes.
const TOLERATED_ALWAYS: [(&str, &str); 7] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/not-ready", "NoSchedule"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// Taints of nodes that are just taken away or just made: what is done to them passes, whether an agent is there or not.
const PASSING: [&str; 9] = [
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "karpenter.sh/unregistered",
    "node.cloudprovider.kubernetes.io/shutdown",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "node.kubernetes.io/out-of-service",
    "aws-node-termination-handler/",
    "node.cilium.io/agent-not-ready",
];

/// Whether a taint is one that comes and goes with its node.
pub(super) fn passes(taint: &Taint) -> bool {
    PASSING.iter().any(|known| match known.strip_suffix('/') {
        Some(_) => taint.key.starts_with(known),
        None => taint.key == *known,
    })
}

/// Why there is to be no pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excluded {
    /// Taints that nothing tolerates.
    Taints(Vec<Taint>),
    /// The labels that the node selector asks for and the node lacks, as `key=value`.
    Selector(Vec<String>),
    /// The required affinity fits none of its terms.
    Affinity,
}

/// Why a DaemonSet makes no pod for a node; none if it does.
pub(super) fn excluded(spec: &PodSpec, node: &Node) -> Option<Excluded> {
    let labels = &node.metadata.labels;
    if !has_all(labels, &spec.node_selector) {
        let lacking = spec.node_selector.iter().filter(|(key, value)| labels.get(*key) != Some(value));
        return Some(Excluded::Selector(lacking.map(|(key, value)| format!("{key}={value}")).collect()));
    }
    let required = &spec.affinity.node_affinity.required_during_scheduling_ignored_during_execution;
    if required.as_ref().is_some_and(|required| !required.node_selector_terms.iter().any(|term| fits(term, node))) {
        return Some(Excluded::Affinity);
    }
    let taints: Vec<Taint> = node.spec.taints.iter().filter(|taint| !is_tolerated(spec, taint)).cloned().collect();
    (!taints.is_empty()).then_some(Excluded::Taints(taints))
}

fn fits(term: &NodeSelectorTerm, node: &Node) -> bool {
    let name = [("metadata.name".to_owned(), node.metadata.name.clone())].into();
    let asks = !term.match_expressions.is_empty() || !term.match_fields.is_empty();
    asks && term.match_expressions.iter().all(|one| one.holds(&node.metadata.labels))
        && term.match_fields.iter().all(|one| one.holds(&name))
}

fn is_tolerated(spec: &PodSpec, taint: &Taint) -> bool {
    let always = TOLERATED_ALWAYS.contains(&(taint.key.as_str(), taint.effect.as_str()))
        || (spec.host_network && taint.key == "node.kubernetes.io/network-unavailable");
    always || taint.effect == "PreferNoSchedule" || spec.tolerations.iter().any(|one| tolerates(one, taint))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let key = toleration.key == taint.key || (toleration.key.is_empty() && toleration.operator == "Exists");
    effect && key && (toleration.operator == "Exists" || toleration.value == taint.value)
}

/// What a node has left of a resource beside the pods that are bound to it; none if it does not say what it has.
pub(super) fn free(node: &Node, pods: &[Pod], resource: &str) -> Option<Quantity> {
    let allocatable = *node.status.allocatable.get(resource)?;
    let there = pods.iter().filter(|pod| pod.spec.node_name == node.metadata.name && !pod.is_over());
    let used: Quantity = match resource {
        "pods" => Quantity(i128::try_from(there.count()).unwrap_or_default() * 1_000),
        _ => there.map(|pod| pod.request(resource)).sum(),
    };
    Some(allocatable - used)
}

/// The toleration for a taint, as JSON.
pub(super) fn toleration(taint: &Taint) -> serde_json::Value {
    match taint.value.as_str() {
        "" => serde_json::json!({"key": taint.key, "operator": "Exists", "effect": taint.effect}),
        value => serde_json::json!({"key": taint.key, "operator": "Equal", "value": value, "effect": taint.effect}),
    }
}

/// As `kubectl taint` writes it: `gpu=only:NoSchedule`.
pub(super) fn taint_text(taint: &Taint) -> String {
    let value = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
    format!("{}{value}:{}", taint.key, taint.effect)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(spec: Value, node: Value, expected: Option<&Excluded>) {
        let (spec, node): (PodSpec, Node) =
            (serde_json::from_value(spec).unwrap(), serde_json::from_value(node).unwrap());
        assert_eq!(excluded(&spec, &node).as_ref(), expected, "{spec:?} {node:?}");
    }

    fn tainted(key: &str, value: &str, effect: &str) -> Value {
        json!({"spec": {"taints": [{"key": key, "value": value, "effect": effect}]}})
    }

    #[test]
    fn a_taint_keeps_a_pod_away_unless_it_is_tolerated() {
        let taint = Taint { key: "gpu".to_owned(), value: "only".to_owned(), effect: "NoSchedule".to_owned() };
        let node = tainted("gpu", "only", "NoSchedule");
        check(json!({}), node.clone(), Some(&Excluded::Taints(vec![taint.clone()])));
        for toleration in [
            toleration(&taint),
            json!({"operator": "Exists"}),
            json!({"key": "gpu", "operator": "Exists"}),
            json!({"key": "gpu", "value": "only", "effect": "NoSchedule"}),
        ] {
            check(json!({"tolerations": [toleration]}), node.clone(), None);
        }
        for toleration in [
            json!({"key": "gpu", "value": "other"}),
            json!({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}),
            json!({"key": "cpu", "operator": "Exists"}),
        ] {
            check(json!({"tolerations": [toleration]}), node.clone(), Some(&Excluded::Taints(vec![taint.clone()])));
        }
    }

    #[test]
    fn cordoned_and_troubled_nodes_keep_their_agent() {
        for (key, effect) in TOLERATED_ALWAYS {
            check(json!({}), tainted(key, "", effect), None);
        }
        check(json!({}), tainted("team", "a", "PreferNoSchedule"), None);
        check(json!({"hostNetwork": true}), tainted("node.kubernetes.io/network-unavailable", "", "NoSchedule"), None);
    }

    #[test]
    fn selector_and_affinity_choose_nodes_by_label_and_name() {
        let node = json!({"metadata": {"name": "n1", "labels": {"pool": "apps"}}});
        check(json!({"nodeSelector": {"pool": "apps"}}), node.clone(), None);
        let lacking = Excluded::Selector(vec!["disk=fast".to_owned()]);
        check(json!({"nodeSelector": {"pool": "apps", "disk": "fast"}}), node.clone(), Some(&lacking));
        let affinity = |terms: Value| {
            json!({"affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
        };
        let named = |name: &str| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]});
        let pool = |pool: &str| json!({"matchExpressions": [{"key": "pool", "operator": "In", "values": [pool]}]});
        check(affinity(json!([named("n2"), pool("apps")])), node.clone(), None);
        check(affinity(json!([named("n2"), pool("db"), {}])), node, Some(&Excluded::Affinity));
    }
}
