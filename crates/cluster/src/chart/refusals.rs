//! What the schema cannot see: values that are wrong together. Each is found by a condition of a template and told in the words of
//! `otel-agent manifests`, which refuses the same: a chart that refuses more than that cannot be made.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::samples::{WorkloadOf, set};
use crate::problem::Severity;
use crate::values::{NAME_OVERRIDES, Values, fixed_name};

/// One of them.
struct Refusal {
    /// When a template refuses.
    condition: String,
    /// Values that are wrong in this way, by key.
    written: Vec<(&'static str, Value)>,
    /// The key that the message is about.
    path: &'static str,
    /// What in the message is of these values alone, and the expression that stands for it in a template.
    shown: Vec<(&'static str, String)>,
}

/// The text of the template.
///
/// # Errors
///
/// When `otel-agent manifests` takes what the chart would refuse.
pub(super) fn template(workload: &WorkloadOf<'_>) -> Result<String> {
    let mut out = String::new();
    // None of them is about the configuration, which may refuse such values for reasons of its own.
    let usual = workload(&Values::default())?;
    for refusal in refusals() {
        let mut written = serde_json::to_value(Values::default())?;
        refusal.written.iter().for_each(|(key, value)| set(&mut written, key, value.clone()));
        let values: Values = serde_json::from_value(written)?;
        let problems = values.problems(&usual);
        let wrong = problems.iter().find(|one| one.severity == Severity::Error && one.path == refusal.path);
        let what =
            wrong.with_context(|| format!("{:?} is not refused for {}", refusal.written, refusal.path))?.to_string();
        let message = if refusal.shown.is_empty() {
            format!("{what:?}")
        } else {
            let texts =
                refusal.shown.iter().fold(what.replace('%', "%%"), |what, (text, _)| what.replacen(text, "%s", 1));
            let expressions: Vec<String> =
                refusal.shown.iter().map(|(_, expression)| format!("({expression})")).collect();
            format!("(printf {texts:?} {})", expressions.join(" "))
        };
        out.push_str(&format!("{{{{- if {} }}}}\n{{{{- fail {message} }}}}\n{{{{- end }}}}\n", refusal.condition));
    }
    for key in NAME_OVERRIDES {
        let message = fixed_name(key).to_string();
        out.push_str(&format!("{{{{- if hasKey .Values {key:?} }}}}\n{{{{- fail {message:?} }}}}\n{{{{- end }}}}\n"));
    }
    Ok(out)
}

fn refusal(condition: &str, path: &'static str, written: &[(&'static str, Value)]) -> Refusal {
    Refusal { condition: condition.to_owned(), written: written.to_vec(), path, shown: Vec::new() }
}

impl Refusal {
    fn showing(mut self, text: &'static str, expression: impl Into<String>) -> Self {
        self.shown.push((text, expression.into()));
        self
    }
}

fn refusals() -> Vec<Refusal> {
    let mut all = vec![
        refusal(
            "and .Values.hostNetwork .Values.networkPolicy.enabled",
            "networkPolicy.enabled",
            &[("hostNetwork", json!(true)), ("networkPolicy.enabled", json!(true))],
        ),
        refusal(
            "and .Values.serviceMonitor.enabled .Values.podMonitor.enabled",
            "podMonitor.enabled",
            &[("serviceMonitor.enabled", json!(true)), ("podMonitor.enabled", json!(true))],
        ),
        refusal(
            "and (eq .Values.mode \"daemonset\") (not (kindIs \"invalid\" .Values.replicas))",
            "replicas",
            &[("replicas", json!(3))],
        ),
        refusal(
            "and .Values.priorityClass.create (hasPrefix \"system-\" .Values.priorityClassName)",
            "priorityClass.create",
            &[("priorityClass.create", json!(true)), ("priorityClassName", json!("system-node-critical"))],
        )
        .showing("system-node-critical", ".Values.priorityClassName"),
        refusal(
            "and .Values.priorityClass.create (gt (int64 .Values.priorityClass.value) 1000000000)",
            "priorityClass.value",
            &[("priorityClass.create", json!(true)), ("priorityClass.value", json!(2_000_000_000))],
        ),
        refusal(
            "and .Values.serviceAccount.create (eq .Values.serviceAccount.name \"default\")",
            "serviceAccount.name",
            &[("serviceAccount.name", json!("default"))],
        ),
        refusal(
            "and .Values.createNamespace (has .Release.Namespace (list \"default\" \"kube-system\" \"kube-public\"))",
            "namespace",
            &[("namespace", json!("kube-system"))],
        )
        .showing("kube-system", ".Release.Namespace"),
        refusal(&never_replaced(), "rollout", &[("rollout.maxSurge", json!(0))]),
        refusal(
            &format!("and (eq .Values.mode \"daemonset\") ({}) ({})", some("maxSurge"), some("maxUnavailable")),
            "rollout",
            &[("rollout.maxSurge", json!(1)), ("rollout.maxUnavailable", json!(1))],
        ),
    ];
    all.extend(labels("labels", "include \"otel-agent.ownLabel\" .Values.labels"));
    all.extend(labels("podLabels", "include \"otel-agent.ownLabel\" .Values.podLabels"));
    all.extend(tolerations());
    all.extend(amounts());
    all
}

