//! Family `create`: pods that the API server refuses to make: quota, Pod Security, a missing account or class, webhooks.

use serde_json::{Value, json};

use super::trouble::RECENT;
use super::words::{age, brief, count, older};
use super::{Check, Context, Family, Finding, Severity};
use crate::snapshot::events::Event;
use crate::snapshot::quantity::Quantity;
use crate::snapshot::{Agent, Snapshot};

pub(super) const FAMILY: Family = Family {
    name: "create",
    about: "Pods of the agent that the API server refuses to make.",
    checks: &[&QUOTA, &QUOTA_OF_PRIORITY, &POD_SECURITY, &PRIORITY_CLASS, &SERVICE_ACCOUNT, &REFUSED],
    look,
};

static QUOTA: Check = Check {
    id: "create-quota",
    severity: Severity::Error,
    means: "A ResourceQuota of the namespace does not allow another pod of the agent.",
    evidence: "Events `FailedCreate` with `exceeded quota`, while pods are missing.",
    remedy: "A quota with room for one agent on each node.",
};

static QUOTA_OF_PRIORITY: Check = Check {
    id: "create-quota-of-priority",
    severity: Severity::Error,
    means: "The cluster allows this priority class only in namespaces with a quota for it.",
    evidence: "Events `FailedCreate` with `insufficient quota to match these scopes`.",
    remedy: "A ResourceQuota with that scope.",
};

static POD_SECURITY: Check = Check {
    id: "create-pod-security",
    severity: Severity::Error,
    means: "The Pod Security level of the namespace forbids something that the agent's pod asks for.",
    evidence: "Events `FailedCreate` with `violates PodSecurity`.",
    remedy: "Take away what needs it, or raise the level of the namespace.",
};

static PRIORITY_CLASS: Check = Check {
    id: "create-priority-class",
    severity: Severity::Error,
    means: "The priority class that the agent's pod names does not exist.",
    evidence: "Events `FailedCreate` with `no PriorityClass with name`.",
    remedy: "Make it.",
};

static SERVICE_ACCOUNT: Check = Check {
    id: "create-service-account",
    severity: Severity::Error,
    means: "The service account that the agent's pod names does not exist.",
    evidence: "Events `FailedCreate` with `error looking up service account`.",
    remedy: "Make it; the permissions that were bound to that name hold again.",
};

static REFUSED: Check = Check {
    id: "create-refused",
    severity: Severity::Error,
    means: "The API server, or a webhook of the cluster, refuses the agent's pods for another reason.",
    evidence: "Events `FailedCreate`.",
    remedy: "Depends on what it says.",
};

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    snapshot.agents.iter().filter_map(|agent| of_agent(snapshot, context, agent)).collect()
}

fn of_agent(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent) -> Option<Finding> {
    let numbers = agent.controller.numbers();
    let missing = numbers.desired.saturating_sub(numbers.current.min(numbers.up_to_date));
    let event = refusal(snapshot, agent).filter(|_| missing > 0)?;
    let said = event.message.as_str();
    let (check, title) = if said.contains("exceeded quota") {
        (&QUOTA, "a quota")
    } else if said.contains("insufficient quota to match these scopes") {
        (&QUOTA_OF_PRIORITY, "a quota that its priority class needs")
    } else if said.contains("violates PodSecurity") {
        (&POD_SECURITY, "the Pod Security level of the namespace")
    } else if said.contains("no PriorityClass with name") {
        (&PRIORITY_CLASS, "a priority class that does not exist")
    } else if said.contains("error looking up service account") {
        (&SERVICE_ACCOUNT, "a service account that does not exist")
    } else {
        (&REFUSED, "what the event says")
    };
    let when = event.last().map(|at| age(snapshot.taken, at)).unwrap_or_default();
    let finding = check
        .found(agent.title(), format!("{} cannot be made because of {title}", count(missing as usize, "agent")))
        .seen(format!("FailedCreate, {} times, last {when} ago: {}", event.times(), brief(said)))
        .seen(format!("{} of {} agents are there", numbers.current, numbers.desired));
    let it = Mending { context, agent, said, missing };
    Some(match check.id {
        "create-quota" => it.quota(finding),
        "create-quota-of-priority" => it.quota_of_priority(finding),
        "create-pod-security" => it.pod_security(finding),
        "create-priority-class" => it.priority_class(finding),
        "create-service-account" => it.service_account(finding),
        _ => it.another(finding),
    })
}

