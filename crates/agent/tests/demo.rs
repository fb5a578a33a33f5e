//! `otel-agent demo --once` as a new user runs it.

use std::net::TcpListener;
use std::process::Command;

#[test]
fn every_item_of_the_demo_arrives_and_the_ledger_balances() {
    // A Collector that already runs here; if there is one indeed, all the better.
    let _taken = TcpListener::bind(("127.0.0.1", 4318));
    let output = Command::new(env!("CARGO_BIN_EXE_otel-agent"))
        .args(["demo", "--once"])
        .env_clear()
        .env("OTEL_TRACES_SAMPLER", "always_off")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("Every item arrived with the attributes, and the ledger balances"), "{text}");
    assert!(text.contains("+ k8s.cluster.name: demo"), "{text}");
    assert!(text.contains("+ k8s.deployment.name: fastapi-"), "{text}");
    assert!(text.contains("+ k8s.node.name: node-"), "{text}");
    assert!(text.contains("Port 4318 is taken by another program"), "{text}");
    assert_eq!(errors, "", "nothing to warn about");
}
