//! What was found, told: as text to be read at night, and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Context, Finding, Severity};
use crate::snapshot::right::{grant_commands, user_in};
use crate::snapshot::{Right, Snapshot, Unseen};

/// The version of the JSON; it changes when a field is taken away or means something else.
pub const SCHEMA: &str = "otel-agent/doctor/v1";

/// So much of what could not be seen is told in text.
const LINES: usize = 8;

/// What was found in a cluster.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    schema: &'static str,
    /// When it was looked.
    taken: String,
    /// Of Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    kubernetes: Option<String>,
    verdict: Verdict,
    agents: Vec<Summary>,
    /// Worst first.
    findings: Vec<Finding>,
    unseen: Vec<Unseen>,
    /// The commands that let one see the rest.
    grant: Vec<String>,
}

/// What it comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// Notes at most.
    NothingWrong,
    SomethingWrong,
    /// Not even whether there is an agent.
    CouldNotLook,
}

/// The numbers of one agent.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    kind: &'static str,
    namespace: String,
    name: String,
    desired: u32,
    current: u32,
    ready: u32,
    up_to_date: u32,
    available: u32,
}

impl Report {
    pub(super) fn new(snapshot: &Snapshot, context: &Context<'_>, findings: Vec<Finding>) -> Self {
        Self {
            schema: SCHEMA,
            taken: snapshot.taken.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            kubernetes: snapshot.version.clone(),
            verdict: verdict(snapshot, &findings),
            agents: snapshot.agents.iter().map(|agent| summary(&agent.controller)).collect(),
            findings,
            unseen: snapshot.unseen.clone(),
            grant: grant(snapshot, context),
        }
    }

    /// 0 nothing is wrong, 1 something is, 3 it could not be looked. (2 is for wrong arguments.)
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::NothingWrong => 0,
            Verdict::SomethingWrong => 1,
            Verdict::CouldNotLook => 3,
        }
    }

    /// As JSON, with a line break at the end.
    #[must_use]
    pub fn json(&self) -> String {
        // Strings and numbers alone: it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write_summary(&mut out);
        for finding in &self.findings {
            write_finding(&mut out, finding);
        }
        self.write_unseen(&mut out);
        let _ = writeln!(out, "\n{}", self.bottom_line());
        out
    }

    fn write_summary(&self, out: &mut String) {
        for one in &self.agents {
            let _ = writeln!(
                out,
                "{} {}/{}: DESIRED {}, CURRENT {}, READY {}, UP-TO-DATE {}, AVAILABLE {}",
                one.kind.to_lowercase(),
                one.namespace,
                one.name,
                one.desired,
                one.current,
                one.ready,
                one.up_to_date,
                one.available
            );
        }
        if self.agents.is_empty() {
            out.push_str("no agent was seen\n");
        }
    }

    fn write_unseen(&self, out: &mut String) {
        if self.unseen.is_empty() {
            return;
        }
        out.push_str("\nCould not be seen, so that nothing is said about it:\n");
        let mut told: Vec<String> = Vec::new();
        // What a right is missing for is told first: that can be mended.
        let mut unseen: Vec<&Unseen> = self.unseen.iter().collect();
        unseen.sort_by_key(|unseen| unseen.right.is_none());
        for unseen in unseen {
            let line = match &unseen.right {
                Some(right) => format!("{} (it takes the right to {right})", unseen.what),
                None => format!("{}: {}", unseen.what, super::words::brief(&unseen.message)),
            };
            if !told.contains(&line) {
                told.push(line);
            }
        }
        for line in told.iter().take(LINES) {
            let _ = writeln!(out, "  {line}");
        }
        if let Some(more @ 1..) = told.len().checked_sub(LINES) {
            let _ = writeln!(out, "  and {more} more (--output=json has all)");
        }
        if !self.grant.is_empty() {
            out.push_str("  Whoever administers the cluster lets you see it with:\n");
            for command in &self.grant {
                let _ = writeln!(out, "    {command}");
            }
        }
    }

    fn bottom_line(&self) -> String {
        let number = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        let counted = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")]
            .map(|(severity, name)| (number(severity), name))
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, name)| super::words::count(number, name))
            .collect::<Vec<_>>()
            .join(", ");
        match (self.verdict, self.unseen.is_empty()) {
            (Verdict::CouldNotLook, _) => {
                "Whether there is an agent could not be seen: it takes the right to list DaemonSets.".to_owned()
            }
            (Verdict::SomethingWrong, _) => counted,
            (Verdict::NothingWrong, true) if counted.is_empty() => "Nothing is wrong.".to_owned(),
            (Verdict::NothingWrong, true) => format!("Nothing is wrong ({counted})."),
            (Verdict::NothingWrong, false) => "Nothing is wrong in what could be seen.".to_owned(),
        }
    }
}

