//! The pods of a node, as a list that the agent reads: what `k8s_attributes` is measured with.

use std::fmt::Write as _;
use std::path::Path;

use crate::load::pod_address;

/// How many pods there are.
pub(crate) const KNOWN: u16 = 500;
/// How many of them send under load.
pub(crate) const SENDING: u16 = 200;
/// How many labels each has.
pub(crate) const LABELS: usize = 20;

/// The processor with the attributes that most installations add, and with all labels if that is wanted.
pub(crate) fn processor(list: &Path, labels: bool) -> String {
    let labels = if labels { "      labels: [{key_regex: 'example.com/.*'}]\n" } else { "" };
    format!(
        "  k8s_attributes:
    source: file
    pods_file: '{}'
    extract:
      metadata: [k8s.namespace.name, k8s.deployment.name, k8s.pod.name, k8s.pod.uid, k8s.node.name]
{labels}",
        list.display()
    )
}

/// The list, as `kubectl get pods -o yaml` prints it.
pub(crate) fn list() -> String {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for index in 0..KNOWN {
        let labels: String =
            (0..LABELS).map(|label| format!("example.com/label-{label}: value-{index}-{label}, ")).collect();
        let deployment = format!("service-{}", index / 5);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  - metadata:
      name: {deployment}-5d4f8c7b9d-x{index:04}
      namespace: namespace-{}
      uid: 3f1c0b5e-6d0a-4e0e-9d55-{index:012}
      creationTimestamp: \"2026-11-20T08:15:02Z\"
      labels: {{{labels}pod-template-hash: 5d4f8c7b9d}}
      ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: {deployment}-5d4f8c7b9d, controller: true}}]
    spec: {{nodeName: node-1, containers: [{{name: app, image: \"registry.example.com/{deployment}:1.2.3\"}}]}}
    status: {{podIP: {}, hostIP: 192.0.2.11, phase: Running}}",
            index / 50,
            pod_address(index)
        );
    }
    text
}
