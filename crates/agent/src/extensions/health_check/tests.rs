use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::Value;
use wire::Signal;

use super::*;
use crate::pipeline::testing::{Fake, logs};
use crate::pipeline::{
    Arrival, Budget, Door, Fault, Origin, Outcome, PipelinePlan, Pipelines, Policy, Refusal, Sender,
};
use crate::settings::read_text;
use crate::telemetry::{Metrics, table};

async fn text_of(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn check(config: &str, ready: bool, path: &str, status: u16, content_type: &str, body: &str) {
    let health = Health::starting();
    if ready {
        health.set_ready();
    }
    let extension = HealthCheck::new(read_text(config).unwrap(), health, Ledger::new());
    let response = extension.answer(path, true).await;
    assert_eq!(response.status(), status, "{path}");
    assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
    let text = text_of(response).await;
    let pattern = regex::Regex::new(body).unwrap();
    assert!(pattern.is_match(&text), "{text}");
}

const READY: &str =
    r#"^\{"status":"Server available","upSince":"20[0-9-]+T[0-9:]+\.[0-9]+Z","uptime":"[0-9.]+(ns|µs|ms|s)"\}$"#;
const NOT_READY: &str = r#"^\{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""\}$"#;

#[tokio::test]
async fn answers_as_the_collector_does() {
    check("{}", true, "/", 200, JSON, READY).await;
    check("{}", true, "/any/path", 200, JSON, READY).await;
    check("{}", false, "/", 503, JSON, NOT_READY).await;
}

#[tokio::test]
async fn a_path_other_than_the_root_is_the_only_one_beside_our_own() {
    check("path: /healthz", true, "/healthz", 200, JSON, READY).await;
    check("path: /healthz", true, "/", 404, PLAIN, "not found").await;
    check("path: /healthz", true, "/live", 200, JSON, "\"live\"").await;
    check("path: /ready", true, "/ready", 200, JSON, READY).await;
}

#[tokio::test]
async fn own_words_are_sent_as_they_are() {
    let config = "response_body: {healthy: fine, unhealthy: not yet}";
    check(config, true, "/", 200, PLAIN, "^fine$").await;
    check(config, false, "/", 503, PLAIN, "^not yet$").await;
}

#[test]
fn a_path_without_a_slash_is_a_problem_and_so_is_no_time() {
    let problems = read_text::<Config>("{path: healthz, stuck_after: 0s}").unwrap_err();
    assert!(problems.contains("path must start with /"), "{problems}");
    assert!(problems.contains("`stuck_after` must be positive"), "{problems}");
}

/// A pipeline `logs` to one exporter, and the page that watches it.
struct Scene {
    extension: HealthCheck,
    health: Health,
    pipelines: Pipelines,
    fake: Fake,
    metrics: Metrics,
}

impl Scene {
    /// `queue` and `retry`: what stands under `sending_queue` and `retry_on_failure`.
    fn new(queue: &str, retry: &str) -> Scene {
        let (health, metrics, fake) = (Health::starting(), Metrics::new(), Fake::taking());
        let policy = Policy {
            queue: read_text(queue).unwrap(),
            retry: read_text(retry).unwrap(),
            ..Policy::with_timeout(GoDuration::secs(5))
        };
        let sender = Sender::new("otlp", Signal::Logs, &policy, fake.clone(), &[], &metrics);
        let plan = PipelinePlan {
            id: "logs/app".to_owned(),
            signal: Signal::Logs,
            receivers: vec!["in".to_owned()],
            steps: Vec::new(),
            exporters: vec!["otlp".to_owned()],
        };
        let ledger = Ledger::new();
        ledger.register(&metrics);
        let door = Door::new(Budget::new(1 << 20));
        let pipelines = Pipelines::build(vec![plan], vec![sender], door, ledger.clone(), &metrics).unwrap();
        let extension = HealthCheck::new(read_text("stuck_after: 60s").unwrap(), health.clone(), ledger);
        health.set_ready();
        Scene { extension, health, pipelines, fake, metrics }
    }

    async fn send(&self, items: u64) -> Result<(), Refusal> {
        let bytes = logs(0..items);
        let intake = self.pipelines.intake("in", Signal::Logs).unwrap();
        let hold = intake.admit(&Origin::default(), bytes.len()).unwrap();
        let items = usize::try_from(items).unwrap();
        intake.accept(Arrival { signal: Signal::Logs, bytes, items, origin: Origin::default(), hold }).await
    }

    async fn ask(&self, path: &str) -> (u16, Value) {
        let response = self.extension.answer(path, true).await;
        (response.status().as_u16(), serde_json::from_str(&text_of(response).await).unwrap())
    }

    /// The answer of `/moving`, and what it says of the one exporter.
    async fn moving(&self) -> (u16, Value) {
        let (status, document) = self.ask("/moving").await;
        assert_eq!(document["status"], if status == 200 { "moving" } else { "stuck" });
        assert_eq!(document["pipelines"][0]["pipeline"], "logs/app");
        assert_eq!(document["pipelines"][0]["status"], document["status"]);
        (status, document["pipelines"][0]["exporters"][0].clone())
    }

    fn stalled(&self) -> f64 {
        self.metrics.value(&table::EXPORTER_STALLED, &[("exporter", "otlp"), ("otel_signal", "logs")]).unwrap()
    }
}

async fn later(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

const FOREVER: &str = "{initial_interval: 1s, max_interval: 10s, max_elapsed_time: 0s}";

#[tokio::test(start_paused = true)]
async fn an_exporter_that_is_stuck_is_named_with_what_it_holds_and_moves_again_when_it_can() {
    let scene = Scene::new("{}", FOREVER);
    scene.fake.answer(|_| Outcome::Retry { error: "backend:4317: connection refused".to_owned(), after: None });
    assert_eq!((scene.moving().await.0, scene.stalled()), (200, 0.0));
    later(600).await;
    scene.send(7).await.unwrap();
    later(59).await;
    let (status, exporter) = scene.moving().await;
    assert_eq!((status, &exporter["stalledFor"]), (200, &Value::from("59s")), "{exporter}");
    later(2).await;
    let (status, exporter) = scene.moving().await;
    assert_eq!((status, scene.stalled()), (503, 61.0));
    assert_eq!((&exporter["exporter"], &exporter["heldItems"]), (&"otlp".into(), &7.into()), "{exporter}");
    assert_eq!(
        (&exporter["stalledFor"], &exporter["lastError"]),
        (&"1m1s".into(), &"backend:4317: connection refused".into())
    );
    assert!(exporter["stalledSince"].is_string() && exporter["lastErrorAt"].is_string(), "{exporter}");
    // Neither of the other two is lowered by it.
    assert_eq!((scene.ask("/ready").await.0, scene.ask("/live").await.0, scene.ask("/").await.0), (200, 200, 200));
    scene.fake.answer(|_| Outcome::Sent);
    later(15).await;
    let (status, exporter) = scene.moving().await;
    assert_eq!((status, scene.stalled(), &exporter["heldItems"]), (200, 0.0, &0.into()), "{exporter}");
    assert!(exporter["lastTakenAt"].is_string() && exporter["stalledFor"].is_null(), "{exporter}");
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_something_now_and_then_moves() {
    let scene = Scene::new("{num_consumers: 1}", FOREVER);
    scene.fake.delay(Duration::from_secs(4));
    for _ in 0..100 {
        scene.send(1).await.unwrap();
    }
    for _ in 0..6 {
        later(50).await;
        assert_eq!(scene.moving().await.0, 200);
        assert!(scene.stalled() <= 5.0, "{}", scene.stalled());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_everything_is_stuck_though_it_holds_nothing() {
    for queue in ["{}", "enabled: false"] {
        let scene = Scene::new(queue, "{}");
        scene.fake.answer(|_| Outcome::Refused { error: "401 unauthorized".to_owned(), fault: Fault::Elsewhere });
        for _ in 0..12 {
            assert_eq!(scene.moving().await.0, 200);
            let _refused_without_a_queue = scene.send(1).await;
            later(5).await;
        }
        let (status, exporter) = scene.moving().await;
        assert_eq!(
            (status, &exporter["heldItems"], &exporter["lastError"]),
            (503, &0.into(), &"401 unauthorized".into())
        );
        // Nobody sends any more: what it would do is not known.
        later(60).await;
        assert_eq!(scene.moving().await.0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_bad_record_is_not_a_stuck_exporter() {
    let scene = Scene::new("{}", "{}");
    scene.fake.answer(|_| Outcome::Refused { error: "400 bad".to_owned(), fault: Fault::Data });
    scene.send(1).await.unwrap();
    for _ in 0..5 {
        later(20).await;
        assert_eq!((scene.moving().await.0, scene.ask("/ready").await.0), (200, 200));
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full_lowers_neither_readiness_nor_liveness() {
    let scene = Scene::new("{queue_size: 1}", FOREVER);
    scene.fake.answer(|_| Outcome::Retry { error: "down".to_owned(), after: None });
    scene.send(1).await.unwrap();
    scene.send(1).await.unwrap_err();
    later(100).await;
    assert_eq!((scene.ask("/ready").await.0, scene.ask("/live").await.0, scene.moving().await.0), (200, 200, 503));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_readiness_and_never_liveness() {
    let scene = Scene::new("{}", FOREVER);
    scene.fake.delay(Duration::from_secs(4));
    scene.send(1).await.unwrap();
    scene.health.set_stopping();
    let (ready, document) = scene.ask("/ready").await;
    assert_eq!((ready, &document["reason"]), (503, &"stopping: what is held is being sent".into()));
    let drain = scene.pipelines.drain(tokio::time::Instant::now() + Duration::from_secs(30));
    let asks = async {
        for _ in 0..3 {
            later(1).await;
            assert_eq!((scene.ask("/live").await.0, scene.ask("/").await.0), (200, 503));
        }
    };
    assert_eq!(tokio::join!(drain, asks).0, 0);
    assert_eq!(scene.ask("/live").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn the_words_of_a_destination_are_for_loopback_alone() {
    let scene = Scene::new("{}", FOREVER);
    scene.fake.answer(|_| Outcome::Retry { error: "https://internal.example/ says 502".to_owned(), after: None });
    scene.send(1).await.unwrap();
    later(70).await;
    let text = text_of(scene.extension.answer("/moving", false).await).await;
    assert!(
        text.contains("\"stuck\"") && text.contains("ask on loopback") && !text.contains("internal.example"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_pods_are_not_known_the_collectors_answer_is_yes_and_ready_is_no() {
    let scene = Scene::new("{}", "{}");
    scene.health.set_looking(true);
    let (status, document) = scene.ask("/ready").await;
    assert_eq!((status, &document["reason"]), (503, &"waiting for the first list of pods".into()));
    assert_eq!(scene.ask("/").await.0, 200);
    scene.health.set_looking(false);
    assert_eq!(scene.ask("/ready").await.0, 200);
}
