//! Servers that refuse, fail, or say nothing.

use super::*;
use crate::kubernetes::feed::played::Refusal;
use crate::kubernetes::right::Right;
use crate::telemetry::logs::capture;

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_named_with_the_command_that_grants_it_and_works_once_it_is_there() {
    let logs = capture::start();
    let (server, metrics) = (Server::new(), Metrics::new());
    server.put("a", pod("10.0.0.1"));
    server.refuse("list pods", Refusal::Status(403, ""));
    let pods = server.open(&source(), Interest::default(), &metrics);
    seconds(120).await;
    assert!(!pods.synced());
    let [trouble] = pods.troubles().try_into().unwrap();
    assert_eq!(trouble.right, Right::pods(None));
    assert!(trouble.message.contains("cannot list pods"), "{}", trouble.message);
    assert_eq!(
        trouble.remedy,
        "kubectl create clusterrole otel-agent-pods --verb=list,watch --resource=pods\n\
         kubectl create clusterrolebinding otel-agent-pods --clusterrole=otel-agent-pods \
         --serviceaccount=open-telemetry:otel-agent"
    );
    let missing = || metrics.value(&table::KUBERNETES_MISSING_RIGHTS, &[("resource", "pods")]);
    assert_eq!(missing(), Some(1.0));
    assert!(server.asked("list pods").len() > 5);
    assert_eq!(logs.text().matches("lacks a permission").count(), 1, "{}", logs.text());
    server.allow("list pods");
    seconds(31).await;
    check(&pods, "10.0.0.1", Some("a"));
    assert_eq!((pods.troubles().len(), missing()), (0, Some(0.0)));
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_watch_what_was_listed_serves_and_no_flood_follows() {
    let logs = capture::start();
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    server.refuse("watch pods", Refusal::Status(403, ""));
    let pods = open(&server).await;
    seconds(600).await;
    check(&pods, "10.0.0.1", Some("a"));
    assert_eq!(pods.troubles().len(), 1);
    assert!(server.asked("list pods").len() < 15, "{} lists", server.asked("list pods").len());
    assert!(logs.text().matches("lacks a permission").count() <= 2, "{}", logs.text());
    server.allow("watch pods");
    seconds(31).await;
    assert_eq!((pods.troubles().len(), server.watches()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_server_asks_for_is_waited() {
    let server = Server::new();
    server.refuse("list pods", Refusal::Away(429, 7));
    let pods = server.open(&source(), Interest::default(), &Metrics::new());
    seconds(20).await;
    server.allow("list pods");
    pods.wait_synced().await;
    let lists = server.asked("list pods");
    assert!((3..=4).contains(&lists.len()), "{lists:?}");
    for pair in lists.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_secs(7), "{pair:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_asked_less_and_less_and_what_is_known_serves() {
    let (server, metrics) = (Server::new(), Metrics::new());
    server.put("a", pod("10.0.0.1"));
    let pods = server.open(&source(), Interest::default(), &metrics);
    pods.wait_synced().await;
    settle().await;
    for what in ["list pods", "watch pods"] {
        server.refuse(what, Refusal::Status(500, "etcd is on fire"));
    }
    server.cut();
    seconds(600).await;
    check(&pods, "10.0.0.1", Some("a"));
    let asked = server.asked("list pods").len() + server.asked("watch pods").len();
    assert!((20..60).contains(&asked), "{asked} requests in ten minutes");
    let failures = metrics.value(&table::KUBERNETES_FAILURES, &[("resource", "pods"), ("reason", "server_error")]);
    assert!(failures.unwrap() > 15.0);
    server.put("b", pod("10.0.0.2"));
    server.allow("list pods");
    server.allow("watch pods");
    seconds(31).await;
    check(&pods, "10.0.0.2", Some("b"));
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_refused_are_read_again() {
    let server = Server::new();
    let pods = open(&server).await;
    assert_eq!(server.clients(), 1);
    server.refuse("watch pods", Refusal::Status(401, "the token has expired"));
    seconds(10).await;
    server.cut();
    seconds(2).await;
    assert_eq!(server.clients(), 2);
    server.allow("watch pods");
    server.put("a", pod("10.0.0.1"));
    seconds(31).await;
    check(&pods, "10.0.0.1", Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_asked_again() {
    let server = Server::new();
    server.put("a", pod("10.0.0.1"));
    server.refuse("list pods", Refusal::Silence);
    let pods = server.open(&source(), Interest::default(), &Metrics::new());
    seconds(64).await;
    assert_eq!(server.asked("list pods").len(), 1);
    seconds(3).await;
    assert_eq!(server.asked("list pods").len(), 2);
    server.allow("list pods");
    seconds(70).await;
    check(&pods, "10.0.0.1", Some("a"));
}
