use crate::doctor::Understood;
use crate::doctor::played::{find, find_with, healthy, ids, seen};
use crate::snapshot::inside::{Inside, Samples};
use crate::snapshot::{Seen, Snapshot};

const TEXT: &str = "receivers: {}";

/// An agent that runs with a text of that checksum.
fn running(checksum: u32, refused: u32) -> Snapshot {
    let page = format!(
        "otel_agent_config_checksum{{source=\"/etc/otel-agent/agent.yaml\"}} {checksum}\n\
         otel_agent_config_reloads{{outcome=\"refused\"}} {refused}\n\
         otel_agent_process_clock 1000\notel_agent_config_applied 400\n"
    );
    let inside = Inside {
        pod: "otel-agent-n1".to_owned(),
        metrics: Some(Seen::Known(Samples::parse(&page))),
        ..Inside::default()
    };
    let mut snapshot = healthy();
    seen(&mut snapshot.agents[0].configuration).as_mut().unwrap().text = TEXT.to_owned();
    snapshot.agents[0].inside = vec![inside];
    snapshot
}

fn checksum() -> u32 {
    crc32fast::hash(TEXT.as_bytes())
}

#[test]
fn what_runs_is_compared_with_the_config_map() {
    assert_eq!(find(&running(checksum(), 0)), []);
    // Refused once, mended since.
    assert_eq!(find(&running(checksum(), 1)), []);
    let found = find(&running(7, 0));
    assert_eq!(ids(&found), ["config-not-loaded"]);
    assert_eq!(
        found[0].evidence,
        [format!("pod otel-agent-n1 runs a text with checksum 7, since 10 min, the ConfigMap has {}", checksum())]
    );
    assert_eq!(
        found[0].remedy[0].command.as_deref(),
        Some("kubectl --namespace=open-telemetry rollout restart daemonset/otel-agent")
    );
    assert_eq!(ids(&find(&running(7, 2))), ["config-refused"]);
}

#[test]
fn every_error_of_the_text_is_told() {
    let errors = vec!["line 3, receivers::otlp: unknown key".to_owned(), "service: nothing runs".to_owned()];
    let understood = Understood { errors: errors.clone(), ..Understood::default() };
    let found = find_with(&running(checksum(), 0), &understood);
    assert_eq!(ids(&found), ["config-invalid"]);
    assert_eq!(found[0].evidence, errors);
    assert!(found[0].cause.starts_with("A pod that starts with it"), "{}", found[0].cause);
    let found = find_with(&running(7, 1), &understood);
    assert_eq!(ids(&found), ["config-invalid"]);
    assert!(found[0].cause.starts_with("Agents that run go on"), "{}", found[0].cause);
}
