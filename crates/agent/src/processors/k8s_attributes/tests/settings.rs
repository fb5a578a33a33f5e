//! What can be written, what is wrong with it, and what is asked of Kubernetes for it.

use super::*;
use crate::kubernetes::{Auth, Feed, Interest};
use crate::settings::{FileId, Problems, Reader, Setting, parse};

/// What is said about settings, a line each.
fn problems(yaml: &str) -> String {
    let mut problems = Problems::default();
    let node = parse(FileId(0), yaml, &mut problems).unwrap();
    let _ = Config::read(&node, &mut Reader::new(&mut problems, &node));
    problems.lines()
}

#[track_caller]
fn check(yaml: &str, expected: &str) {
    let found = problems(&with_node(yaml));
    assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{yaml}\n{found}");
}

#[test]
fn mistakes_are_told_in_the_collectors_words() {
    check("{}", "");
    check("auth_type: x", "invalid authType for kubernetes: x");
    check("auth_type: serviceaccount", "did you mean `serviceAccount`?");
    check("auth_type: tls", "write `auth_type: kubeConfig`");
    check("auth_type: none", "no API server tells strangers");
    check("passthrough: true\nauth_type: none", "");
    check("kube_api_qps: -1", "kube_api_qps must be greater than 0");
    check("kube_api_burst: -1", "kube_api_burst must be greater than 0");
    check("pod_delete_grace_period: -1s", "pod_delete_grace_period must be greater than or equal to 0");
    check(
        "extract: {metadata: [k8s.pod.nam]}",
        "\"k8s.pod.nam\" is not a supported metadata field; did you mean `k8s.pod.name`?",
    );
    check("extract: {metadata: [container.image.tag]}", "write `container.image.tags`");
    check(
        "extract: {labels: [{key: a, key_regex: b}]}",
        "Out of Key or KeyRegex only one option is expected to be configured at a time, currently Key:a and KeyRegex:b",
    );
    check(
        "extract: {annotations: [{key: a, from: pods}]}",
        "pods is not a valid choice for From. Must be one of: pod, namespace, deployment, replicaset, statefulset, \
         daemonset, job, cronjob, node; did you mean `pod`?",
    );
    check("extract: {labels: [{key_regex: '('}]}", "error parsing regexp: `(`");
    check("extract: {labels: [{key: a, regex: b}]}", "the Collector has removed the key `regex`");
    check("extract: {labels: [{tag_name: a}]}", "adds nothing");
    check(
        "filter: {node: a, labels: [{key: a, value: b, op: in}]}",
        "'in' is not a valid label filter operation for key=a, value=b",
    );
    check(
        "filter: {node: a, fields: [{key: a, value: b, op: exists}]}",
        "'exists' is not a valid label filter operation for key=a, value=b",
    );
    check("exclude: {pods: [{name: '('}]}", "error parsing regexp: `(`");
    let source = "{from: connection}";
    check(
        &format!("pod_association: [{{sources: [{source}, {source}, {source}, {source}, {source}]}}]"),
        "too many association sources. limit is 4",
    );
    let (one, other) = ("{from: resource_attribute, name: a}", "{from: resource_attribute, name: k8s.pod.uid}");
    check(
        &format!(
            "extract: {{otel_annotations: true}}\npod_association: [{{sources: [{one}, {other}]}}, {{sources: [{other}, {one}]}}]"
        ),
        "duplicate pod association: resource_attribute/a,resource_attribute/k8s.pod.uid",
    );
    check("pod_association: [{sources: [{from: peer}]}]", "write `connection` or `resource_attribute`");
    check("pod_association: [{sources: []}]", "finds nothing");
    check("pod_association: [{sources: [{from: resource_attribute}]}]", "needs a `name`");
    check(
        "pod_association: [{sources: [{from: resource_attribute, name: k8s.job.name}]}]",
        "add `k8s.job.name` to `extract::metadata`",
    );
    check("source: file", "`source: file` needs `pods_file`");
    check("pods_file: pods.yaml", "no effect without `source: file`");
    check("kubelet: {poll_interval: 1s}", "no effect without `source: kubelet`");
    check("source: kubelet\nkubelet: {endpoint: 'node:10250'}", "write it like `https://10.0.0.5:10250`");
    check("new_pod_wait: -1s", "new_pod_wait must be greater than or equal to 0");
}

