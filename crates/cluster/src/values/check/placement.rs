//! Which nodes agents come to, and how they are replaced.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Check;
use crate::manifests::alone_because;
use crate::problem::Problem;
use crate::values::{Mode, Values};

pub(super) fn check(check: &Check<'_>, problems: &mut Vec<Problem>) {
    rollout(check, problems);
    tolerations(check.values, problems);
    priority(check.values, problems);
    if check.values.mode == Mode::Daemonset && check.values.replicas.is_some() {
        let what = "`replicas` has no effect on a DaemonSet: each node has one agent";
        problems.push(Problem::error("replicas", what, "leave it out, or add `--mode deployment`"));
    }
    if check.values.replicas == Some(0) {
        problems.push(Problem::error("replicas", "0 replicas are no agent at all", "2 is the usual number"));
    }
}

fn rollout(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let rollout = &check.values.rollout;
    let (surge, unavailable) = (&rollout.max_surge, &rollout.max_unavailable);
    for (path, written) in [("rollout.maxSurge", surge), ("rollout.maxUnavailable", unavailable)] {
        if written.as_ref().is_some_and(|written| amount(written).is_none()) {
            problems.push(Problem::error(path, "it is neither a number nor a percentage", "write `1` or `10%`"));
            return;
        }
    }
    let positive = |written: &Option<IntOrString>| written.as_ref().and_then(amount).is_some_and(|amount| amount > 0);
    let written = surge.is_some() || unavailable.is_some();
    if written && !positive(surge) && !positive(unavailable) {
        let what = "with neither more nor fewer pods than usual, none can ever be replaced";
        problems.push(Problem::error("rollout", what, "write `maxSurge: 1` or `maxUnavailable: 10%`"));
    }
    if check.values.mode == Mode::Daemonset && positive(surge) && positive(unavailable) {
        let what = "a DaemonSet takes one of `maxSurge` and `maxUnavailable`, not both";
        problems.push(Problem::error(
            "rollout",
            what,
            "leave out `maxUnavailable`: then no node is ever without an agent",
        ));
    }
    if let Some(why) = alone_because(check.workload, check.values).filter(|_| positive(surge)) {
        let what = format!("`maxSurge` would never finish: {why}");
        problems.push(Problem::error("rollout.maxSurge", what, "write `maxUnavailable: 10%` instead"));
    }
}

/// The number in front of a percent sign, or the number.
fn amount(written: &IntOrString) -> Option<u32> {
    match written {
        IntOrString::Int(number) => u32::try_from(*number).ok(),
        IntOrString::String(text) => text.strip_suffix('%')?.parse().ok(),
    }
}

fn tolerations(values: &Values, problems: &mut Vec<Problem>) {
    for (index, one) in values.tolerations.iter().flatten().enumerate() {
        let path = format!("tolerations.{index}");
        let operator = one.operator.as_deref().unwrap_or("Equal");
        let has_value = one.value.as_deref().is_some_and(|value| !value.is_empty());
        let has_key = one.key.as_deref().is_some_and(|key| !key.is_empty());
        let what = match operator {
            "Exists" if has_value => "`operator: Exists` takes any value, so there must be none",
            "Equal" if !has_key => "without a `key` the operator must be `Exists`, which tolerates everything",
            "Exists" | "Equal" => continue,
            _ => "the operator is neither `Equal` nor `Exists`",
        };
        problems.push(Problem::error(
            &path,
            what,
            "write `{key: dedicated, operator: Equal, value: gpu, effect: NoSchedule}`",
        ));
    }
}

fn priority(values: &Values, problems: &mut Vec<Problem>) {
    let name = values.priority_class_name.as_str();
    if values.priority_class.create && name.starts_with("system-") {
        let what = format!("the priority class `{name}` belongs to Kubernetes; nobody else can make one of that name");
        problems.push(Problem::error(
            "priorityClass.create",
            what,
            "leave out the number behind it, or use another name",
        ));
    } else if name.starts_with("system-") && values.namespace != "kube-system" {
        let what = format!(
            "some clusters (GKE) refuse pods with `{name}` outside of kube-system without a ResourceQuota for it"
        );
        let remedy = "if the DaemonSet says `insufficient quota to match these scopes`, use `--priority-class otel-agent:1000000`";
        problems.push(Problem::note("priorityClassName", what, remedy));
    }
    // The most that a class of one's own may have.
    if values.priority_class.create && values.priority_class.value > 1_000_000_000 {
        let what = "values above 1000000000 are those of Kubernetes' own classes";
        problems.push(Problem::error("priorityClass.value", what, "1000000 is above what applications usually have"));
    }
}