fn write_finding(out: &mut String, finding: &Finding) {
    let severity = match finding.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
        Severity::Note => "NOTE",
    };
    let _ = writeln!(out, "\n{severity} {}: {} [{}]", finding.subject, finding.title, finding.id);
    for evidence in &finding.evidence {
        let _ = writeln!(out, "  seen  {evidence}");
    }
    if !finding.cause.is_empty() {
        let _ = writeln!(out, "  why   {}", finding.cause);
    }
    for remedy in &finding.remedy {
        let _ = writeln!(out, "  do    {}", remedy.explanation);
        for command in remedy.command.iter().flat_map(|command| command.lines()) {
            let _ = writeln!(out, "          {command}");
        }
    }
}

fn verdict(snapshot: &Snapshot, findings: &[Finding]) -> Verdict {
    let blind = snapshot.daemon_sets.some().is_none() && snapshot.agents.is_empty();
    match findings.iter().any(|finding| finding.severity < Severity::Note) {
        true => Verdict::SomethingWrong,
        false if blind => Verdict::CouldNotLook,
        false => Verdict::NothingWrong,
    }
}

fn summary(controller: &crate::snapshot::controllers::Controller) -> Summary {
    let numbers = controller.numbers();
    Summary {
        kind: controller.kind,
        namespace: controller.metadata.namespace.clone(),
        name: controller.metadata.name.clone(),
        desired: numbers.desired,
        current: numbers.current,
        ready: numbers.ready,
        up_to_date: numbers.up_to_date,
        available: numbers.available,
    }
}

fn grant(snapshot: &Snapshot, context: &Context<'_>) -> Vec<String> {
    let rights: Vec<Right> = snapshot.unseen.iter().filter_map(|unseen| unseen.right.clone()).collect();
    let user = snapshot.unseen.iter().find_map(|unseen| user_in(&unseen.message));
    // What is to be seen in the whole cluster need not be granted in a namespace as well.
    let wide = |right: &Right| Right { namespace: None, ..right.clone() };
    let needed = rights.iter().filter(|right| right.namespace.is_none() || !rights.contains(&wide(right)));
    let needed: Vec<Right> = needed.cloned().collect();
    user.map(|user| grant_commands(&context.kubectl, &needed, user)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::played::{healthy, remove_pod, seen, understood};
    use crate::doctor::{Chosen, diagnose};
    use crate::snapshot::Seen;

    fn report(snapshot: &Snapshot) -> Report {
        let context = Context { kubectl: "kubectl".to_owned(), understand: &|_, _| understood() };
        diagnose(snapshot, &context, &Chosen::default())
    }

    fn unseen(what: &str, right: Right) -> Unseen {
        let message = format!("{} is forbidden: User \"jane\" cannot list it", right.resource);
        Unseen { what: what.to_owned(), right: Some(right), message }
    }

    #[test]
    fn a_healthy_cluster_takes_three_lines() {
        let report = report(&healthy());
        assert_eq!(
            report.text(),
            "daemonset open-telemetry/otel-agent: DESIRED 2, CURRENT 2, READY 2, UP-TO-DATE 2, AVAILABLE 2\n\n\
             Nothing is wrong.\n"
        );
        assert_eq!(report.exit_code(), 0);
    }

    #[test]
    fn a_finding_is_told_with_evidence_cause_and_command() {
        let mut snapshot = healthy();
        seen(&mut snapshot.nodes)[1].spec.taints =
            serde_json::from_str(r#"[{"key": "gpu", "effect": "NoSchedule"}]"#).unwrap();
        remove_pod(&mut snapshot, "n2");
        let report = report(&snapshot);
        assert_eq!(report.exit_code(), 1);
        insta::assert_snapshot!(report.text());
        insta::assert_snapshot!(report.json());
    }

    #[test]
    fn what_could_not_be_seen_is_told_with_the_commands_that_show_it() {
        let mut snapshot = healthy();
        snapshot.unseen = vec![
            unseen("the nodes", Right::everywhere("list", "", "nodes")),
            unseen("the pods", Right::everywhere("list", "", "pods")),
            unseen("the pods of namespace a", Right::within("a", "list", "", "pods")),
            Unseen { what: "the log of pod a/b".to_owned(), right: None, message: "no answer within 20 s".to_owned() },
        ];
        let report = report(&snapshot);
        assert_eq!(report.exit_code(), 0);
        insta::assert_snapshot!(report.text());
    }

    #[test]
    fn who_may_see_nothing_is_told_so() {
        let nothing = unseen("the daemonsets", Right::everywhere("list", "apps", "daemonsets"));
        let snapshot = Snapshot {
            agents: Vec::new(),
            daemon_sets: Seen::Unseen(nothing.clone()),
            unseen: vec![nothing],
            ..healthy()
        };
        let report = report(&snapshot);
        assert_eq!(report.exit_code(), 3);
        assert!(report.text().ends_with("it takes the right to list DaemonSets.\n"), "{}", report.text());
    }
}
