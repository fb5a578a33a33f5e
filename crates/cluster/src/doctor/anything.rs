//! What pods say of themselves is anybody's word: whatever it is, the doctor ends with a report, and without a panic.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::played::{change_pod, find, healthy, parsed};
use crate::snapshot::Seen;
use crate::snapshot::inside::{Inside, Samples};

/// The metrics that the doctor looks at.
const METRICS: &[&str] = &[
    "otel_agent_config_applied",
    "otel_agent_config_checksum",
    "otel_agent_config_reloads_total",
    "otel_agent_exporter_retries",
    "otel_agent_kubernetes_missing_rights",
    "otel_agent_ledger_dropped_items_total",
    "otel_agent_ledger_held_items",
    "otel_agent_receiver_refused_requests_total",
    "otelcol_exporter_queue_capacity",
    "otelcol_exporter_queue_size",
    "otelcol_exporter_send_failed_metric_points_total",
    "otelcol_exporter_sent_metric_points_total",
    "otelcol_process_memory_rss_bytes",
    "otelcol_process_uptime_seconds_total",
    "otelcol_processor_memory_limiter_refused_spans_total",
];

const LABELS: &[&str] = &["exporter", "reason", "processor", "resource", "verb", "checksum", "otel_signal", "receiver"];

fn number() -> impl Strategy<Value = f64> {
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -1.0, 0.0, 1e19];
    prop_oneof![3 => 0.0..1e6, 2 => prop::sample::select(special.to_vec()), 1 => any::<f64>()]
}

fn label() -> impl Strategy<Value = (&'static str, String)> {
    (prop::sample::select(LABELS), prop_oneof![Just("otlp".to_owned()), any::<String>()])
}

/// A page of metrics: samples as they are written, and now and then a line of anything.
fn page() -> impl Strategy<Value = String> {
    let labels = prop::collection::btree_map(prop::sample::select(LABELS), label().prop_map(|(_, text)| text), 0..4);
    let sample = (prop::sample::select(METRICS), labels, number()).prop_map(|(name, labels, value)| {
        let labels: Vec<String> = labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        format!("{name}{{{}}} {value}", labels.join(","))
    });
    let line = prop_oneof![9 => sample, 1 => any::<String>()];
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn log() -> impl Strategy<Value = Vec<String>> {
    let entry = (any::<String>(), any::<String>(), any::<String>())
        .prop_map(|(ts, msg, error)| json!({"level": "error", "ts": ts, "msg": msg, "error": error}).to_string());
    prop::collection::vec(prop_oneof![entry, any::<String>()], 0..10)
}

proptest! {
    #[test]
    fn the_doctor_ends_with_a_report_whatever_a_pod_says(
        (before, now) in (page(), page()),
        (log, last_words, health) in (log(), log(), any::<String>()),
        (ahead, clock) in (number(), any::<i64>()),
        (memory, restarts) in ("[0-9]{1,12}(\\.[0-9]{1,9})?(|m|k|Ki|Mi|Gi|E|Ei|e[0-9]{1,2})", any::<i32>()),
    ) {
        let mut snapshot = healthy();
        change_pod(&mut snapshot, "n1", |pod| {
            let mut status = json!({"name": "otel-agent", "ready": false, "state": {}});
            status["restartCount"] = json!(restarts.max(0));
            status["lastState"] = json!({"terminated": {"exitCode": restarts, "reason": health}});
            pod.status.container_statuses = vec![parsed(status)];
            let limits = json!({"name": "otel-agent", "image": health, "resources": {"limits": {"memory": memory}}});
            pod.spec.containers = vec![parsed(limits)];
        });
        snapshot.agents[0].inside = vec![Inside {
            pod: "otel-agent-n1".to_owned(),
            metrics: Some(Seen::Known(Samples::parse(&now))),
            earlier: Some(Samples::parse(&before)),
            clock: Timestamp::from_second(clock).ok(),
            ahead: Some(ahead),
            health: Some(Seen::Known(health)),
            log: Some(Seen::Known(log)),
            last_words: Some(Seen::Known(last_words)),
        }];
        for finding in find(&snapshot) {
            prop_assert!(!finding.title.is_empty(), "{finding:?}");
        }
    }

    #[test]
    fn a_label_is_read_as_it_was_meant(text in any::<String>(), value in 0.0..1e9) {
        let samples = Samples::parse(&format!("a{{x=\"{}\",y=\"z\"}} {value}", escaped(&text)));
        // A sample is a line: another kind of line end is no part of a label.
        prop_assume!(!text.contains('\r'));
        let sample = samples.of("a").next().unwrap();
        prop_assert_eq!((&sample.labels["x"], sample.value), (&text, value));
    }
}
