//! `otel-agent demo --once` as a new user runs it.

use std::process::Command;

#[test]
fn every_item_of_the_demo_arrives_and_the_ledger_balances() {
    let output = Command::new(env!("CARGO_BIN_EXE_otel-agent")).args(["demo", "--once"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("Every item arrived with the attributes, and the ledger balances"), "{text}");
    assert!(text.contains("+ k8s.cluster.name: demo"), "{text}");
    assert_eq!(errors, "", "nothing to warn about");
}
