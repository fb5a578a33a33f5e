//! Whether the old collector can go: one answer for each thing that has to be so. What was not seen is not so.

use serde::Serialize;

use super::found::Manager;
use super::{Report, flow::Flow};

/// Whether it can go, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// It can.
    pub may_go: bool,
    /// What has to be so.
    pub answers: Vec<Answer>,
    /// What deletes it.
    pub command: String,
}

/// One thing that has to be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// It is; unknown where it could not be seen.
    pub holds: Option<bool>,
    /// What was seen.
    pub evidence: String,
}

/// Judges what was seen.
pub(super) fn judge(report: &Report, flow: &Flow) -> Verdict {
    let answers = vec![
        agents_are_ready(flow),
        agents_carry(flow),
        nobody_points_there(report),
        nothing_comes_in(flow),
        nothing_is_held(flow),
        nothing_else_runs_there(report),
    ];
    Verdict { may_go: answers.iter().all(|answer| answer.holds == Some(true)), answers, command: command(report) }
}

fn answer(holds: Option<bool>, evidence: impl Into<String>) -> Answer {
    Answer { holds, evidence: evidence.into() }
}

fn agents_are_ready(flow: &Flow) -> Answer {
    let ready = flow.agents_ready;
    match flow.agents_wanted {
        Some(wanted) if wanted > 0 && ready >= wanted => {
            answer(Some(true), format!("an agent is ready on all {wanted} nodes"))
        }
        Some(wanted) => {
            answer(Some(false), format!("{ready} of {wanted} agents are ready; `otel-agent doctor` says why"))
        }
        None => answer(Some(false), "there is no DaemonSet of the agent yet"),
    }
}

fn agents_carry(flow: &Flow) -> Answer {
    let new = &flow.new;
    let (accepted, sent, failed) = (new.sum(|pod| pod.accepted), new.sum(|pod| pod.sent), new.sum(|pod| pod.failed));
    if new.pods.is_empty() {
        return answer(None, format!("no agent could be asked{}", because(&new.unread)));
    }
    let rates = format!("the agents take {:.1} and send {:.1} items/s", accepted / flow.seconds, sent / flow.seconds);
    if failed > 0.0 {
        return answer(
            Some(false),
            format!("{rates}, but {failed:.0} items could not be sent meanwhile: look at their exporters"),
        );
    }
    let refused = new.sum(|pod| pod.refused);
    if refused > 0.0 {
        return answer(Some(false), format!("{rates}, but they refused {refused:.0} items meanwhile"));
    }
    answer(Some(accepted > 0.0 && sent > 0.0), rates)
}

fn nobody_points_there(report: &Report) -> Answer {
    let all = &report.applications;
    let left = all.moves.len() + all.by_hand.len();
    if left > 0 {
        let places = if left == 1 { "1 place still points" } else { &format!("{left} places still point") };
        return answer(Some(false), format!("{places} at it; the report names each"));
    }
    match report.unseen.first() {
        Some(unseen) => {
            answer(None, format!("no place that was seen points at it, but not everything was seen: {unseen}"))
        }
        None => answer(Some(true), "no Deployment, StatefulSet, DaemonSet, CronJob or ConfigMap points at it"),
    }
}

fn nothing_comes_in(flow: &Flow) -> Answer {
    let old = &flow.old;
    if !old.unread.is_empty() {
        return answer(None, format!("what the old one takes is not known{}", because(&old.unread)));
    }
    let accepted = old.sum(|pod| pod.accepted) + old.sum(|pod| pod.refused);
    if accepted > 0.0 {
        let receivers = old.receivers().join(", ");
        let evidence = format!(
            "{:.1} items/s still come in at the old one, through {receivers}: somebody sends to it",
            accepted / flow.seconds
        );
        return answer(Some(false), evidence);
    }
    if old.pods.is_empty() {
        return answer(Some(true), "the old one has no pod that runs");
    }
    answer(Some(true), format!("nothing came in at the old one for {:.0} s", flow.seconds))
}

fn nothing_is_held(flow: &Flow) -> Answer {
    let old = &flow.old;
    if !old.unread.is_empty() {
        return answer(None, format!("what the old one holds is not known{}", because(&old.unread)));
    }
    let (queued, sent) = (old.sum(|pod| pod.queued), old.sum(|pod| pod.sent));
    if queued > 0.0 {
        return answer(Some(false), format!("{queued:.0} requests wait in its queues; deleting it loses them"));
    }
    if sent > 0.0 {
        return answer(
            Some(false),
            format!("it still sends, {:.1} items/s, from its batches; look again", sent / flow.seconds),
        );
    }
    answer(Some(true), "its queues are empty and it sends nothing")
}

fn nothing_else_runs_there(report: &Report) -> Answer {
    // What only takes what others send has been seen to take nothing; what fetches or reads on its own has not.
    const PASSIVE: [&str; 3] = ["jaeger", "zipkin", "otelarrow"];
    let gaps: Vec<&str> = report
        .configuration
        .gaps()
        .filter_map(|gap| gap.path.strip_prefix("receivers::"))
        .filter(|id| !id.contains("::") && !PASSIVE.contains(&id.split('/').next().unwrap_or_default()))
        .collect();
    if gaps.is_empty() {
        return answer(Some(true), "it has no receiver that works on its own and that the agent lacks");
    }
    answer(Some(false), format!("it also runs {}, which the agent does not have: keep it for that", gaps.join(", ")))
}

fn because(unread: &[String]) -> String {
    unread.first().map(|why| format!(": {why}")).unwrap_or_default()
}

/// What deletes it: its workload, its Services and its ConfigMap, or whatever made them.
fn command(report: &Report) -> String {
    let (from, kubectl) = (&report.from, &report.target.kubectl);
    match &from.manager {
        Manager::Helm { release, namespace } => format!("helm uninstall {release} -n {namespace}"),
        Manager::Operator { name } => format!("{kubectl} delete opentelemetrycollector/{name} -n {}", from.namespace),
        Manager::Plain => {
            let mut names = vec![format!("{}/{}", from.kind.to_lowercase(), from.name)];
            names.extend(from.services.iter().map(|service| format!("service/{}", service.name)));
            names.extend(from.config_map.iter().map(|name| format!("configmap/{name}")));
            format!("{kubectl} delete {} -n {}", names.join(" "), from.namespace)
        }
    }
}
