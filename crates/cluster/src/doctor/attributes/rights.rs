//! Rights that the agent's account lacks: by access review, by the agent's own figures, and by what its log says.

use std::collections::BTreeMap;

use crate::doctor::figures::figures;
use crate::doctor::log::lines;
use crate::doctor::words::{brief, list};
use crate::doctor::{Check, Context, Finding, Severity};
use crate::snapshot::{Agent, Right, Seen};

pub(in crate::doctor) static RIGHTS: Check = Check {
    id: "attributes-rights",
    severity: Severity::Error,
    means: "The agent's service account may not read what its configuration needs, so that attributes are missing.",
    evidence: "A SubjectAccessReview for each right that the configuration needs; `otel_agent_kubernetes_missing_rights`; \
               `forbidden` in the log of the agent.",
    remedy: "A ClusterRole with the rights and a binding to the account.",
};

pub(super) fn look(context: &Context<'_>, agent: &Agent) -> Option<Finding> {
    let reviewed = agent.access.some().map(Vec::as_slice).unwrap_or_default();
    let mut missing: BTreeMap<Right, Vec<String>> = BTreeMap::new();
    for review in reviewed.iter().filter(|review| !review.allowed) {
        let right = Right { verbs: Vec::new(), ..review.right.clone() };
        missing.entry(right).or_default().extend(review.right.verbs.iter().cloned());
    }
    let missing: Vec<Right> = missing.into_iter().map(|(right, verbs)| Right { verbs, ..right }).collect();
    let (counted, said) = (counted(agent), said(agent));
    let reviewed_all = agent.access.known().is_some_and(|all| !all.is_empty());
    if missing.is_empty() && (counted.is_empty() && said.is_empty()) {
        return None;
    }
    let account = account(agent);
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let title = match names.is_empty() {
        false => format!("Service account {account} may not {}", list(&names)),
        true => "The agents were refused what they need of Kubernetes".to_owned(),
    };
    let review = if names.is_empty() && reviewed_all { "; the access review says that it may by now" } else { "" };
    let mut finding = RIGHTS.found(agent.title(), title);
    finding = finding.seen_all(
        missing.iter().map(|right| format!("access review: system:serviceaccount:{account} may not {right}")),
    );
    finding = finding.seen_all(counted).seen_all(said.iter().map(|said| said.evidence.clone()));
    finding = finding.because(format!(
        "Its ClusterRole lacks the right, or no binding names this account{review}. Until then attributes that come from it \
         are missing."
    ));
    if missing.is_empty() {
        // What the agent itself advises; without any it is the account's token that is not what it was.
        let commands = said.iter().find_map(|said| said.commands.clone());
        return Some(match commands {
            Some(commands) if !reviewed_all => finding.mend(commands, "Grants it, as the agent's log says."),
            _ => finding.mend(
                format!(
                    "{} --namespace={} rollout restart {}",
                    context.kubectl,
                    agent.namespace(),
                    agent.controller.reference()
                ),
                "The right is there; agents see it within a minute, or at once when they start.",
            ),
        });
    }
    Some(finding.mend(grant(&context.kubectl, &missing, &account), "Grants it; agents see it within about a minute.").advise(
        "Or apply the manifests again, which have what the configuration needs: otel-agent manifests --config FILE | kubectl apply -f -",
    ))
}

/// `open-telemetry:otel-agent`
fn account(agent: &Agent) -> String {
    let name = agent.controller.spec.template.spec.service_account_name.as_str();
    format!("{}:{}", agent.namespace(), if name.is_empty() { "default" } else { name })
}

/// Agents that lack rights by their own figures.
fn counted(agent: &Agent) -> Vec<String> {
    let mut told = Vec::new();
    for figures in figures(agent) {
        for (key, rights) in figures.sums(&["otel_agent_kubernetes_missing_rights"], &["resource"]) {
            if rights > 0.0 {
                told.push(format!("pod {} says that a right on {} is missing", figures.pod(), key.concat()));
            }
        }
    }
    told
}

struct Said {
    evidence: String,
    commands: Option<String>,
}

/// What agents that lack a right by their own figures say in their logs; of the others it is over.
fn said(agent: &Agent) -> Vec<Said> {
    let mut told: BTreeMap<String, Said> = BTreeMap::new();
    for inside in &agent.inside {
        let samples = inside.metrics.as_ref().and_then(Seen::some);
        let over = samples
            .and_then(|samples| samples.sum("otel_agent_kubernetes_missing_rights"))
            .is_some_and(|rights| rights <= 0.0);
        if over {
            continue;
        }
        for line in lines(inside) {
            let error = line.field("error");
            if line.text.starts_with("The agent has the permission") {
                told.retain(|right, _| right != line.field("right"));
            } else if line.text.starts_with("The agent lacks a permission") || error.contains("is forbidden") {
                let commands = Some(line.field("remedy").replace(" && ", "\n")).filter(|remedy| !remedy.is_empty());
                let evidence = format!("log of pod {}: {}", inside.pod, brief(error));
                told.insert(line.field("right").to_owned(), Said { evidence, commands });
            }
        }
    }
    told.into_values().collect()
}

/// The commands that give an account rights: a role and a binding for each place, which add to what is there.
pub(in crate::doctor) fn grant(kubectl: &str, missing: &[Right], account: &str) -> String {
    let reconcile = format!("--dry-run=client --output=yaml | {kubectl} auth reconcile --filename=-");
    let commands = missing.iter().flat_map(|right| {
        let (kind, space) = match &right.namespace {
            Some(namespace) => ("role", format!(" --namespace={namespace}")),
            None => ("clusterrole", String::new()),
        };
        let only = right.name.as_ref().map(|name| format!(" --resource-name={name}")).unwrap_or_default();
        let holder = account.split(':').next_back().unwrap_or(account);
        let name = format!("{holder}-{}", right.resource.replace('/', "-"));
        let (verbs, resource) = (right.verbs.join(","), right.qualified());
        [
            format!("{kubectl} create {kind} {name}{space} --verb={verbs} --resource={resource}{only} {reconcile}"),
            format!(
                "{kubectl} create {kind}binding {name}{space} --{kind}={name} --serviceaccount={account} {reconcile}"
            ),
        ]
    });
    commands.collect::<Vec<_>>().join("\n")
}
