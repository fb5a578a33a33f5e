//! What the agents' own metrics say, and how fast it changes: they are read twice, some seconds apart.

use std::collections::BTreeMap;

use super::Finding;
use crate::snapshot::inside::{Inside, Samples};
use crate::snapshot::{Agent, Seen};

/// The metrics of one pod.
#[derive(Clone, Copy)]
pub(super) struct Figures<'a> {
    pub(super) inside: &'a Inside,
    pub(super) now: &'a Samples,
    earlier: Option<&'a Samples>,
    /// Seconds between the two.
    seconds: f64,
}

/// Of all pods whose metrics could be read.
pub(super) fn figures(agent: &Agent) -> impl Iterator<Item = Figures<'_>> {
    agent.inside.iter().filter_map(|inside| {
        let now = inside.metrics.as_ref().and_then(Seen::some)?;
        let up = |samples: &Samples| samples.sum("otelcol_process_uptime");
        let between = inside.earlier.as_ref().and_then(|earlier| Some((earlier, up(now)? - up(earlier)?)));
        // After a restart the two have nothing to do with each other.
        let between = between.filter(|(_, seconds)| *seconds > 0.5);
        Some(Figures {
            inside,
            now,
            earlier: between.map(|(earlier, _)| earlier),
            seconds: between.map_or(0.0, |(_, s)| s),
        })
    })
}

/// The value of each combination of labels.
pub(super) type Sums = BTreeMap<Vec<String>, f64>;

impl<'a> Figures<'a> {
    /// The sums over the series of metrics that agree in these labels.
    pub(super) fn sums(&self, names: &[&str], labels: &[&str]) -> Sums {
        sums(self.now, names, labels)
    }

    /// By how much each grew between the two times; what did not is left out.
    pub(super) fn growth(&self, names: &[&str], labels: &[&str]) -> Sums {
        let Some(earlier) = self.earlier else { return Sums::new() };
        let before = sums(earlier, names, labels);
        let grown = self.sums(names, labels).into_iter().map(|(key, now)| {
            let grown = now - before.get(&key).copied().unwrap_or_default();
            (key, grown)
        });
        grown.filter(|(_, grown)| *grown > 0.0).collect()
    }

    /// Seconds between the two times; 0 if there is only one.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// `since it started 3 h ago`: from when its counters count.
    pub(super) fn since(&self) -> String {
        match self.now.sum("otelcol_process_uptime") {
            Some(up) => format!("since it started {} ago", seconds(up)),
            None => "since it started".to_owned(),
        }
    }

    /// `, none within the last 4 s`, of what grew so much between the two times; nothing if there is only one.
    pub(super) fn lately(&self, grown: f64) -> String {
        match (self.earlier, grown > 0.0) {
            (None, _) => String::new(),
            (_, true) => format!(", {} within the last {}", number(grown), seconds(self.seconds)),
            (_, false) => format!(", none within the last {}", seconds(self.seconds)),
        }
    }

    /// The pod.
    pub(super) fn pod(&self) -> &'a str {
        &self.inside.pod
    }
}

fn sums(samples: &Samples, names: &[&str], labels: &[&str]) -> Sums {
    let mut sums = Sums::new();
    for name in names {
        for sample in samples.of(name) {
            let key = labels.iter().map(|label| sample.labels.get(*label).cloned().unwrap_or_default()).collect();
            *sums.entry(key).or_default() += sample.value;
        }
    }
    sums
}

/// Adds how one sees that a finding is mended which comes from counters, since they never go back.
pub(super) fn until_mended(finding: Finding) -> Finding {
    let look = format!("otel-agent doctor --only={}", finding.id);
    finding.advise(format!(
        "To see that it is mended: run {look} twice, some minutes apart. It is when the numbers no longer grow. They count from \
         the start of each agent, and go back to 0 when it starts anew."
    ))
}

/// `1234567` as `1 234 567`, without a fraction.
pub(super) fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `40 s`, `12 min`, `3 h`.
pub(super) fn seconds(value: f64) -> String {
    match value {
        value if value < 120.0 => format!("{value:.0} s"),
        value if value < 7_200.0 => format!("{:.0} min", value / 60.0),
        value => format!("{:.0} h", value / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_what_came_between_the_two_times() {
        let agent = Agent {
            inside: vec![Inside {
                pod: "a".to_owned(),
                metrics: Some(Seen::Known(Samples::parse("otelcol_process_uptime 14\nx{e=\"1\"} 7\nx{e=\"2\"} 5\n"))),
                earlier: Some(Samples::parse("otelcol_process_uptime 10\nx{e=\"1\"} 3\nx{e=\"2\"} 5\n")),
                ..Inside::default()
            }],
            ..Agent::default()
        };
        let one = figures(&agent).next().unwrap();
        assert_eq!(one.growth(&["x"], &["e"]), [(vec!["1".to_owned()], 4.0)].into());
        assert!((one.seconds() - 4.0).abs() < 1e-9);
        assert_eq!(
            (one.since(), one.lately(0.0)),
            ("since it started 14 s ago".to_owned(), ", none within the last 4 s".to_owned())
        );
        assert_eq!(one.lately(7.0), ", 7 within the last 4 s");
    }

    #[test]
    fn numbers_are_grouped_and_times_have_one_unit() {
        assert_eq!(
            (number(1_234_567.0), number(12.0), number(0.4)),
            ("1 234 567".to_owned(), "12".to_owned(), "0".to_owned())
        );
        assert_eq!(
            (seconds(40.0), seconds(600.0), seconds(20_000.0)),
            ("40 s".to_owned(), "10 min".to_owned(), "6 h".to_owned())
        );
    }
}
