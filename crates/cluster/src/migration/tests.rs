//! When the old collector may go, and what keeps a signal where it is.

use serde_json::{Value, json};

use super::flow::{Flow, Pod, Side};
use super::*;

fn objects(pipelines: &Value, application: &Value) -> Objects {
    let config = json!({
        "receivers": {"otlp": {"protocols": {"grpc": {}, "http": {}}}, "hostmetrics": {}},
        "exporters": {"otlp": {"endpoint": "backend:4317"}, "loki": {}},
        "service": {"pipelines": pipelines},
    });
    let container = json!({"name": "c", "image": "otelcol:1", "args": ["--config=/conf/relay"],
        "volumeMounts": [{"name": "v", "mountPath": "/conf"}]});
    let volumes = json!([{"name": "v", "configMap": {"name": "old"}}]);
    let labels = json!({"app": "old"});
    let mut objects = Objects::default();
    objects.add(json!({"items": [
        {"kind": "ConfigMap", "metadata": {"name": "old", "namespace": "otel"}, "data": {"relay": config.to_string()}},
        {"kind": "Service", "metadata": {"name": "old", "namespace": "otel"},
         "spec": {"selector": labels, "ports": [{"port": 4317}, {"port": 4318}]}},
        {"kind": "Deployment", "metadata": {"name": "old", "namespace": "otel"}, "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}}},
        {"kind": "Deployment", "metadata": {"name": "shop", "namespace": "shop"},
         "spec": {"template": {"spec": {"containers": [{"name": "app", "env": application}]}}}},
    ]}));
    objects
}

fn report(pipelines: &Value, application: &Value) -> Report {
    let component = |_: &str, kind: &str| match kind {
        "otlp" | "memory_limiter" | "health_check" => Standing::Runs,
        _ => Standing::NotYet("run a Collector for it".to_owned()),
    };
    let support = Support {
        read: &|text| serde_json::from_str(text).map_err(|error| error.to_string()),
        component: &component,
        errors: &|_, _| Vec::new(),
    };
    let target = Target { namespace: "open-telemetry".into(), name: "otel-agent".into(), kubectl: "kubectl".into() };
    examine(&objects(pipelines, application), None, None, target, support).unwrap()
}

fn traces() -> Value {
    json!({"traces": {"receivers": ["otlp"], "exporters": ["otlp"]}})
}

fn pod(accepted: f64, sent: f64) -> Pod {
    let receivers = if accepted > 0.0 { vec!["otlp".to_owned()] } else { Vec::new() };
    let name = "pod".to_owned();
    Pod { name, accepted, sent, failed: 0.0, refused: 0.0, queued: 0.0, accepted_ever: 9e3, sent_ever: 9e3, receivers }
}

fn quiet() -> Flow {
    let side = |pod: Pod| Side { pods: vec![pod], unread: Vec::new() };
    Flow {
        seconds: 10.0,
        old: side(pod(0.0, 0.0)),
        new: side(pod(50.0, 50.0)),
        agents_wanted: Some(3),
        agents_ready: 3,
    }
}

#[test]
fn the_old_one_may_go_when_nothing_comes_in_and_the_agents_carry() {
    let verdict = verdict::judge(&report(&traces(), &json!([])), &quiet());
    assert!(verdict.may_go, "{verdict:#?}");
    assert_eq!(verdict.command, "kubectl delete deployment/old service/old configmap/old -n otel");
}

#[test]
fn one_thing_that_is_not_so_or_was_not_seen_is_enough_to_keep_it() {
    type Change = fn(&mut Flow);
    let report = report(&traces(), &json!([]));
    let changes: [(&str, Change); 10] = [
        ("2 of 3 agents are ready", |flow| flow.agents_ready = 2),
        ("there is no DaemonSet", |flow| flow.agents_wanted = None),
        ("5.0 items/s still come in at the old one, through otlp", |flow| flow.old.pods[0] = pod(50.0, 50.0)),
        ("still come in", |flow| flow.old.pods[0].refused = 1.0),
        ("3 requests wait in its queues", |flow| flow.old.pods[0].queued = 3.0),
        ("it still sends", |flow| flow.old.pods[0].sent = 3.0),
        ("is not known: no right", |flow| flow.old.unread.push("no right".to_owned())),
        ("no agent could be asked", |flow| flow.new.pods.clear()),
        ("the agents take 0.0", |flow| flow.new.pods[0] = pod(0.0, 0.0)),
        ("7 items could not be sent", |flow| flow.new.pods[0].failed = 7.0),
    ];
    for (evidence, change) in changes {
        let mut flow = quiet();
        change(&mut flow);
        let verdict = verdict::judge(&report, &flow);
        let open = verdict.answers.iter().filter(|answer| answer.holds != Some(true));
        assert!(
            !verdict.may_go && open.into_iter().any(|answer| answer.evidence.contains(evidence)),
            "{evidence}: {verdict:#?}"
        );
    }
}

#[test]
fn it_stays_while_an_application_points_there_or_it_does_what_the_agent_cannot() {
    let env = json!([{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://old.otel:4318"}]);
    assert!(!verdict::judge(&report(&traces(), &env), &quiet()).may_go);
    let pipelines = json!({"traces": {"receivers": ["otlp"], "exporters": ["otlp"]},
                           "metrics": {"receivers": ["hostmetrics"], "exporters": ["otlp"]}});
    let verdict = verdict::judge(&report(&pipelines, &json!([])), &quiet());
    assert!(verdict.answers.iter().any(|answer| answer.evidence.contains("it also runs hostmetrics")), "{verdict:#?}");
}

#[test]
fn a_part_of_what_was_seen_is_not_enough() {
    let mut report = report(&traces(), &json!([]));
    report.unseen.push("deployments outside of namespace otel".to_owned());
    assert!(!verdict::judge(&report, &quiet()).may_go);
}

#[test]
fn a_signal_that_the_agent_would_not_take_stays_where_it_is() {
    let pipelines = json!({"traces": {"receivers": ["otlp"], "exporters": ["otlp"]},
                           "logs": {"receivers": ["otlp"], "exporters": ["loki"]}});
    let env = json!([{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://old.otel.svc:4318/"}]);
    let before = report(&pipelines, &env);
    assert_eq!(before.configuration.stay, ["logs"]);
    let one = &before.applications.moves[0];
    assert_eq!(
        one.commands,
        ["kubectl set env deployment/shop -n shop -c app \
          OTEL_EXPORTER_OTLP_ENDPOINT=http://otel-agent.open-telemetry.svc.cluster.local:4318/ \
          OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://old.otel.svc:4318/v1/logs"]
    );
    assert_eq!(
        one.undo,
        ["kubectl set env deployment/shop -n shop -c app OTEL_EXPORTER_OTLP_ENDPOINT=http://old.otel.svc:4318/ \
          OTEL_EXPORTER_OTLP_LOGS_ENDPOINT-"]
    );
    let kept = json!([{"name": "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "value": "http://old.otel.svc:4318/v1/logs"}]);
    let after = report(&pipelines, &kept).applications;
    assert!(after.moves.is_empty() && after.by_hand[0].remedy.starts_with("it stays"), "{after:#?}");
}
