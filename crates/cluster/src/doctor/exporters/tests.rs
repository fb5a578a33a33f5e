use crate::doctor::played::{ago, find, healthy, ids};
use crate::doctor::{Finding, Severity};
use crate::snapshot::Seen;
use crate::snapshot::inside::{Inside, Samples};

/// What is found with these metrics before and after 4 seconds, and this log.
fn found(before: &str, after: &str, log: &[String]) -> Vec<Finding> {
    let page = |up: u32, rest: &str| Samples::parse(&format!("otelcol_process_uptime {up}\n{rest}"));
    let inside = Inside {
        pod: "otel-agent-n1".to_owned(),
        metrics: Some(Seen::Known(page(104, after))),
        earlier: Some(page(100, before)),
        log: Some(Seen::Known(log.to_vec())),
        ..Inside::default()
    };
    let mut snapshot = healthy();
    snapshot.agents[0].inside = vec![inside];
    find(&snapshot)
}

fn line(seconds: i64, text: &str, error: &str) -> String {
    format!(
        "{}\tinfo\t{text}\t{{\"exporter\": \"otlp\", \"signal\": \"traces\", \"error\": \"{error}\"}}",
        ago(seconds)
    )
}

const RETRY: &str = "Exporting failed. Will retry the request after interval.";
const DROP: &str = "Exporting failed. Dropping data.";
const CLOSED: &str = "backend:4317 refused the connection: nothing listens there; check the port and that it is up";

#[test]
fn what_the_log_says_now_tells_the_kind() {
    let of = |error: &str, text: &str| found("", "", &[line(5, text, error)]);
    assert_eq!(ids(&of(CLOSED, RETRY)), ["exporter-unreachable"]);
    assert_eq!(
        of(CLOSED, RETRY)[0].title,
        "The backend refuses connections: nothing listens there, seen at otel-agent-n1"
    );
    assert_eq!(ids(&of("the name `b.c` does not resolve (x)", RETRY)), ["exporter-unreachable"]);
    assert_eq!(ids(&of("permission denied: bad token", DROP)), ["exporter-refused"]);
    assert_eq!(ids(&of("odd", RETRY)), ["exporter-failing"]);
}

#[test]
fn what_is_over_is_not_told() {
    assert_eq!(found("", "", &[line(600, RETRY, CLOSED)]), []);
    // It sends again.
    let sent = |items: u32| format!("otelcol_exporter_sent_spans{{exporter=\"otlp\"}} {items}\n");
    assert_eq!(found(&sent(10), &sent(20), &[line(5, RETRY, CLOSED)]), []);
    assert_eq!(ids(&found(&sent(10), &sent(10), &[line(5, RETRY, CLOSED)])), ["exporter-unreachable"]);
    // All of it has been sent, and nothing new came since.
    assert_eq!(found(&sent(10), &sent(10), &[line(15, RETRY, CLOSED)]), []);
    let waiting = sent(10) + "otel_agent_ledger_held_items{exporter=\"otlp\"} 5\n";
    assert_eq!(ids(&found(&sent(10), &waiting, &[line(15, RETRY, CLOSED)])), ["exporter-unreachable"]);
}

#[test]
fn figures_tell_where_no_log_is_seen() {
    let page = |retries: u32| format!("otel_agent_exporter_retries{{exporter=\"otlp\"}} {retries}\n");
    let found = found(&page(1), &page(9), &[]);
    assert_eq!(ids(&found), ["exporter-failing"]);
    assert_eq!(found[0].evidence, ["pod otel-agent-n1: within 4 s 0 items given up, 8 attempts made again, none sent"]);
}

#[test]
fn a_queue_that_fills_says_when_it_is_full() {
    let page = |size: u32| {
        let labels = "{exporter=\"otlp\",data_type=\"traces\"}";
        format!("otelcol_exporter_queue_size{labels} {size}\notelcol_exporter_queue_capacity{labels} 1000\n")
    };
    let filling = found(&page(560), &page(600), &[]);
    assert_eq!(ids(&filling), ["exporter-queue"]);
    assert_eq!(filling[0].severity, Severity::Warning);
    assert_eq!(filling[0].title, "The sending queue fills and is full in 40 s");
    assert_eq!(
        filling[0].evidence,
        ["pod otel-agent-n1, traces: 600 of 1 000 (60 %), grows by 10.0 a second, full in 40 s"]
    );
    assert_eq!(found(&page(600), &page(590), &[]), []);
    assert_eq!(found(&page(100), &page(200), &[]), []);
    assert_eq!(found(&page(1000), &page(1000), &[])[0].severity, Severity::Error);
}

#[test]
fn losses_and_refusals_have_their_reasons() {
    let lost = |reason: &str, items: u32| {
        format!("otel_agent_ledger_dropped_items{{exporter=\"otlp\",reason=\"{reason}\"}} {items}\n")
    };
    let found_lost = found("", &(lost("retries_exhausted", 1200) + &lost("filtered", 9) + &lost("shutdown", 0)), &[]);
    assert_eq!(ids(&found_lost), ["exporter-lost"]);
    assert_eq!(
        found_lost[0].evidence,
        [
            "pod otel-agent-n1: 1 200 items since it started 104 s ago, 1 200 within the last 4 s, given up after all attempts \
             (retry_on_failure::max_elapsed_time)"
        ]
    );
    let refused = |requests: u32| format!("otel_agent_receiver_refused_requests{{reason=\"memory\"}} {requests}\n");
    // What was refused before is told with the memory.
    assert_eq!(ids(&found(&refused(50), &refused(50), &[])), ["limiter-refusing"]);
    let found = found(&refused(50), &refused(70), &[]);
    assert_eq!(ids(&found), ["receiver-refusing"]);
    assert_eq!(found[0].evidence, ["pod otel-agent-n1: 20 requests refused within 4 s, 70 since it started 104 s ago"]);
}
