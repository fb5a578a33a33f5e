use serde_json::json;

use super::times;
use crate::doctor::played::{ago, change_pod, find, find_with, healthy, ids, parsed, seen, understood};
use crate::doctor::{Finding, Limiter, Severity, Understood};
use crate::snapshot::inside::{Inside, Samples};
use crate::snapshot::{Seen, Snapshot};

fn with_limiter(limiter: Option<Limiter>) -> Vec<Finding> {
    find_with(&healthy(), &Understood { limiter, ..understood() })
}

fn with_metrics(text: &str) -> Snapshot {
    let mut snapshot = healthy();
    let metrics = Some(Seen::Known(Samples::parse(text)));
    snapshot.agents[0].inside = vec![Inside { pod: "otel-agent-n1".to_owned(), metrics, ..Inside::default() }];
    snapshot
}

#[test]
fn a_limiter_at_or_above_the_containers_limit_comes_too_late() {
    let mut snapshot = healthy();
    let configuration = seen(&mut snapshot.agents[0].configuration).as_mut().unwrap();
    configuration.text = configuration.text.replace("384", "512");
    let findings = find_with(&snapshot, &Understood { limiter: Some(Limiter::Mib(512)), ..understood() });
    assert_eq!(ids(&findings), ["limiter-too-high"]);
    assert_eq!(findings[0].severity, Severity::Error);
    assert_eq!(
        findings[0].remedy[0].command.as_deref().unwrap(),
        "kubectl --namespace=open-telemetry get configmap otel-agent --output=yaml | sed 's/\\blimit_mib: 512\\b/limit_mib: 384/' \
         | kubectl apply -f -\nkubectl --namespace=open-telemetry rollout restart daemonset/otel-agent"
    );
    assert_eq!(
        findings[0].remedy[1].command.as_deref().unwrap(),
        "kubectl --namespace=open-telemetry set resources daemonset/otel-agent --containers=otel-agent --limits=memory=683Mi"
    );
}

#[test]
fn a_limiter_just_below_is_a_warning_and_one_with_room_is_fine() {
    for (limiter, expected) in [
        (Limiter::Mib(470), Some(Severity::Warning)),
        (Limiter::Percentage(95), Some(Severity::Warning)),
        (Limiter::Percentage(100), Some(Severity::Error)),
        (Limiter::Mib(460), None),
        (Limiter::Percentage(90), None),
    ] {
        let findings = with_limiter(Some(limiter));
        assert_eq!(findings.first().map(|finding| finding.severity), expected, "{limiter:?}: {findings:?}");
    }
    assert_eq!(ids(&with_limiter(None)), ["limiter-missing"]);
    let broken = Understood { limiter: None, errors: vec!["line 1: no".to_owned()], ..understood() };
    assert!(!ids(&find_with(&healthy(), &broken)).contains(&"limiter-missing"), "what it has is not known");
}

#[test]
fn an_agent_that_was_killed_for_memory_is_told_with_limits_and_batches() {
    let mut snapshot = healthy();
    change_pod(&mut snapshot, "n1", |pod| {
        let status = &mut pod.status.container_statuses[0];
        status.restart_count = 2;
        status.last_state =
            parsed(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(90)}}));
    });
    let configuration = seen(&mut snapshot.agents[0].configuration).as_mut().unwrap();
    configuration.text = configuration.text.replace("1024", "8192");
    let findings = find_with(&snapshot, &Understood { batch_items: Some(8_192), ..understood() });
    assert_eq!(ids(&findings), ["oom-killed"]);
    assert_eq!(findings[0].evidence[0], "otel-agent-n1 on n1: OOMKilled 90 s ago, 2 restarts");
    let commands: Vec<&str> = findings[0].remedy.iter().filter_map(|remedy| remedy.command.as_deref()).collect();
    assert!(commands[0].ends_with("--limits=memory=1024Mi"), "{commands:?}");
    assert!(findings[0].remedy[0].explanation.contains("limit_mib be 768"), "{:?}", findings[0].remedy);
    assert!(commands[1].contains("send_batch_size: 1024"), "{commands:?}");
    // It is history after a while.
    change_pod(&mut snapshot, "n1", |pod| {
        pod.status.container_statuses[0].last_state =
            parsed(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(9_000)}}));
    });
    assert_eq!(find(&snapshot), []);
}