fn never_replaced() -> String {
    let written = |key: &str| format!("(not (kindIs \"invalid\" .Values.rollout.{key}))");
    let none = |key: &str| format!("(not ({}))", some(key));
    let (surge, unavailable) = ("maxSurge", "maxUnavailable");
    format!("and (or {} {}) {} {}", written(surge), written(unavailable), none(surge), none(unavailable))
}

/// Whether this part of a rollout is more than none: a number, or a percentage.
fn some(key: &str) -> String {
    format!("regexMatch \"[1-9]\" (toString .Values.rollout.{key})")
}

fn labels(path: &'static str, found: &str) -> Option<Refusal> {
    let written = [(path, json!({"app.kubernetes.io/name": "own"}))];
    Some(refusal(found, path, &written).showing("app.kubernetes.io/name", found))
}

fn tolerations() -> impl Iterator<Item = Refusal> {
    let wrong = [
        ("value", json!({"key": "gpu", "operator": "Exists", "value": "yes"})),
        ("key", json!({"operator": "Equal", "value": "yes"})),
        ("operator", json!({"key": "gpu", "operator": "In"})),
    ];
    wrong.into_iter().map(|(what, toleration)| {
        let condition = format!("eq (include \"otel-agent.wrongToleration\" .Values.tolerations) \"{what}\"");
        let written = [("tolerations", json!([toleration]))];
        refusal(&condition, "tolerations.0", &written).showing("tolerations.0", "\"tolerations\"")
    })
}

/// CPU and memory of the container: those that were written, or the profile's.
fn amounts() -> Vec<Refusal> {
    let figure = |kind: &str, name: &str| format!("include \"otel-agent.figure\" (list . \"{kind}\" \"{name}\")");
    let thousandths = |figure: &str| format!("(int64 (include \"otel-agent.thousandths\" ({figure})))");
    let above = |name: &str| {
        let (request, limit) = (figure("requests", name), figure("limits", name));
        (format!("gt {} {}", thousandths(&request), thousandths(&limit)), request, limit)
    };
    let (cpu, cpu_request, cpu_limit) = above("cpu");
    let (memory, memory_request, memory_limit) = above("memory");
    let little = format!("lt {} 33554432000", thousandths(&memory_limit));
    vec![
        refusal(&little, "resources.limits.memory", &[("resources.limits", json!({"memory": "16Mi"}))])
            .showing("16 MiB are", format!("printf \"%s are\" ({memory_limit})")),
        refusal(&cpu, "resources.requests.cpu", &[("resources.requests", json!({"cpu": "9"}))])
            .showing("9 are", format!("printf \"%s are\" ({cpu_request})"))
            .showing("500m", cpu_limit),
        refusal(&memory, "resources.requests.memory", &[("resources.requests", json!({"memory": "2Gi"}))])
            .showing("2Gi", memory_request)
            .showing("512Mi", memory_limit),
    ]
}