/// What the API server said last when a pod was to be made; nothing if one has been made since.
fn refusal<'a>(snapshot: &Snapshot, agent: &'a Agent) -> Option<&'a Event> {
    let name = &agent.controller.metadata.name;
    let events = agent.events.items().iter().filter(|event| {
        let involved = &event.involved_object;
        let own = involved.kind == agent.controller.kind && involved.name == *name;
        let of_replica_set = involved.kind == "ReplicaSet" && involved.name.starts_with(&format!("{name}-"));
        event.reason == "FailedCreate" && (own || of_replica_set) && !older(snapshot.taken, event.last(), RECENT)
    });
    events.max_by_key(|event| event.last())
}

struct Mending<'a> {
    context: &'a Context<'a>,
    agent: &'a Agent,
    said: &'a str,
    missing: u32,
}

impl Mending<'_> {
    fn kubectl(&self, command: &str) -> String {
        format!("{} --namespace={} {command}", self.context.kubectl, self.agent.namespace())
    }

    fn quota(&self, finding: Finding) -> Finding {
        let finding = finding.because(
            "The quota bounds what all pods of the namespace take together, and the agent needs one on each node.",
        );
        match exceeded(self.said, self.missing) {
            Some((name, hard)) => finding.mend(
                self.kubectl(&format!(
                    "patch resourcequota {name} --type=merge --patch='{}'",
                    json!({"spec": {"hard": hard}})
                )),
                "Gives it room for the agents that are missing. The controller tries again within minutes.",
            ),
            None => finding.mend(self.kubectl("describe resourcequota"), "Shows what is used and what is allowed."),
        }
    }

    fn quota_of_priority(&self, finding: Finding) -> Finding {
        let class = &self.agent.controller.spec.template.spec.priority_class_name;
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "otel-agent-priority", "namespace": self.agent.namespace()},
            "spec": {"hard": {"pods": "1000"}, "scopeSelector": {"matchExpressions":
                [{"scopeName": "PriorityClass", "operator": "In", "values": [class]}]}},
        });
        finding
            .because(format!(
                "The API server admits pods of class {class} only where a quota says how many there may be."
            ))
            .mend(
                format!("echo '{quota}' | {} apply -f -", self.context.kubectl),
                "Allows 1000 pods of this class in the namespace.",
            )
    }

    fn pod_security(&self, finding: Finding) -> Finding {
        let enforced = self.said.split("violates PodSecurity \"").nth(1).and_then(|rest| rest.split([':', '"']).next());
        let level = enforced.unwrap_or("restricted");
        // What `baseline` forbids as well names things of the host; the rest is about how the process runs.
        let of_the_host = ["host", "privileged", "capabilities"]
            .iter()
            .any(|word| self.said.contains(word) && *word != "capabilities")
            || level == "baseline";
        let wanted = if of_the_host { "privileged" } else { "baseline" };
        let namespace = self.agent.namespace();
        finding
            .because(format!("Namespace {namespace} enforces Pod Security `{level}`, and the pod asks for more."))
            .mend(
                format!(
                    "{} label namespace {namespace} pod-security.kubernetes.io/enforce={wanted} --overwrite",
                    self.context.kubectl
                ),
                "Lets the namespace run such pods. The other way: render the agent without host ports, host network and host paths; \
                 that passes `restricted`.",
            )
    }

    fn priority_class(&self, finding: Finding) -> Finding {
        let class = &self.agent.controller.spec.template.spec.priority_class_name;
        finding
            .because(format!("The pod names the priority class {class}, and the cluster does not have it."))
            .mend(
                format!(
                    "{} create priorityclass {class} --value=1000000 --description='The agent of each node goes before applications'",
                    self.context.kubectl
                ),
                "Makes it, above applications and below the cluster's own parts.",
            )
    }

    fn service_account(&self, finding: Finding) -> Finding {
        let account = &self.agent.controller.spec.template.spec.service_account_name;
        finding
            .because(format!("The pod runs as service account {account}, and the namespace does not have it."))
            .mend(self.kubectl(&format!("create serviceaccount {account}")), "Makes it.")
    }

    fn another(&self, finding: Finding) -> Finding {
        let by_webhook = self.said.contains("admission webhook");
        let because = match by_webhook {
            true => "An admission webhook of the cluster refuses the pod; what it wants stands in its message.",
            false => "The API server refuses the pod.",
        };
        finding
            .because(because)
            .mend(self.kubectl(&format!("describe {}", self.agent.controller.reference())), "Shows the events in full.")
    }
}

