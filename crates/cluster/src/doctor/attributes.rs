//! Family `attributes`: why telemetry has no attributes of Kubernetes: rights, configuration, and addresses that hide a pod.

mod misses;
mod naming;
mod rights;

pub(super) use rights::grant;

use super::words::{count, list};
use super::{Check, Context, Family, Finding, Pipeline, Severity, Understood};
use crate::snapshot::{Agent, Snapshot};

pub(super) const FAMILY: Family = Family {
    name: "attributes",
    about: "Why telemetry has no attributes of Kubernetes.",
    checks: &[
        &rights::RIGHTS,
        &PASSTHROUGH,
        &ORDER,
        &PIPELINE,
        &ABSENT,
        &misses::HIDDEN,
        &misses::MESH,
        &misses::HOST_NETWORK,
        &misses::OTHER_NODE,
        &misses::UNMATCHED,
    ],
    look,
};

static PASSTHROUGH: Check = Check {
    id: "attributes-passthrough",
    severity: Severity::Warning,
    means: "`passthrough: true`: only the address of the sender is added, and the pod is left to a collector behind.",
    evidence: "The configuration in the ConfigMap.",
    remedy: "Take `passthrough` away, unless a collector behind adds the attributes.",
};

static ORDER: Check = Check {
    id: "attributes-order",
    severity: Severity::Warning,
    means: "`batch` stands before `k8s_attributes`: a joined batch no longer knows from which address its data came.",
    evidence: "The order of the processors of each pipeline in the ConfigMap.",
    remedy: "Put `k8s_attributes` before `batch`.",
};

static PIPELINE: Check = Check {
    id: "attributes-pipeline",
    severity: Severity::Warning,
    means: "Some pipelines have `k8s_attributes` and others, which take data as well, have not.",
    evidence: "The processors of each pipeline in the ConfigMap.",
    remedy: "Add `k8s_attributes` to the others.",
};

static ABSENT: Check = Check {
    id: "attributes-absent",
    severity: Severity::Note,
    means: "No pipeline has `k8s_attributes`.",
    evidence: "The processors of each pipeline in the ConfigMap.",
    remedy: "Add it, if attributes of Kubernetes are wanted.",
};

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for agent in &snapshot.agents {
        findings.extend(rights::look(context, agent));
        findings.extend(by_configuration(context, agent));
        findings.extend(misses::look(snapshot, context, agent));
    }
    findings
}

fn by_configuration(context: &Context<'_>, agent: &Agent) -> Vec<Finding> {
    let Some(configuration) = agent.configuration.some().and_then(Option::as_ref) else { return Vec::new() };
    let Some(understood) = context.understood(agent) else { return Vec::new() };
    let namespace = agent.namespace();
    let subject = format!("configmap {namespace}/{}", configuration.config_map);
    let edit = format!("{} --namespace={namespace} edit configmap {}", context.kubectl, configuration.config_map);
    let made = [passthrough(&understood), order(&understood), lacking(&understood)].into_iter().flatten();
    made.map(|(check, title, evidence, cause, remedy)| {
        let finding = check.found(subject.clone(), title).seen_all(evidence).because(cause);
        finding.mend(edit.clone(), remedy)
    })
    .collect()
}

type Made = (&'static Check, String, Vec<String>, &'static str, &'static str);

fn passthrough(understood: &Understood) -> Option<Made> {
    let processors = &understood.passthrough;
    (!processors.is_empty()).then(|| {
        (
            &PASSTHROUGH,
            format!("{} only passes addresses on", list(processors)),
            processors.iter().map(|id| format!("processors::{id}::passthrough is true")).collect(),
            "With `passthrough` the agent does not ask which pod an address belongs to.",
            "Remove the line `passthrough: true`, unless a collector behind adds the attributes by k8s.pod.ip.",
        )
    })
}

/// The ids of a pipeline's processors without the name after the slash.
fn kinds(pipeline: &Pipeline) -> impl Iterator<Item = &str> {
    pipeline.processors.iter().map(|id| id.split('/').next().unwrap_or(id))
}

fn adds_pods(kind: &str) -> bool {
    matches!(kind, "k8s_attributes" | "k8sattributes")
}

fn order(understood: &Understood) -> Option<Made> {
    let wrong = |pipeline: &&Pipeline| {
        let position = |wanted: fn(&str) -> bool| kinds(pipeline).position(wanted);
        position(|kind| kind == "batch").zip(position(adds_pods)).is_some_and(|(batch, pods)| batch < pods)
    };
    let evidence: Vec<String> = understood.pipelines.iter().filter(wrong).map(shown).collect();
    (!evidence.is_empty()).then(|| {
        (
            &ORDER,
            format!("`batch` stands before `k8s_attributes` in {}", count(evidence.len(), "pipeline")),
            evidence,
            "A batch joins what came from several pods; what is looked for by address after it finds none.",
            "Put k8s_attributes before batch in these pipelines.",
        )
    })
}

fn shown(pipeline: &Pipeline) -> String {
    format!("service::pipelines::{} has processors [{}]", pipeline.name, pipeline.processors.join(", "))
}

fn lacking(understood: &Understood) -> Option<Made> {
    let takes = |pipeline: &&Pipeline| pipeline.receivers.iter().any(|id| id.split('/').next() == Some("otlp"));
    let (with, without): (Vec<&Pipeline>, Vec<&Pipeline>) =
        understood.pipelines.iter().filter(takes).partition(|pipeline| kinds(pipeline).any(adds_pods));
    let names: Vec<&str> = without.iter().map(|pipeline| pipeline.name.as_str()).collect();
    let evidence = || without.iter().map(|pipeline| shown(pipeline)).collect();
    match (with.is_empty(), without.is_empty()) {
        (_, true) => None,
        (false, false) => Some((
            &PIPELINE,
            format!("`k8s_attributes` is not in {}", list(&names)),
            evidence(),
            "Only pipelines that name the processor add attributes of the pod.",
            "Add k8s_attributes to the processors of these pipelines, before batch.",
        )),
        (true, false) => Some((
            &ABSENT,
            "No pipeline adds attributes of the pod".to_owned(),
            evidence(),
            "No pipeline names the processor `k8s_attributes`.",
            "Add k8s_attributes to processors and to each pipeline, before batch, if they are wanted.",
        )),
    }
}

#[cfg(test)]
mod tests;
