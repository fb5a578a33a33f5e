//! What `validate` says about memory: what a configuration makes of the limit of the container.

use std::fmt::Write as _;

use crate::config::Plan;
use crate::exporters;
use crate::pipeline::sizing;
use crate::receivers;
use crate::telemetry::cgroup::{self, Limits};

/// The budget that comes of a plan within these limits, in lines for a person.
#[must_use]
pub fn text(plan: &Plan, limits: Limits) -> String {
    let total = cgroup::memory_total(limits);
    let marks = plan.marks(total);
    let budget = marks.budget(None);
    let mut text = String::new();
    let mut line = |what: &str, says: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {what:<22}{says}");
    };
    line("memory", whose(limits, total));
    let by = if plan.limiters().next().is_some() { "memory_limiter" } else { "no memory_limiter" };
    line(by, format!("{} for the process; new data is refused from {} on", mib(marks.hard), mib(marks.soft)));
    line("without payload", format!("{} for the program and the first connections", mib(sizing::BASE)));
    let (limit, soft) = (budget.limit() as u64, budget.soft() as u64);
    line(
        "payload",
        format!(
            "{}; new data up to {}, counted with {} % of overhead",
            mib(limit),
            mib(soft),
            sizing::OVERHEAD_PERCENT - 100
        ),
    );
    if plan.shares_are_on() {
        line("senders", format!("over their share are refused first from {} on", mib(soft / 2)));
    }
    for (what, says) in beside(plan, limit) {
        line(&what, says);
    }
    text
}

fn whose(limits: Limits, total: Option<u64>) -> String {
    match (limits.memory, total) {
        (Some(limit), _) => format!("{} is the limit of this container", mib(limit)),
        (None, Some(all)) => format!("{} is all that this machine has; in a container its limit counts", mib(all)),
        (None, None) => "unknown; in a container its limit counts".to_owned(),
    }
}

/// What is taken from payload as it grows.
fn beside(plan: &Plan, payload: u64) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (id, config) in &plan.receivers {
        let receivers::Config::Otlp(config) = config;
        for (transport, most) in config.most_connections() {
            let each = sizing::CONNECTION as u64;
            let says = format!(
                "up to {most} connections of {} KiB: {}, taken from payload as they come",
                each >> 10,
                mib(u64::from(most) * each)
            );
            found.push((format!("{id} {transport}"), says));
        }
    }
    for (id, config) in &plan.exporters {
        let exporters::Config::Prometheus(config) = config else { continue };
        let most = config.max_series_bytes.as_u64();
        let more = if most > payload { "; more than there is: set `max_series_bytes`" } else { "" };
        found.push((id.to_string(), format!("series up to {}, taken from payload as they come{more}", mib(most))));
    }
    found
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Request, load};

    #[test]
    fn the_budget_that_comes_of_a_limit_is_told() {
        let yaml = "\
receivers: {otlp: {protocols: {grpc: {max_connections: 500}, http: {}}}}
processors: {memory_limiter: {check_interval: 1s, limit_percentage: 80, spike_limit_percentage: 25}}
exporters: {prometheus: {endpoint: '127.0.0.1:8889'}, debug: {}}
service: {pipelines: {metrics: {receivers: [otlp], processors: [memory_limiter], exporters: [prometheus, debug]}}}
";
        let request = Request { configs: vec![format!("yaml:{yaml}")], sets: Vec::new() };
        let plan = load(&request).plan.unwrap();
        let limits = Limits { memory: Some(128 << 20), cpus: None };
        let expected = "  \
  memory                128 MiB is the limit of this container
  memory_limiter        102 MiB for the process; new data is refused from 70 MiB on
  without payload       16 MiB for the program and the first connections
  payload               57 MiB; new data up to 36 MiB, counted with 50 % of overhead
  senders               over their share are refused first from 18 MiB on
  otlp grpc             up to 500 connections of 48 KiB: 23 MiB, taken from payload as they come
  otlp http             up to 4096 connections of 48 KiB: 192 MiB, taken from payload as they come
  prometheus            series up to 128 MiB, taken from payload as they come; more than there is: set `max_series_bytes`
";
        assert_eq!(text(&plan, limits), expected);
        let unlimited = text(&plan, Limits::default());
        assert!(unlimited.contains("is all that this machine has; in a container its limit counts"), "{unlimited}");
    }
}
