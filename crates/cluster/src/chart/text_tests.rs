//! Templates read as YAML with conditions, and say what the tree says.

use serde_json::json;

use super::super::merge::{Point, Sample, merge};
use super::super::options::{choices, markers};
use super::*;

/// The template of an object that is rendered once for each alternative of the first choice, `profile`.
fn template(objects: &[Value]) -> String {
    let (choices, markers) = (choices(), markers());
    let points: Vec<Point> = (0..objects.len()).map(|index| vec![u8::try_from(index).unwrap()]).collect();
    let samples: Vec<Sample<'_>> =
        points.iter().zip(objects).map(|(point, value)| Sample { point, value: Some(value) }).collect();
    Writer::new(&choices, &markers).template(&merge(&samples).unwrap(), "")
}

#[track_caller]
fn check(object: &Value, expected: &str) {
    assert_eq!(template(std::slice::from_ref(object)), expected);
}

#[test]
fn an_object_without_a_choice_is_plain_yaml() {
    check(
        &json!({"kind": "Service", "ports": [{"name": "a", "port": 1}, {"name": "b"}], "none": [], "text": "a\nb\n"}),
        "kind: Service\nports:\n  - name: a\n    port: 1\n  - name: b\nnone: []\ntext: |\n  a\n  b\n",
    );
}

#[test]
fn what_could_be_taken_for_something_else_is_quoted() {
    check(&json!({"a": "true", "b": "1", "c": "x: y", "d": ""}), "a: \"true\"\nb: \"1\"\nc: \"x: y\"\nd: \"\"\n");
    check(&json!({"a": "{{ $labels.pod }}"}), "a: \"{{ \"{{\" }} $labels.pod }}\"\n");
}

#[test]
fn a_marker_becomes_an_expression() {
    check(&json!({"namespace": "marked-namespace"}), "namespace: {{ .Release.Namespace | quote }}\n");
    check(
        &json!({"image": "marked-repository:1.2%"}),
        "image: {{ printf \"%s:1.2%%\" .Values.image.repository | quote }}\n",
    );
    check(&json!({"replicas": 7_654_323}), "replicas: {{ int .Values.replicas }}\n");
    check(
        &json!({"env": [{"name": "A"}, {"name": "marked-extraEnvs"}]}),
        "env:\n  - name: A\n  {{- toYaml .Values.extraEnvs | nindent 2 }}\n",
    );
    check(
        &json!({"text": "a\nname: \"marked-cluster\"\n"}),
        "text: |\n  a\n  name: {{ .Values.clusterName | replace \"$\" \"$$\" | toJson }}\n",
    );
}

#[test]
fn a_persons_label_does_not_replace_ours_but_a_persons_node_selector_does() {
    check(
        &json!({"labels": {"app": "a", "marked-labels": "marked"}}),
        "labels:\n  app: a\n  {{- with omit .Values.labels \"app\" }}\n  {{- toYaml . | nindent 2 }}\n  {{- end }}\n",
    );
    check(
        &json!({"nodeSelector": {"os": "linux", "marked-nodeSelector": "marked"}}),
        "nodeSelector:\n  {{- if not (hasKey .Values.nodeSelector \"os\") }}\n  os: linux\n  {{- end }}\n  \
         {{- toYaml .Values.nodeSelector | nindent 2 }}\n",
    );
}

#[test]
fn a_difference_is_a_condition_at_its_own_place() {
    let object = |cpu: &str| json!({"kind": "a", "cpu": cpu});
    assert_eq!(
        template(&[object("100m"), object("50m"), object("200m")]),
        "kind: a\n{{- if eq .Values.profile \"default\" }}\ncpu: \"100m\"\n{{- else if eq .Values.profile \"low\" }}\ncpu: \"50m\"\n\
         {{- else }}\ncpu: \"200m\"\n{{- end }}\n"
    );
}

#[test]
fn markers_of_one_expression_are_one_condition() {
    let object = |surge: &str| json!({"kind": "a", "maxSurge": surge});
    assert_eq!(
        template(&[json!({"kind": "a", "maxSurge": 1}), object("000%"), object("7654321%")]),
        "kind: a\n{{- if eq .Values.profile \"default\" }}\nmaxSurge: 1\n{{- else }}\n\
         maxSurge: {{ toJson .Values.rollout.maxSurge }}\n{{- end }}\n"
    );
    assert_eq!(
        template(&[object("000%"), object("7654321%")]),
        "kind: a\nmaxSurge: {{ toJson .Values.rollout.maxSurge }}\n"
    );
}

#[test]
fn a_persons_affinity_stands_beside_ours() {
    let chosen = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "marked-affinity", "operator": "Exists"}]}]}});
    check(
        &json!({"affinity": {"nodeAffinity": chosen, "podAntiAffinity": {"a": 1}}}),
        "affinity:\n  {{- with omit .Values.affinity \"podAntiAffinity\" }}\n  {{- toYaml . | nindent 2 }}\n  {{- end }}\n  \
         podAntiAffinity:\n    a: 1\n",
    );
    check(&json!({"affinity": {"nodeAffinity": chosen}}), "affinity:\n  {{- toYaml .Values.affinity | nindent 2 }}\n");
}

#[test]
fn amounts_are_written_as_texts() {
    check(
        &json!({"limits": {"cpu": "500m", "marked-limits": "marked"}}),
        "limits:\n  {{- if not (hasKey .Values.resources.limits \"cpu\") }}\n  cpu: \"500m\"\n  {{- end }}\n  \
         {{- .Values.resources.limits | include \"otel-agent.amounts\" | fromJson | toYaml | nindent 2 }}\n",
    );
}

#[test]
fn an_item_that_begins_with_a_condition_stands_below_its_dash() {
    let item = |key: &str| json!({"list": [{"name": 1, key: 2}]});
    let text = template(&[item("a"), item("b")]);
    assert!(text.contains("list:\n  - name: 1\n    {{- if"), "{text}");
}
