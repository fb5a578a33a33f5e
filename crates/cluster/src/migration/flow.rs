//! What the old collector and the agents say of their own flow: their metrics, read twice.

use std::collections::BTreeMap;

use serde::Serialize;

/// Both, over the same time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Seconds between the two readings.
    pub seconds: f64,
    /// The old collector.
    pub old: Side,
    /// The agents.
    pub new: Side,
    /// Nodes that should have an agent, and agents that are ready; unknown before there are any.
    pub agents_wanted: Option<u64>,
    /// Agents that are ready.
    pub agents_ready: u64,
}

/// The pods of one of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Its pods that were read.
    pub pods: Vec<Pod>,
    /// Pods that could not be read, and why.
    pub unread: Vec<String>,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Items that it took in the time between.
    pub accepted: f64,
    /// Items that it sent.
    pub sent: f64,
    /// Items that it could not send.
    pub failed: f64,
    /// Items that it refused.
    pub refused: f64,
    /// What waits in its queues at the end.
    pub queued: f64,
    /// All that it took since it started.
    pub accepted_ever: f64,
    /// All that it sent since it started.
    pub sent_ever: f64,
    /// Through which receivers it took items in the time between.
    pub receivers: Vec<String>,
}

/// The counters of one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// By the name without `_total`, and the labels as written.
    values: BTreeMap<(String, String), f64>,
}

impl Counters {
    /// Reads an exposition.
    ///
    /// # Errors
    /// It has no metric of a Collector.
    pub fn read(text: &str) -> Result<Counters, String> {
        let mut values = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("otelcol_")) {
            let Some((series, value)) = line.rsplit_once(' ').filter(|(_, value)| value.parse::<f64>().is_ok()) else {
                continue;
            };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let name = name.trim_end_matches("_total").to_owned();
            if let Ok(value) = value.parse() {
                values.insert((name, labels.trim_end_matches('}').to_owned()), value);
            }
        }
        if values.is_empty() {
            return Err("what it answered has no metric that begins with `otelcol_`".to_owned());
        }
        Ok(Counters { values })
    }

    /// The sum over all series whose name begins so: signals are told apart by the end of the name.
    fn sum(&self, prefix: &str) -> f64 {
        // An empty sum is -0.
        self.matching(prefix).map(|(_, value)| value).sum::<f64>() + 0.0
    }

    fn matching<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a (String, String), f64)> {
        const UNITS: [&str; 4] = ["spans", "metric_points", "log_records", "profile_samples"];
        self.values.iter().filter_map(move |(key, value)| {
            let rest = key.0.strip_prefix(prefix)?;
            (rest.is_empty() || UNITS.iter().any(|unit| rest.starts_with(unit))).then_some((key, *value))
        })
    }
}

/// What happened in a pod between two readings; an error if it was started anew meanwhile.
pub(super) fn between(name: &str, before: &Counters, after: &Counters) -> Result<Pod, String> {
    const ACCEPTED: &str = "otelcol_receiver_accepted_";
    let more = |prefix: &str| after.sum(prefix) - before.sum(prefix);
    let accepted = more(ACCEPTED);
    let sent = more("otelcol_exporter_sent_");
    if accepted < 0.0 || sent < 0.0 {
        return Err(format!("{name} was started anew while it was looked at; look again"));
    }
    let mut receivers: Vec<String> = after
        .matching(ACCEPTED)
        .filter(|(key, value)| *value > before.values.get(*key).copied().unwrap_or(0.0))
        .filter_map(|(key, _)| label(&key.1, "receiver"))
        .collect();
    receivers.sort();
    receivers.dedup();
    Ok(Pod {
        name: name.to_owned(),
        accepted,
        sent,
        failed: more("otelcol_exporter_send_failed_") + more("otelcol_exporter_enqueue_failed_"),
        refused: more("otelcol_receiver_refused_"),
        queued: after.sum("otelcol_exporter_queue_size"),
        accepted_ever: after.sum(ACCEPTED),
        sent_ever: after.sum("otelcol_exporter_sent_"),
        receivers,
    })
}

/// The value of a label.
fn label(labels: &str, name: &str) -> Option<String> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

impl Side {
    /// A sum over its pods.
    #[must_use]
    pub fn sum(&self, of: impl Fn(&Pod) -> f64) -> f64 {
        // An empty sum is -0.
        self.pods.iter().map(of).sum::<f64>() + 0.0
    }

    /// Receivers that took something, of any pod.
    #[must_use]
    pub fn receivers(&self) -> Vec<String> {
        let mut all: Vec<String> = self.pods.iter().flat_map(|pod| pod.receivers.clone()).collect();
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_with_and_without_total_and_over_all_signals() {
        let before = Counters::read(
            "# TYPE otelcol_receiver_accepted_spans_total counter\n\
             otelcol_receiver_accepted_spans_total{receiver=\"otlp\",transport=\"grpc\"} 10\n\
             otelcol_receiver_accepted_log_records{receiver=\"otlp\"} 5\n\
             otelcol_exporter_sent_spans_total{exporter=\"otlp\"} 8\n",
        )
        .unwrap();
        let after = Counters::read(
            "otelcol_receiver_accepted_spans_total{receiver=\"otlp\",transport=\"grpc\"} 10\n\
             otelcol_receiver_accepted_log_records{receiver=\"otlp\"} 7\n\
             otelcol_exporter_queue_size{exporter=\"otlp\"} 3\n\
             otelcol_exporter_queue_capacity{exporter=\"otlp\"} 1000\n\
             otelcol_exporter_sent_spans_total{exporter=\"otlp\"} 10\n",
        )
        .unwrap();
        let pod = between("old-0", &before, &after).unwrap();
        assert_eq!((pod.accepted, pod.sent, pod.queued, pod.accepted_ever), (2.0, 2.0, 3.0, 17.0));
        assert_eq!(pod.receivers, ["otlp"]);
        assert!(between("old-0", &after, &before).unwrap_err().contains("started anew"));
        assert!(Counters::read("go_goroutines 3\n").is_err());
    }
}