#[test]
fn its_own_metrics_tell_of_memory_that_runs_out() {
    assert_eq!(find(&with_metrics("otelcol_process_memory_rss 300000000\n")), []);
    let findings = find(&with_metrics("otelcol_process_memory_rss 500000000\n"));
    assert_eq!(ids(&findings), ["memory-near-limit"]);
    assert_eq!(findings[0].evidence[0], "otel-agent-n1 uses 476 MiB of 512 MiB");
    let refused = "otelcol_processor_memory_limiter_refused_spans_total{processor=\"memory_limiter\"} 7\n";
    assert_eq!(ids(&find(&with_metrics(refused))), ["limiter-refusing"]);
    assert_eq!(find(&with_metrics(&refused.replace(" 7", " 0"))), []);
}

#[test]
fn what_was_refused_at_the_door_is_told_since_when_and_only_once() {
    let page = |requests: u32, items: u32, up: u32| {
        format!(
            "otel_agent_receiver_refused_requests_total{{transport=\"grpc\",reason=\"memory\"}} {requests}\n\
             otel_agent_receiver_refused_requests_total{{transport=\"http\",reason=\"memory\"}} {requests}\n\
             otel_agent_receiver_refused_requests_total{{transport=\"http\",reason=\"malformed\"}} 9\n\
             otelcol_processor_memory_limiter_refused_spans_total{{processor=\"memory_limiter\"}} {items}\n\
             otelcol_process_uptime_seconds_total {up}\n"
        )
    };
    let between = |before: String, now: String| {
        let mut snapshot = with_metrics(&now);
        snapshot.agents[0].inside[0].earlier = Some(Samples::parse(&before));
        find(&snapshot)
    };
    let found = between(page(25, 0, 7_296), page(25, 0, 7_300));
    assert_eq!(ids(&found), ["limiter-refusing"]);
    assert_eq!(
        found[0].evidence,
        ["otel-agent-n1, since it started 2 h ago: 50 requests at the door, none within the last 4 s"]
    );
    assert!(found[0].remedy.last().unwrap().explanation.contains("no longer grow"), "{:?}", found[0].remedy);
    // While it refuses it is told with the reason, and not a second time.
    assert_eq!(ids(&between(page(25, 0, 7_296), page(30, 0, 7_300))), ["receiver-refusing"]);
    let found = between(page(0, 40, 10), page(0, 45, 14));
    assert_eq!(
        found[0].evidence,
        ["otel-agent-n1, since it started 14 s ago: 45 items in a pipeline, 5 within the last 4 s"]
    );
    assert_eq!(between(page(0, 0, 10), page(0, 0, 14)), []);
}

#[test]
fn a_container_without_a_limit_is_given_one() {
    let mut snapshot = healthy();
    snapshot.agents[0].controller.spec.template.spec.containers[0].resources.limits.clear();
    let findings = find(&snapshot);
    assert_eq!(ids(&findings), ["memory-limit-missing"]);
    assert!(findings[0].remedy[0].command.as_deref().unwrap().ends_with("--limits=memory=512Mi"));
}

#[test]
fn a_number_is_changed_only_where_it_stands_alone() {
    let text = "limit_mib: 512, spike_limit_mib: 512, other_limit_mib: 5120\n";
    assert_eq!(times(text, "limit_mib: 512"), 1);
    assert_eq!(times(text, "spike_limit_mib: 512"), 1);
    assert_eq!(times(text, "limit_mib: 5"), 0);
}