#[test]
fn keys_without_an_effect_are_taken_with_a_note() {
    check("extract: {deployment_name_from_replicaset: true}", "always taken from");
    check("watch_sync_period: 5m", "accepted and has no effect");
    assert!(read_text::<Config>(&with_node("watch_sync_period: 0s")).is_ok());
}

#[test]
fn the_node_must_be_named() {
    let ask = |yaml: &str, environment: &[(&str, &str)]| {
        let mut problems = Problems::default();
        let tree = parse(FileId(0), yaml, &mut problems).unwrap();
        let config = Config::read(&tree, &mut Reader::new(&mut problems, &tree)).unwrap();
        let variable =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        node::of(&config, variable)
    };
    let snippet = |name: &str| format!("{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}");
    let named = |name: &str| Ok(Some(name.to_owned()));
    // Named.
    assert_eq!(ask("filter: {node: a}", &[]), named("a"));
    assert_eq!(ask("filter: {node: b, node_from_env_var: X}", &[("X", "a")]), named("a"));
    assert_eq!(ask("{}", &[("K8S_NODE_NAME", "a")]), named("a"));
    assert_eq!(ask("{}", &[("KUBE_NODE_NAME", "a"), ("NODE_NAME", "b")]), named("a"));
    // Not needed.
    assert_eq!(ask("whole_cluster: true", &[("NODE_NAME", "b")]), Ok(None));
    assert_eq!(ask("filter: {namespace: shop}", &[]), Ok(None));
    assert_eq!(ask("filter: {labels: [{key: a, op: exists}]}", &[]), Ok(None));
    assert_eq!(ask("passthrough: true", &[]), Ok(None));
    assert_eq!(ask("source: file\npods_file: a", &[]), Ok(None));
    // Missing.
    let flaw = ask("filter: {node_from_env_var: KUBE_NODE_NAME}", &[("K8S_NODE_NAME", "a")]).unwrap_err();
    assert_eq!(flaw.what, "`node_from_env_var` is configured but envvar \"KUBE_NODE_NAME\" is not set");
    assert!(flaw.remedy.contains("write `node_from_env_var: K8S_NODE_NAME`"), "{}", flaw.remedy);
    assert!(flaw.remedy.contains(&snippet("KUBE_NODE_NAME")), "{}", flaw.remedy);
    let flaw = ask("filter: {node_from_env_var: X}", &[("X", " ")]).unwrap_err();
    assert!(flaw.what.ends_with("envvar \"X\" is empty") && flaw.remedy.contains(&snippet("X")), "{flaw:?}");
    let flaw = ask("filter: {node: ''}", &[("NODE_NAME", "b")]).unwrap_err();
    assert!(flaw.what.contains("of all nodes") && !flaw.only_here, "{flaw:?}");
    let flaw = ask("{}", &[("KUBE_NODE_NAME", "")]).unwrap_err();
    assert!(flaw.what.contains("the whole cluster") && flaw.only_here, "{flaw:?}");
    assert!(flaw.remedy.contains(&snippet("KUBE_NODE_NAME")) && flaw.remedy.contains("whole_cluster"), "{flaw:?}");
    let flaw = ask("filter: {node: a}\nwhole_cluster: true", &[]).unwrap_err();
    assert!(flaw.what.contains("contradict"), "{flaw:?}");
}

