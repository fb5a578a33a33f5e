//! What a person may choose in the chart's values: for each key the values that the objects are rendered with, and the
//! condition by which a template tells that it was chosen.
//!
//! A key that takes any text, number or list is rendered with a marker, which is found again in the objects.

use serde_json::{Value, json};

/// One key of the values.
pub(super) struct Choice {
    /// The key, dots between its parts: `image.tag`.
    pub(super) key: &'static str,
    /// What it is rendered with.
    pub(super) alternatives: Vec<Alternative>,
    /// Which other choices it may touch, so that they are rendered together.
    pub(super) group: Group,
}

/// One value of a key.
pub(super) struct Alternative {
    /// The value.
    pub(super) value: Value,
    /// When a template takes it.
    pub(super) condition: String,
}

/// Choices that are rendered in all combinations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Touches nothing but itself.
    Alone,
    /// Touches the text of the configuration.
    Text,
    /// Touches how pods are placed and replaced.
    Placement,
    /// Touches both.
    Both,
}

/// A marker and what a template writes in its place.
pub(super) struct Marker {
    /// As it is found in the objects: a text, a number, a list of one item, or a map of one key.
    pub(super) value: Value,
    /// The expression.
    pub(super) expression: &'static str,
    /// In a map: whether a person's key goes before one of the same name that is there anyway.
    pub(super) wins: bool,
    /// What makes of the person's keys those that are written: `| include ".." | fromJson`, or nothing.
    pub(super) through: &'static str,
}

/// The namespace in the objects.
pub(super) const NAMESPACE: &str = "marked-namespace";
/// The folder of the storage in the objects.
pub(super) const STORAGE: &str = "/marked/storage/path";
/// Amounts may be written as numbers.
const AMOUNTS: &str = " | include \"otel-agent.amounts\" | fromJson";
/// When `rollout.maxSurge` asks for more pods than usual.
const MORE: &str = "regexMatch \"[1-9]\" (toString .Values.rollout.maxSurge)";
const LONG: &str = "sha256:d16e57d16e57d16e57d16e57d16e57d16e57d16e57d16e57d16e57d16e57d16e";

