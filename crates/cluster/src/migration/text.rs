//! The report for people.

use std::fmt::Write as _;

use super::carry::State;
use super::flow::Flow;
use super::found::Manager;
use super::{Report, apply};

/// The whole of it.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let from = &report.from;
    let image = if from.image.is_empty() { String::new() } else { format!(", image {}", from.image) };
    let _ = writeln!(out, "The old collector: {} {}/{}{image}", from.kind, from.namespace, from.name);
    let _ = writeln!(out, "  configuration: {}", from.config_from);
    let services: Vec<&str> = from.services.iter().map(|service| service.name.as_str()).collect();
    let _ = writeln!(out, "  Services: {}", if services.is_empty() { "none".to_owned() } else { services.join(", ") });
    match &from.manager {
        Manager::Plain => {}
        Manager::Helm { release, namespace } => {
            let _ = writeln!(out, "  managed by: the Helm release {release} in namespace {namespace}");
        }
        Manager::Operator { name } => {
            let _ = writeln!(out, "  managed by: the OpenTelemetry Operator, OpenTelemetryCollector {name}");
        }
    }
    configuration(&mut out, report);
    prerequisites(&mut out, report);
    applications(&mut out, report);
    if !report.unseen.is_empty() {
        let _ = writeln!(out, "\nNot seen:");
        for unseen in &report.unseen {
            let _ = writeln!(out, "  - {unseen}");
        }
    }
    verdict(&mut out, report);
    out
}

fn configuration(out: &mut String, report: &Report) {
    let carried = &report.configuration;
    let _ = writeln!(out, "\nIts configuration in the agent:");
    let width = carried.lines.iter().map(|line| line.path.len()).max().unwrap_or_default();
    for (state, word) in [
        (State::LeftOut, "left out"),
        (State::Changed, "changed"),
        (State::NotNeeded, "not needed"),
        (State::Runs, "runs"),
    ] {
        for line in carried.lines.iter().filter(|line| line.state == state) {
            let told = format!("  {word:<11}{:<width$}  {}", line.path, line.what);
            let _ = writeln!(out, "{}", told.trim_end());
            if !line.remedy.is_empty() {
                let _ = writeln!(out, "{:13}-> {}", "", line.remedy);
            }
        }
    }
    let gaps = carried.gaps().count();
    let _ = match (carried.text.is_empty(), gaps) {
        (true, _) => {
            writeln!(out, "Nothing is left to run: no pipeline has both a receiver and an exporter that the agent has.")
        }
        (false, 0) => writeln!(out, "All of it runs."),
        (false, gaps) => writeln!(
            out,
            "Left out: {gaps}. --apply agent wants --accept-gaps then; or keep the old collector behind the agent:\n\
             send OTLP to it from an exporter of the agent, and let it do the rest."
        ),
    };
}

fn prerequisites(out: &mut String, report: &Report) {
    let copies = apply::copies(&report.configuration.references, &report.from.namespace, &report.target);
    if copies.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\nThe agent's pod refers to what only namespace {} has; before it starts:",
        report.from.namespace
    );
    for copy in copies {
        let _ = writeln!(out, "  $ {copy}");
    }
}

fn applications(out: &mut String, report: &Report) {
    let all = &report.applications;
    if !report.configuration.stay.is_empty() {
        let _ = writeln!(
            out,
            "\nThe agent would not take {}: the commands below keep that at the old collector.",
            report.configuration.stay.join(" and ")
        );
    }
    let _ = writeln!(out, "\nApplications that point at the old collector: {}", all.moves.len());
    for one in &all.moves {
        let container = if one.container.is_empty() { String::new() } else { format!(", container {}", one.container) };
        let _ = writeln!(out, "  {} {}{container}", one.kind, one.id());
        for command in &one.commands {
            let _ = writeln!(out, "    $ {command}");
        }
        if !one.managed_by.is_empty() {
            let _ = writeln!(out, "    {} manages it: change the value there too, or it comes back.", one.managed_by);
        }
    }
    if all.moved > 0 {
        let _ = writeln!(out, "Already at the agent: {}", all.moved);
    }
    if !all.by_hand.is_empty() {
        let _ = writeln!(out, "To look at by hand:");
    }
    for one in &all.by_hand {
        let _ = writeln!(out, "  {}: {}\n    -> {}", one.place, one.what, one.remedy);
    }
}

fn verdict(out: &mut String, report: &Report) {
    let (Some(verdict), Some(flow)) = (&report.verdict, &report.flow) else { return };
    let _ = writeln!(out, "\nFlow, by their own metrics over {:.0} s:", flow.seconds);
    for (title, side) in [("old", &flow.old), ("agents", &flow.new)] {
        let rate = |count: f64| count / flow.seconds;
        let _ = writeln!(
            out,
            "  {title:<7}{:>3} {:<4}  accepted {:>9.1}/s  sent {:>9.1}/s  failed {:>7.1}/s  queued {:>5}",
            side.pods.len(),
            if side.pods.len() == 1 { "pod" } else { "pods" },
            rate(side.sum(|pod| pod.accepted)),
            rate(side.sum(|pod| pod.sent)),
            rate(side.sum(|pod| pod.failed)),
            side.sum(|pod| pod.queued),
        );
        for unread in &side.unread {
            let _ = writeln!(out, "         not read: {unread}");
        }
    }
    let _ = writeln!(out, "\nCan the old collector go?");
    for one in &verdict.answers {
        let word = match one.holds {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not known",
        };
        let _ = writeln!(out, "  {word:<11}{}", one.evidence);
    }
    let _ = if verdict.may_go {
        writeln!(out, "It can be deleted:\n  $ {}", verdict.command)
    } else {
        writeln!(out, "Not yet. Next:\n  {}", next(report, flow))
    };
}

/// What comes next, as a command where one does it.
fn next(report: &Report, flow: &Flow) -> String {
    let (target, from) = (&report.target, &report.from);
    // What makes kubectl talk to this cluster makes the program do so too.
    let access = target.kubectl.strip_prefix("kubectl").unwrap_or_default();
    let migrate = format!("$ otel-agent migrate --from {}/{}{access}", from.namespace, from.name);
    match flow.agents_wanted {
        None if report.configuration.text.is_empty() => {
            "send OTLP, or keep the old collector: no part of it runs here".to_owned()
        }
        None => {
            let gaps = if report.configuration.gaps().next().is_some() { " --accept-gaps" } else { "" };
            format!("{migrate} --apply agent{gaps}")
        }
        Some(wanted) if flow.agents_ready < wanted || wanted == 0 => {
            format!("$ {} rollout status daemonset/{} -n {}", target.kubectl, target.name, target.namespace)
        }
        Some(_) => match report.applications.moves.first() {
            Some(one) => format!("{migrate} --apply applications --application {}", one.id()),
            None => format!("mend what is answered with `no`, and look again:\n  {migrate} --watch 60"),
        },
    }
}