fn rights(yaml: &str) -> String {
    let config: Config = read_text(&with_node(yaml)).unwrap();
    let rights = config.needs().rights;
    rights.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[test]
fn no_right_is_asked_for_that_no_key_needs() {
    let pods = "list and watch pods";
    assert_eq!(rights("{}"), pods);
    assert_eq!(rights("passthrough: true"), "");
    assert_eq!(rights("source: file\npods_file: a"), "");
    assert_eq!(rights("source: kubelet"), "get nodes/pods");
    assert_eq!(rights("filter: {namespace: shop}"), "list and watch pods in namespace shop");
    let with = |extract: &str| rights(&format!("extract: {{{extract}}}"));
    assert_eq!(with("metadata: [k8s.deployment.name, k8s.cronjob.name, k8s.replicaset.uid]"), pods);
    assert_eq!(with("metadata: [k8s.deployment.uid]"), format!("{pods}, get replicasets.apps"));
    assert_eq!(with("metadata: [k8s.cronjob.uid]"), format!("{pods}, get jobs.batch"));
    assert_eq!(with("metadata: [k8s.node.uid]"), format!("{pods}, get nodes"));
    assert_eq!(with("metadata: [k8s.cluster.uid]"), format!("{pods}, get namespaces kube-system"));
    assert_eq!(with("labels: [{key: a}], otel_annotations: true"), pods);
    assert_eq!(with("labels: [{key: a, from: namespace}]"), format!("{pods}, get namespaces"));
    assert_eq!(with("annotations: [{key: a, from: node}]"), format!("{pods}, get nodes"));
    assert_eq!(
        with("labels: [{key: a, from: deployment}]"),
        format!("{pods}, get replicasets.apps, get deployments.apps")
    );
    assert_eq!(with("labels: [{key: a, from: cronjob}]"), format!("{pods}, get jobs.batch, get cronjobs.batch"));
}

#[test]
fn only_labels_and_annotations_that_are_used_are_kept() {
    let interest = |yaml: &str| -> Interest {
        let config: Config = read_text(&with_node(yaml)).unwrap();
        config.interest()
    };
    assert_eq!(interest("{}"), Interest::default());
    let wants = interest(
        "extract: {metadata: [service.name], labels: [{key: app}, {key_regex: 'x.*'}], otel_annotations: true}",
    );
    for (key, expected) in [("app", true), ("xyz", true), ("axyz", false), ("app.kubernetes.io/instance", true)] {
        assert_eq!(wants.pod_labels.wants(key), expected, "{key}");
    }
    assert!(wants.pod_annotations.wants("resource.opentelemetry.io/a") && !wants.pod_annotations.wants("a"));
    assert_eq!(wants.namespaces, None);
}

#[test]
fn the_source_is_as_written() {
    let source = |yaml: &str, environment: &[(&str, &str)]| {
        let config: Config = read_text(yaml).unwrap();
        let variable =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        sources::source(&config, &variable).unwrap().unwrap()
    };
    let api = source("auth_type: kubeConfig\ncontext: c\nfilter: {node: a, namespace: n}", &[]);
    assert!(
        matches!(api.feed, Feed::Api { auth: Auth::KubeConfig { context: Some(ref context) }, .. } if context == "c")
    );
    assert_eq!((api.filter.node.as_deref(), api.filter.namespace.as_deref()), (Some("a"), Some("n")));
    assert_eq!(api.grace, std::time::Duration::from_secs(120));
    // PATH is set wherever tests run.
    assert_eq!(source("filter: {node: a}", &[]), source("filter: {node_from_env_var: PATH}", &[("PATH", "a")]));
    let kubelet = |yaml: &str, environment: &[(&str, &str)]| match source(yaml, environment).feed {
        Feed::Kubelet(settings) => settings.endpoint,
        other => panic!("{other:?}"),
    };
    assert_eq!(kubelet("source: kubelet\nfilter: {node: a}", &[]), "https://a:10250");
    assert_eq!(kubelet("source: kubelet", &[("NODE_IP", "10.0.0.5")]), "https://10.0.0.5:10250");
    assert_eq!(kubelet("source: kubelet", &[("NODE_IP", "fd00::5")]), "https://[fd00::5]:10250");
    assert_eq!(kubelet("source: kubelet\nkubelet: {endpoint: 'https://x:1'}", &[]), "https://x:1");
}