/// The quota that is exceeded, and what it would have to allow: `exceeded quota: small, requested: pods=1, used: pods=2,
/// limited: pods=2`.
fn exceeded(said: &str, missing: u32) -> Option<(String, Value)> {
    let rest = said.split("exceeded quota: ").nth(1)?;
    let (name, rest) = rest.split_once(", requested: ")?;
    let (requested, rest) = rest.split_once(", used: ")?;
    let (used, _) = rest.split_once(", limited: ")?;
    let used: Vec<(&str, Quantity)> = amounts(used);
    let hard: serde_json::Map<String, Value> = amounts(requested)
        .into_iter()
        .map(|(resource, one)| {
            let now = used.iter().find(|(name, _)| *name == resource).map(|(_, used)| *used).unwrap_or_default();
            let all = Quantity(one.0.saturating_mul(i128::from(missing)));
            (resource.to_owned(), Value::from((now + all).of(resource)))
        })
        .collect();
    (!hard.is_empty()).then(|| (name.to_owned(), Value::from(hard)))
}

/// `pods=1,requests.cpu=100m`
fn amounts(text: &str) -> Vec<(&str, Quantity)> {
    let pairs = text.split(',').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter_map(|(name, amount)| Some((name, Quantity::parse(amount)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::played::{ago, find, healthy, ids, parsed, seen};

    fn refused(said: &str, current: u32) -> Vec<Finding> {
        let mut snapshot = healthy();
        let agent = &mut snapshot.agents[0];
        agent.controller.status.current_number_scheduled = current;
        agent.controller.status.number_ready = current;
        agent.controller.status.updated_number_scheduled = current;
        agent.controller.spec.template.spec.priority_class_name = "important".to_owned();
        seen(&mut agent.events).push(parsed(json!({
            "involvedObject": {"kind": "DaemonSet", "name": "otel-agent"}, "reason": "FailedCreate", "type": "Warning",
            "message": format!("Error creating: pods \"otel-agent-\" is forbidden: {said}"), "count": 4, "lastTimestamp": ago(60),
        })));
        find(&snapshot)
    }

    fn command(said: &str, id: &str) -> String {
        let findings = refused(said, 1);
        assert_eq!(ids(&findings), [id], "{said}");
        findings[0].remedy[0].command.clone().unwrap()
    }

    #[test]
    fn each_refusal_has_its_own_remedy() {
        assert_eq!(
            command(
                "exceeded quota: small, requested: pods=1,requests.memory=128Mi, used: pods=2,requests.memory=256Mi, limited: pods=2,requests.memory=256Mi",
                "create-quota"
            ),
            "kubectl --namespace=open-telemetry patch resourcequota small --type=merge \
             --patch='{\"spec\":{\"hard\":{\"pods\":\"3\",\"requests.memory\":\"384Mi\"}}}'"
        );
        let said = "insufficient quota to match these scopes: [{PriorityClass In [important]}]";
        assert!(command(said, "create-quota-of-priority").contains("\"values\":[\"important\"]"));
        let said = "violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false";
        assert!(command(said, "create-pod-security").contains("enforce=baseline "));
        let said = "violates PodSecurity \"restricted:latest\": hostPort (container \"otel-agent\" uses hostPort 4317)";
        assert!(command(said, "create-pod-security").contains("enforce=privileged "));
        assert!(
            command("no PriorityClass with name important was found", "create-priority-class")
                .contains("create priorityclass important")
        );
        let said =
            "error looking up service account open-telemetry/otel-agent: serviceaccount \"otel-agent\" not found";
        assert!(command(said, "create-service-account").ends_with("create serviceaccount otel-agent"));
        command("admission webhook \"images.example.com\" denied the request", "create-refused");
    }

    #[test]
    fn what_was_refused_once_and_is_there_now_is_history() {
        assert_eq!(refused("exceeded quota: small", 2), []);
    }
}
