use serde_json::json;

use crate::doctor::played::{ago, find, find_with, healthy, ids, parsed, seen, understood};
use crate::doctor::{NotByUid, Pipeline, Severity, Understood};
use crate::snapshot::access::Reviewed;
use crate::snapshot::controllers::Controller;
use crate::snapshot::inside::{Inside, Samples};
use crate::snapshot::{Right, Seen, Snapshot};

fn reviewed(verb: &str, resource: &str, allowed: bool) -> Reviewed {
    Reviewed { right: Right::everywhere(verb, "", resource), allowed }
}

fn said(snapshot: &mut Snapshot, page: &str, log: &[String]) {
    snapshot.agents[0].inside = vec![Inside {
        pod: "otel-agent-n1".to_owned(),
        metrics: Some(Seen::Known(Samples::parse(page))),
        log: Some(Seen::Known(log.to_vec())),
        ..Inside::default()
    }];
}

#[test]
fn a_right_that_is_missing_is_granted_by_the_commands() {
    let mut snapshot = healthy();
    snapshot.agents[0].access = Seen::Known(vec![
        reviewed("list", "pods", false),
        reviewed("watch", "pods", false),
        reviewed("get", "nodes", true),
    ]);
    let found = find(&snapshot);
    assert_eq!(ids(&found), ["attributes-rights"]);
    assert_eq!(
        found[0].remedy[0].command.as_deref().unwrap(),
        "kubectl create clusterrole otel-agent-pods --verb=list,watch --resource=pods --dry-run=client --output=yaml | \
         kubectl auth reconcile --filename=-\n\
         kubectl create clusterrolebinding otel-agent-pods --clusterrole=otel-agent-pods \
         --serviceaccount=open-telemetry:otel-agent --dry-run=client --output=yaml | kubectl auth reconcile --filename=-"
    );
}

#[test]
fn without_a_review_the_agents_own_words_count() {
    let line = format!(
        "{}\twarn\tThe agent lacks a permission of Kubernetes; it goes on without what it is for.\t{{\"right\": \"list and watch pods\", \
         \"error\": \"pods is forbidden: User \\\"a\\\" cannot list\", \"remedy\": \"kubectl create clusterrole a && kubectl b\"}}",
        ago(60)
    );
    let mut snapshot = healthy();
    snapshot.agents[0].access = Seen::Known(Vec::new());
    said(&mut snapshot, "otel_agent_kubernetes_missing_rights{resource=\"pods\"} 1\n", std::slice::from_ref(&line));
    let found = find(&snapshot);
    assert_eq!(ids(&found), ["attributes-rights"]);
    assert_eq!(found[0].evidence.len(), 2, "{:?}", found[0].evidence);
    assert_eq!(found[0].remedy[0].command.as_deref(), Some("kubectl create clusterrole a\nkubectl b"));
    // By its figures it has them by now.
    said(&mut snapshot, "otel_agent_kubernetes_missing_rights{resource=\"pods\"} 0\n", &[line]);
    assert_eq!(find(&snapshot), []);
}

fn pipeline(name: &str, processors: &[&str]) -> Pipeline {
    let processors = processors.iter().map(ToString::to_string).collect();
    Pipeline { name: name.to_owned(), receivers: vec!["otlp".to_owned()], processors }
}

#[test]
fn pipelines_are_judged_by_what_is_in_them_and_in_which_order() {
    let of = |pipelines: &[Pipeline]| {
        let understood = Understood { pipelines: pipelines.to_vec(), ..understood() };
        ids(&find_with(&healthy(), &understood))
    };
    let good = pipeline("metrics", &["memory_limiter", "k8s_attributes", "batch"]);
    assert_eq!(of(std::slice::from_ref(&good)), [""; 0]);
    assert_eq!(of(&[good.clone(), pipeline("logs", &["batch"])]), ["attributes-pipeline"]);
    assert_eq!(of(&[pipeline("logs", &["batch"])]), ["attributes-absent"]);
    assert_eq!(of(&[pipeline("logs", &["batch/2", "k8sattributes/x"])]), ["attributes-order"]);
    let passing = Understood { passthrough: vec!["k8s_attributes".to_owned()], pipelines: vec![good], ..understood() };
    assert_eq!(ids(&find_with(&healthy(), &passing)), ["attributes-passthrough"]);
}

fn misses(reason: &str, misses: u32) -> String {
    format!(
        "otelcol_k8s_pod_association{{status=\"success\"}} 600\notelcol_k8s_pod_association{{status=\"error\"}} 400\n\
         otel_agent_k8s_association_misses{{reason=\"{reason}\"}} {misses}\n"
    )
}