/// All of them, the first alternative of each is what the rest is rendered beside.
pub(super) fn choices() -> Vec<Choice> {
    let mut all = vec![
        one_of("profile", &["default", "low", "high"], Group::Text),
        one_of("mode", &["daemonset", "deployment"], Group::Both),
        // `local` is what an agent of a node has when nothing is written, and the only word that says nothing of a gateway.
        choice(
            "routing",
            Group::Placement,
            [
                (json!(null), "eq .Values.routing \"local\"".to_owned()),
                (json!("prefer-local"), "eq .Values.routing \"prefer-local\"".to_owned()),
                (json!("host-port"), "eq .Values.routing \"host-port\"".to_owned()),
            ],
        ),
        switch("hostNetwork", Group::Placement),
        one_of("storage.type", &["none", "emptyDir", "hostPath"], Group::Both),
        one_of("metricsTo", &["otlp", "prometheus", "both"], Group::Both),
        choice(
            "backend.insecure",
            Group::Text,
            [(json!(true), is("backend.insecure")), (json!(false), not("backend.insecure"))],
        ),
        choice(
            "backend.endpoint",
            Group::Text,
            [
                (json!("marked-backend:17654"), "not (include \"otel-agent.overHttp\" .)".to_owned()),
                (json!("http://marked-backend:17654"), "include \"otel-agent.overHttp\" .".to_owned()),
            ],
        ),
        // No more than usual, even when it is written, keeps two pods from being beside each other.
        choice(
            "rollout.maxSurge",
            Group::Placement,
            [
                (json!(null), "kindIs \"invalid\" .Values.rollout.maxSurge".to_owned()),
                (json!("000%"), format!("and (not (kindIs \"invalid\" .Values.rollout.maxSurge)) (not ({MORE}))")),
                (json!("7654321%"), MORE.to_owned()),
            ],
        ),
        choice("rollout.maxUnavailable", Group::Placement, nullable("rollout.maxUnavailable", json!("7654322%"))),
        choice("environment", Group::Text, text_or_nothing("environment", "marked-environment")),
        choice(
            "namespace",
            Group::Alone,
            [
                (json!("open-telemetry"), "eq .Release.Namespace \"open-telemetry\"".to_owned()),
                (json!(NAMESPACE), "ne .Release.Namespace \"open-telemetry\"".to_owned()),
            ],
        ),
        choice(
            "replicas",
            Group::Alone,
            [
                (json!(null), "kindIs \"invalid\" .Values.replicas".to_owned()),
                (json!(1), "eq (int .Values.replicas) 1".to_owned()),
                (json!(7_654_323), "gt (int .Values.replicas) 1".to_owned()),
            ],
        ),
        choice(
            "tolerations",
            Group::Alone,
            [
                (json!(null), "kindIs \"invalid\" .Values.tolerations".to_owned()),
                (json!([]), "and (kindIs \"slice\" .Values.tolerations) (empty .Values.tolerations)".to_owned()),
                (json!([{"key": "marked-tolerations"}]), is("tolerations")),
            ],
        ),
        // An empty mapping says no more than nothing.
        choice(
            "affinity",
            Group::Alone,
            [
                (json!(null), not("affinity")),
                (affinity(), "and .Values.affinity (kindIs \"invalid\" .Values.affinity.podAntiAffinity)".to_owned()),
                (
                    affinity_with_others(),
                    "and .Values.affinity (not (kindIs \"invalid\" .Values.affinity.podAntiAffinity))".to_owned(),
                ),
            ],
        ),
        choice("serviceAccount.create", Group::Alone, on_or_off("serviceAccount.create")),
        choice("serviceAccount.name", Group::Alone, text_or_nothing("serviceAccount.name", "marked-account")),
        choice("rbac.create", Group::Alone, on_or_off("rbac.create")),
        choice("service.enabled", Group::Alone, on_or_off("service.enabled")),
        choice("image.tag", Group::Alone, text_or_nothing("image.tag", "marked-tag")),
        choice("image.digest", Group::Alone, text_or_nothing("image.digest", LONG)),
        choice("priorityClassName", Group::Alone, text_or_nothing("priorityClassName", "marked-class")),
        choice("priorityClass.create", Group::Alone, on_or_off("priorityClass.create")),
        choice(
            "networkPolicy.prometheusNamespace",
            Group::Alone,
            text_or_nothing("networkPolicy.prometheusNamespace", "marked-prometheus"),
        ),
    ];
    for key in ["createNamespace", "serviceMonitor.enabled", "podMonitor.enabled", "prometheusRule.enabled"] {
        all.push(choice(key, Group::Alone, on_or_off(key)));
    }
    for key in ["dashboard.enabled", "networkPolicy.enabled"] {
        all.push(choice(key, Group::Alone, on_or_off(key)));
    }
    for (key, marker) in ELSEWHERE {
        // The agents' own namespace needs no word.
        let other = format!("and .Values.{key} (ne .Values.{key} .Release.Namespace)");
        let own = format!("or (not .Values.{key}) (eq .Values.{key} .Release.Namespace)");
        all.push(choice(key, Group::Alone, [(json!(""), own), (json!(*marker), other)]));
    }
    for (key, marker) in LISTS {
        let set = json!([{"name": *marker}]);
        all.push(choice(key, Group::Alone, [(json!([]), not(key)), (set, is(key))]));
    }
    all.push(choice(
        "extraEnvsFrom",
        Group::Alone,
        [(json!([]), not("extraEnvsFrom")), (json!([{"prefix": "marked-extraEnvsFrom"}]), is("extraEnvsFrom"))],
    ));
    all.push(choice(
        "extraVolumeMounts",
        Group::Alone,
        [(json!([]), not("extraVolumeMounts")), (mount(), is("extraVolumeMounts"))],
    ));
    for (key, marker, _) in MAPS {
        all.push(choice(key, Group::Alone, [(json!({}), not(key)), (json!({*marker: "marked"}), is(key))]));
    }
    all
}

