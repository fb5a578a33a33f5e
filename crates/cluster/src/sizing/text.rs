//! The answer for people.

use std::fmt::Write as _;

use super::{Fleet, Pattern, Report};

/// The whole of it.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    let load = &report.load;
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "Load: {} nodes, each {} items/s of {} bytes, {} items a request; the backend may be away for {} s.\n",
        load.nodes, load.items_per_second, load.bytes_per_item, load.items_per_request, load.outage_seconds
    );
    let pattern = match report.advice.pattern {
        Pattern::Daemonset => "a DaemonSet",
        Pattern::Deployment => "a Deployment",
        Pattern::DaemonsetAndCentral => "a DaemonSet, and a Collector behind it",
    };
    let _ = writeln!(out, "Take {pattern}, profile {}:", report.advice.profile.name());
    for reason in &report.advice.reasons {
        let _ = writeln!(out, "  - {reason}");
    }
    let _ = writeln!(out, "  $ {}\n", report.advice.command);
    if let Some(raised) = &report.raised {
        let _ = writeln!(
            out,
            "No profile carries what one node sends. Raise its limits to {} and {} MiB, or let \
             the backend be away for less long (--outage).\n",
            processors(raised.cpu),
            raised.memory_mib
        );
    }
    let _ = writeln!(out, "{:<26}{:>16}{:>20}{:>20}", "", "DaemonSet", "pool of agents", "pool of Collectors");
    let fleets = [&report.daemonset, &report.agent_pool, &report.collector_pool];
    row(&mut out, "pods", fleets, |fleet| fleet.pods.to_string());
    row(&mut out, "profile", fleets, |fleet| fleet.profile.map_or("-", super::Profile::name).to_owned());
    row(&mut out, "processors requested", fleets, |fleet| short(fleet.cpu_requested));
    row(&mut out, "processors used", fleets, |fleet| short(fleet.cpu_used));
    row(&mut out, "memory requested", fleets, |fleet| format!("{} MiB", short(fleet.memory_requested_mib)));
    row(&mut out, "headroom, processor", fleets, |fleet| percent(fleet.cpu_headroom));
    row(&mut out, "headroom, memory", fleets, |fleet| fleet.memory_headroom.map_or("not known".to_owned(), percent));
    let network = &report.network;
    let leaves = percent(network.pool_leaves_node);
    let hops = [network.hops_daemonset, network.hops_pool, network.hops_pool].map(|hops| hops.to_string());
    cells(&mut out, "hops to the backend", &hops);
    cells(&mut out, "requests that leave a node", &["0 %".to_owned(), leaves.clone(), leaves]);
    let pool = bytes_per_second(network.saved_bytes_per_second);
    cells(&mut out, "bytes between nodes", &["0 B/s".to_owned(), pool.clone(), pool]);
    let connections = [network.backend_connections_daemonset, report.agent_pool.pods, network.backend_connections_pool];
    cells(&mut out, "connections to backend", &connections.map(|count| count.to_string()));
    let _ = writeln!(
        out,
        "\nA DaemonSet saves {} between nodes, {} GB in 30 days.\nOne agent: {} processors ({} s for a million items at \
         this load), {} MiB at the end of an outage.\n",
        bytes_per_second(network.saved_bytes_per_second),
        short(network.saved_gb_per_month),
        short(report.each_agent.cpu),
        short(report.each_agent.cpu_per_million),
        short(report.each_agent.memory_mib),
    );
    list(&mut out, "Measured by us", &report.figures.measured);
    list(&mut out, "Published by others", &report.figures.published);
    list(&mut out, "Assumed", &report.figures.assumed);
    out
}

fn row(out: &mut String, name: &str, fleets: [&Fleet; 3], cell: impl Fn(&Fleet) -> String) {
    cells(out, name, &fleets.map(cell));
}

fn cells(out: &mut String, name: &str, cells: &[String; 3]) {
    let [daemonset, agents, collectors] = cells;
    let _ = writeln!(out, "{name:<26}{daemonset:>16}{agents:>20}{collectors:>20}");
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    let _ = writeln!(out, "{title}:");
    for line in lines {
        let _ = writeln!(out, "  - {line}");
    }
}

fn processors(count: f64) -> String {
    if count <= 1.0 { format!("{count} processor") } else { format!("{count} processors") }
}

/// A number as short as it says something.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// A rate of bytes: `12.5 MB/s`.
pub(super) fn bytes_per_second(bytes: f64) -> String {
    const UNITS: [(&str, f64); 3] = [("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3)];
    let unit = UNITS.into_iter().find(|(_, size)| bytes >= *size);
    unit.map_or_else(|| format!("{bytes:.0} B/s"), |(unit, size)| format!("{:.1} {unit}", bytes / size))
}
