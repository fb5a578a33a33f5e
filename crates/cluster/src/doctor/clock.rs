//! Family `clock`: nodes whose clocks differ from the API server's.

use std::collections::BTreeMap;

use super::words::named;
use super::{Check, Context, Family, Finding, Severity};
use crate::snapshot::Snapshot;

pub(super) const FAMILY: Family =
    Family { name: "clock", about: "Whether the clocks of the nodes agree.", checks: &[&SKEW], look };

static SKEW: Check = Check {
    id: "clock-skew",
    severity: Severity::Warning,
    means: "The clock of a node differs from the API server's by more than 5 s: what is sent from there has wrong times, and \
            backends may refuse it as too old or from the future.",
    evidence: "`otel_agent_process_clock` of the node's agent against the `Date` of the API server, both against the clock \
               here, exact to about 1 s; the node's lease, which says when its kubelet renewed it, against when the API \
               server wrote that down.",
    remedy: "Set the clock of the node, and see why its time service does not.",
};

/// Below this it may be the way of measuring: `Date` has whole seconds, and answers take time.
const TOLERATED: f64 = 5.0;
/// From here on certificates and tokens begin to fail, too.
const MUCH: f64 = 60.0;

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    let mut nodes: BTreeMap<&str, Vec<(f64, String)>> = BTreeMap::new();
    for agent in &snapshot.agents {
        for inside in &agent.inside {
            let pod = agent.pods.items().iter().find(|pod| pod.name() == inside.pod);
            if let (Some(ahead), Some(node)) = (inside.ahead, pod.and_then(|pod| pod.node())) {
                let how = format!("{} by what agent {} says its clock is, to 1 s", apart(ahead), inside.pod);
                nodes.entry(node).or_default().push((ahead, how));
            }
        }
    }
    for lease in &snapshot.leases {
        let how = format!("{} by the lease of its kubelet, to 1 s", apart(lease.seconds));
        nodes.entry(&lease.node).or_default().push((lease.seconds, how));
    }
    let skewed = nodes.into_iter().filter(|(_, measured)| measured.iter().any(|(ahead, _)| ahead.abs() > TOLERATED));
    skewed.map(|(node, measured)| say(context, node, &measured)).collect()
}

fn apart(ahead: f64) -> String {
    let side = if ahead < 0.0 { "behind" } else { "ahead of" };
    format!("{:.1} s {side} the API server", ahead.abs())
}

fn say(context: &Context<'_>, node: &str, measured: &[(f64, String)]) -> Finding {
    let most = measured
        .iter()
        .map(|(ahead, _)| *ahead)
        .fold(0.0, |most: f64, one| if one.abs() > most.abs() { one } else { most });
    let severity = if most.abs() >= MUCH { Severity::Error } else { Severity::Warning };
    let kubectl = &context.kubectl;
    // In the namespace `default`, since that of the agent may not take privileged pods.
    let set = format!(
        "{kubectl} --namespace=default debug node/{node} --profile=sysadmin --image=busybox -- chroot /host sh -c \
         'chronyc makestep || systemctl restart systemd-timesyncd'"
    );
    let clean = format!(
        "{kubectl} --namespace=default delete pods --selector=app.kubernetes.io/managed-by=kubectl-debug \
         --field-selector=spec.nodeName={node},status.phase=Succeeded"
    );
    SKEW.found(named("node", &[node]), format!("Its clock is {}", apart(most)))
        .severity(severity)
        .seen_all(measured.iter().map(|(_, how)| how.clone()))
        .because("Its time service does not run, or cannot reach a server.")
        .mend(
            set,
            "Sets the clock at once, where the node uses chrony or systemd-timesyncd, from a privileged pod that it makes there: \
             it takes the right to do so.",
        )
        .mend(clean, "Takes away that pod when it is done.")
        .advise("See why it did not: `chronyc tracking` or `timedatectl timesync-status` on the node.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::played::{find, healthy, ids};
    use crate::snapshot::clocks::Ahead;
    use crate::snapshot::inside::Inside;

    #[test]
    fn a_node_is_named_with_how_it_was_measured() {
        let mut snapshot = healthy();
        let of = |ahead| Inside { pod: "otel-agent-n1".to_owned(), ahead: Some(ahead), ..Inside::default() };
        snapshot.agents[0].inside = vec![of(4.0)];
        snapshot.leases = vec![Ahead { node: "n2".to_owned(), seconds: -4.9 }];
        assert_eq!(find(&snapshot), []);
        snapshot.agents[0].inside = vec![of(-12.0)];
        snapshot.leases = vec![Ahead { node: "n2".to_owned(), seconds: 300.0 }];
        let found = find(&snapshot);
        assert_eq!(ids(&found), ["clock-skew", "clock-skew"]);
        assert_eq!((found[0].subject.as_str(), found[0].severity), ("node n1", Severity::Warning));
        assert_eq!(
            found[0].evidence,
            ["12.0 s behind the API server by what agent otel-agent-n1 says its clock is, to 1 s"]
        );
        assert_eq!((found[1].subject.as_str(), found[1].severity), ("node n2", Severity::Error));
        assert_eq!(found[1].title, "Its clock is 300.0 s ahead of the API server");
    }
}