/// Keys that are rendered with their marker and nothing else.
pub(super) fn always() -> Vec<(&'static str, Value)> {
    vec![
        ("image.repository", json!("marked-repository")),
        ("image.pullPolicy", json!("marked-pull-policy")),
        ("clusterName", json!("marked-cluster")),
        ("storage.path", json!(STORAGE)),
        ("storage.size", json!("7654324Ki")),
        ("priorityClass.value", json!(7_654_325)),
        ("serviceMonitor.interval", json!("7654326s")),
        ("podMonitor.interval", json!("7654327s")),
    ]
}

const ELSEWHERE: &[(&str, &str)] = &[
    ("serviceMonitor.namespace", "marked-service-monitor"),
    ("podMonitor.namespace", "marked-pod-monitor"),
    ("prometheusRule.namespace", "marked-prometheus-rule"),
    ("dashboard.namespace", "marked-dashboard"),
];
const LISTS: &[(&str, &str)] = &[
    ("imagePullSecrets", "marked-imagePullSecrets"),
    ("extraEnvs", "marked-extraEnvs"),
    ("extraVolumes", "marked-extraVolumes"),
];
/// Maps, their marker, and whether a person's key goes before ours.
const MAPS: &[(&str, &str, bool)] = &[
    ("nodeSelector", "marked-nodeSelector", true),
    ("labels", "marked-labels", false),
    ("podLabels", "marked-podLabels", false),
    ("podAnnotations", "marked-podAnnotations", true),
    ("serviceAccount.annotations", "marked-account-annotations", true),
    ("service.annotations", "marked-service-annotations", true),
    ("resources.requests", "marked-requests", true),
    ("resources.limits", "marked-limits", true),
    ("serviceMonitor.labels", "marked-serviceMonitor", true),
    ("podMonitor.labels", "marked-podMonitor", true),
    ("prometheusRule.labels", "marked-prometheusRule", true),
    ("dashboard.labels", "marked-dashboard-labels", true),
];

/// All markers with what stands in their place.
pub(super) fn markers() -> Vec<Marker> {
    let text = |value: &str, expression| Marker { value: json!(value), expression, wins: true, through: "" };
    let mut all = vec![
        text(NAMESPACE, ".Release.Namespace"),
        text("marked-repository", ".Values.image.repository"),
        text("marked-pull-policy", ".Values.image.pullPolicy"),
        text("marked-tag", ".Values.image.tag"),
        text(LONG, ".Values.image.digest"),
        text("http://marked-backend:17654", ".Values.backend.endpoint"),
        text("marked-backend:17654", ".Values.backend.endpoint"),
        text("marked-cluster", ".Values.clusterName"),
        text("marked-environment", ".Values.environment"),
        text(STORAGE, ".Values.storage.path"),
        text("7654324Ki", ".Values.storage.size"),
        text("7838027776", "include \"otel-agent.bytes\" .Values.storage.size"),
        text("7654326s", ".Values.serviceMonitor.interval"),
        text("7654327s", ".Values.podMonitor.interval"),
        text("marked-class", ".Values.priorityClassName"),
        text("marked-account", ".Values.serviceAccount.name"),
        text("marked-prometheus", ".Values.networkPolicy.prometheusNamespace"),
        text("marked-service-monitor", ".Values.serviceMonitor.namespace"),
        text("marked-pod-monitor", ".Values.podMonitor.namespace"),
        text("marked-prometheus-rule", ".Values.prometheusRule.namespace"),
        text("marked-dashboard", ".Values.dashboard.namespace"),
    ];
    let whole = |value: Value, expression| Marker { value, expression, wins: true, through: "" };
    all.extend([
        whole(json!(17654), "include \"otel-agent.backendPort\" ."),
        whole(json!("000%"), "toJson .Values.rollout.maxSurge"),
        whole(json!("7654321%"), "toJson .Values.rollout.maxSurge"),
        whole(json!("7654322%"), "toJson .Values.rollout.maxUnavailable"),
        whole(json!(7_654_323), "int .Values.replicas"),
        whole(json!(7_654_325), "int .Values.priorityClass.value"),
        whole(json!([{"key": "marked-tolerations"}]), ".Values.tolerations"),
        // Of a gateway's affinity the part that keeps agents apart is there anyway.
        Marker { value: affinity(), expression: ".Values.affinity", wins: false, through: "" },
        whole(affinity_with_others(), ".Values.affinity"),
        whole(anti_affinity(), ".Values.affinity.podAntiAffinity"),
        whole(json!([{"name": "marked-imagePullSecrets"}]), ".Values.imagePullSecrets"),
        whole(json!([{"name": "marked-extraEnvs"}]), ".Values.extraEnvs"),
        whole(json!([{"name": "marked-extraVolumes"}]), ".Values.extraVolumes"),
        whole(json!([{"prefix": "marked-extraEnvsFrom"}]), ".Values.extraEnvsFrom"),
        whole(mount(), ".Values.extraVolumeMounts"),
    ]);
    let maps = [
        ".Values.nodeSelector",
        ".Values.labels",
        ".Values.podLabels",
        ".Values.podAnnotations",
        ".Values.serviceAccount.annotations",
        ".Values.service.annotations",
        ".Values.resources.requests",
        ".Values.resources.limits",
        ".Values.serviceMonitor.labels",
        ".Values.podMonitor.labels",
        ".Values.prometheusRule.labels",
        ".Values.dashboard.labels",
    ];
    let of_map = |((_, marker, wins), expression): (&(&str, &str, bool), &'static str)| Marker {
        value: json!({*marker: "marked"}),
        expression,
        wins: *wins,
        through: if expression.starts_with(".Values.resources.") { AMOUNTS } else { "" },
    };
    all.extend(MAPS.iter().zip(maps).map(of_map));
    all
}