#[test]
fn misses_are_told_by_reason_and_few_are_not() {
    let of = |reason: &str, number: u32| {
        let mut snapshot = healthy();
        said(&mut snapshot, &misses(reason, number), &[]);
        find(&snapshot)
    };
    for (reason, id) in [
        ("node", "attributes-source-nat"),
        ("bridge", "attributes-source-nat"),
        ("mesh", "attributes-mesh"),
        ("host_network", "attributes-host-network"),
        ("unknown", "attributes-other-node"),
        ("no_such_pod", "attributes-unmatched"),
    ] {
        let found = of(reason, 400);
        assert_eq!(ids(&found), [id]);
        let expected = format!(
            "pod otel-agent-n1 on node n1: 400 of 1 000 resources (40 %) for reason `{reason}` since it started"
        );
        assert_eq!(found[0].evidence[0], expected);
        assert_eq!(of(reason, 9), []);
    }
    assert_eq!(of("ended", 400), []);
    assert_eq!(of("not_synced", 400), []);
}

#[test]
fn what_is_missed_no_longer_is_said_to_be_over() {
    let page = |up: u32, found: u32, missed: u32| {
        format!(
            "otelcol_process_uptime {up}\notelcol_k8s_pod_association{{status=\"success\"}} {found}\n\
             otelcol_k8s_pod_association{{status=\"error\"}} {missed}\n\
             otel_agent_k8s_association_misses{{reason=\"host_network\"}} {missed}\n"
        )
    };
    let between = |before: String, now: String| {
        let mut snapshot = healthy();
        said(&mut snapshot, &now, &[]);
        snapshot.agents[0].inside[0].earlier = Some(Samples::parse(&before));
        find(&snapshot).remove(0)
    };
    let goes_on = between(page(10_796, 600, 399), page(10_800, 620, 400));
    assert_eq!(goes_on.severity, Severity::Warning);
    assert_eq!(
        goes_on.evidence,
        [
            "pod otel-agent-n1 on node n1: 400 of 1 020 resources (39 %) for reason `host_network` since it started 3 h ago, \
          1 of 21 within the last 4 s"
        ]
    );
    assert!(goes_on.remedy.last().unwrap().explanation.contains("otel-agent doctor --only=attributes-host-network"));
    let over = between(page(10_796, 600, 400), page(10_800, 700, 400));
    assert_eq!(over.severity, Severity::Note);
    assert!(over.evidence[1].contains("seems to be over"), "{:?}", over.evidence);
    // Of so few one would not have expected any.
    assert_eq!(between(page(10_796, 600, 400), page(10_800, 610, 400)).severity, Severity::Warning);
}

#[test]
fn senders_name_themselves_in_vain_where_nobody_looks() {
    let with = |is_listed| {
        let mut snapshot = healthy();
        said(&mut snapshot, &misses("node", 400), &[]);
        let not_by_uid = vec![NotByUid { processor: "k8s_attributes".to_owned(), is_listed }];
        find_with(&snapshot, &Understood { not_by_uid, ..understood() }).remove(0)
    };
    for (is_listed, write) in [
        (true, "put in front of the entries: - {sources: [{from: resource_attribute, name: k8s.pod.uid}]}"),
        (false, "{from: resource_attribute, name: k8s.pod.ip}]}, {sources: [{from: connection}]}]"),
    ] {
        let found = with(is_listed);
        assert_eq!(found.id, "attributes-source-nat");
        assert_eq!(
            found.remedy[0].command.as_deref(),
            Some("kubectl --namespace=open-telemetry edit configmap otel-agent")
        );
        assert!(found.remedy[0].explanation.ends_with(write), "{}", found.remedy[0].explanation);
    }
    let mut snapshot = healthy();
    said(&mut snapshot, &misses("node", 400), &[]);
    assert_eq!(find(&snapshot)[0].remedy[0].command, None);
}

#[test]
fn senders_on_the_hosts_network_are_told_how_to_name_themselves() {
    let mut snapshot = healthy();
    said(&mut snapshot, &misses("host_network", 400), &[]);
    let sender = Controller {
        kind: "DaemonSet",
        ..parsed(json!({
            "metadata": {"name": "monitor", "namespace": "ops"},
            "spec": {"template": {"spec": {"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet", "containers": [
                {"name": "app", "env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel-agent.open-telemetry.svc:4318"},
                                        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "team=a"}]}]}}},
        }))
    };
    seen(&mut snapshot.daemon_sets).push(sender);
    let found = find(&snapshot);
    assert_eq!(ids(&found), ["attributes-host-network"]);
    assert_eq!(
        found[0].remedy[0].command.as_deref().unwrap(),
        "kubectl --namespace=ops patch daemonset/monitor --type=strategic --patch='{\"spec\":{\"template\":{\"spec\":{\"containers\":\
         [{\"name\":\"app\",\"env\":[{\"name\":\"K8S_POD_UID\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.uid\"}}},\
         {\"name\":\"OTEL_RESOURCE_ATTRIBUTES\",\"value\":\"team=a,k8s.pod.uid=$(K8S_POD_UID)\"}]}]}}}}'"
    );
}