fn affinity() -> Value {
    let expression = json!([{"key": "marked-affinity", "operator": "Exists"}]);
    let terms = json!({"nodeSelectorTerms": [{"matchExpressions": expression}]});
    json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})
}

/// One that says itself which pods it keeps away from.
fn affinity_with_others() -> Value {
    let mut both = affinity();
    both["podAntiAffinity"] = anti_affinity();
    both
}

fn anti_affinity() -> Value {
    json!({"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "marked-anti-affinity"}]})
}

fn mount() -> Value {
    json!([{"mountPath": "/marked/extraVolumeMounts", "name": "marked-mount"}])
}

fn choice<const N: usize>(key: &'static str, group: Group, alternatives: [(Value, String); N]) -> Choice {
    let alternatives = alternatives.into_iter().map(|(value, condition)| Alternative { value, condition }).collect();
    Choice { key, alternatives, group }
}

fn one_of(key: &'static str, words: &[&str], group: Group) -> Choice {
    let alternative =
        |word: &&str| Alternative { value: json!(word), condition: format!("eq .Values.{key} \"{word}\"") };
    Choice { key, alternatives: words.iter().map(alternative).collect(), group }
}

fn switch(key: &'static str, group: Group) -> Choice {
    choice(key, group, [(json!(false), not(key)), (json!(true), is(key))])
}

/// What makes an object: it is there while the rest is rendered, so that the rest of it is seen.
fn on_or_off(key: &'static str) -> [(Value, String); 2] {
    [(json!(true), is(key)), (json!(false), not(key))]
}

fn text_or_nothing(key: &str, marker: &str) -> [(Value, String); 2] {
    [(json!(""), not(key)), (json!(marker), is(key))]
}

fn nullable(key: &str, marker: Value) -> [(Value, String); 2] {
    let none = format!("kindIs \"invalid\" .Values.{key}");
    [(json!(null), none.clone()), (marker, format!("not ({none})"))]
}

fn is(key: &str) -> String {
    format!(".Values.{key}")
}

fn not(key: &str) -> String {
    format!("not .Values.{key}")
}
