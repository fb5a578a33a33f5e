use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::*;
use crate::net::body::Reserve;
use crate::pipeline::testing::{Fake, logs};
use crate::pipeline::{
    Arrival, Batch, Budget, Code, Fault, Origin, Outcome, Patience, Policy, Reason, Refusal, Rejected, Wait,
};
use crate::processors::batch;
use crate::settings::{GoDuration, Toggle, read_text};

/// Takes out everything, or refuses it.
struct Odd(Option<Refusal>);

impl Process for Odd {
    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected> {
        match &self.0 {
            Some(refusal) => Err(Rejected::back(batch, refusal.clone())),
            None => {
                batch.ticket.dropped(Reason::Filtered);
                Ok(None)
            }
        }
    }
}

fn plan(id: &str, steps: Vec<Step>, exporters: &[&str]) -> PipelinePlan {
    let exporters = exporters.iter().map(|id| (*id).to_owned()).collect();
    PipelinePlan { id: id.to_owned(), signal: Signal::Logs, receivers: vec!["otlp".to_owned()], steps, exporters }
}

fn direct() -> Policy {
    Policy { queue: Toggle::Off, retry: Toggle::Off, timeout: GoDuration::ZERO }
}

fn sender(id: &str, policy: &Policy, fake: &Fake, metrics: &Metrics) -> Sender {
    Sender::new(id, Signal::Logs, policy, fake.clone(), &[], metrics)
}

fn build(plans: Vec<PipelinePlan>, senders: Vec<Sender>, metrics: &Metrics) -> Pipelines {
    let door = Door::new(Budget::new(1 << 20));
    let ledger = Ledger::new();
    ledger.register(metrics);
    Pipelines::build(plans, senders, door, ledger, metrics).unwrap()
}

fn arrival(intake: &Intake, bytes: Bytes, items: usize) -> Arrival {
    let hold = intake.admit(&Origin::default(), bytes.len()).unwrap();
    Arrival { signal: Signal::Logs, bytes, items, origin: Origin::default(), hold }
}

async fn send(intake: &Intake, items: u64) -> Result<(), Refusal> {
    intake.accept(arrival(intake, logs(0..items), usize::try_from(items).unwrap())).await
}

/// Accepted, refused, sent, dropped of each line.
fn lines(pipelines: &Pipelines) -> Vec<(u64, u64, u64, u64)> {
    pipelines.ledger().balance().unwrap();
    let entries = pipelines.ledger().entries().into_iter();
    entries.map(|line| (line.accepted, line.refused, line.sent, line.dropped_in_all())).collect()
}

fn batching(yaml: &str, metrics: &Metrics) -> Step {
    let config: batch::Config = read_text(yaml).unwrap();
    let metrics = metrics.clone();
    Step::Gather(Box::new(move |next| config.build("batch", next, &metrics)))
}

#[tokio::test(start_paused = true)]
async fn what_one_pipeline_refuses_the_others_have_and_the_sender_hears_no() {
    let metrics = Metrics::new();
    let fake = Fake::taking();
    let refusal = Refusal::unavailable("not now");
    let plans = vec![
        plan("logs/a", vec![], &["x"]),
        plan("logs/b", vec![Step::Process(Arc::new(Odd(Some(refusal.clone()))))], &["x"]),
        plan("logs/c", vec![Step::Process(Arc::new(Odd(None)))], &["x"]),
    ];
    let pipelines = build(plans, vec![sender("x", &direct(), &fake, &metrics)], &metrics);
    let intake = pipelines.intake("otlp", Signal::Logs).unwrap();
    assert_eq!(send(&intake, 5).await, Err(refusal));
    assert_eq!(lines(&pipelines), [(5, 0, 5, 0), (0, 5, 0, 0), (5, 0, 0, 5)]);
    assert!(pipelines.intake("otlp", Signal::Traces).is_none());
    assert!(pipelines.intake("other", Signal::Logs).is_none());
}

#[tokio::test(start_paused = true)]
async fn every_exporter_gets_it_also_when_one_does_not_take_it() {
    let metrics = Metrics::new();
    let (bad, good) = (Fake::down(), Fake::taking());
    let senders = vec![sender("bad", &direct(), &bad, &metrics), sender("good", &direct(), &good, &metrics)];
    let pipelines = build(vec![plan("logs", vec![], &["bad", "good"])], senders, &metrics);
    let intake = pipelines.intake("otlp", Signal::Logs).unwrap();
    let refusal = send(&intake, 5).await.unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (Code::Unavailable, "down"));
    assert_eq!(lines(&pipelines), [(0, 5, 0, 0), (5, 0, 5, 0)]);
    assert_eq!(pipelines.door().budget().usage(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_an_answer_too() {
    let metrics = Metrics::new();
    let fake = Fake::taking();
    let pipelines = build(vec![plan("logs", vec![], &["x"])], vec![sender("x", &direct(), &fake, &metrics)], &metrics);
    let intake = pipelines.intake("otlp", Signal::Logs).unwrap();
    intake.accept(arrival(&intake, Bytes::new(), 0)).await.unwrap();
    assert!(fake.attempts().is_empty());
    assert_eq!(lines(&pipelines), [(0, 0, 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn draining_follows_the_flow_and_keeps_the_deadline() {
    let metrics = Metrics::new();
    let fake = Fake::taking();
    let steps = vec![batching("timeout: 1h", &metrics), batching("timeout: 2h", &metrics)];
    let policy = Policy::with_timeout(GoDuration::secs(5));
    let pipelines = build(vec![plan("logs", steps, &["x"])], vec![sender("x", &policy, &fake, &metrics)], &metrics);
    let intake = pipelines.intake("otlp", Signal::Logs).unwrap();
    send(&intake, 5).await.unwrap();
    send(&intake, 7).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((fake.attempts().len(), pipelines.ledger().held()), (0, 12));
    assert_eq!(pipelines.drain(Instant::now() + Duration::from_secs(5)).await, 0);
    assert_eq!((fake.attempts().len(), fake.closed()), (1, 1));
    assert_eq!(lines(&pipelines), [(12, 0, 12, 0)]);
    assert_eq!(send(&intake, 1).await.unwrap_err().code, Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn with_the_destination_down_everything_left_is_counted_by_the_deadline() {
    let metrics = Metrics::new();
    let fake = Fake::down();
    fake.delay(Duration::from_secs(2));
    let policy = Policy {
        queue: read_text("{num_consumers: 1, queue_size: 2}").unwrap(),
        ..Policy::with_timeout(GoDuration::secs(5))
    };
    let steps = vec![batching("{send_batch_size: 1, timeout: 1s}", &metrics)];
    let pipelines = build(vec![plan("logs", steps, &["x"])], vec![sender("x", &policy, &fake, &metrics)], &metrics);
    let intake = pipelines.intake("otlp", Signal::Logs).unwrap();
    let mut taken = 0;
    let refusal = loop {
        match send(&intake, 1).await {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
        sleep(Duration::from_millis(1)).await;
    };
    // Two in the queue, one that waits for room there, four that are ready.
    assert_eq!((taken, refusal.message.as_str()), (7, "sending queue is full"));
    assert!(refusal.is_retryable() && refusal.retry_after.is_some());
    let start = Instant::now();
    let left = pipelines.drain(Instant::now() + Duration::from_secs(7)).await;
    assert_eq!((left, start.elapsed().as_secs()), (7, 7));
    assert_eq!(lines(&pipelines), [(7, 1, 0, 7)]);
    assert_eq!(pipelines.ledger().entries()[0].dropped(Reason::Shutdown), 7);
    assert_eq!(pipelines.door().budget().usage(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_exporter_that_is_full_does_not_cost_the_other_anything() {
    let metrics = Metrics::new();
    let (full, good) = (Fake::taking(), Fake::taking());
    full.delay(Duration::from_secs(4));
    let small = Policy {
        queue: read_text("{num_consumers: 1, queue_size: 1}").unwrap(),
        ..Policy::with_timeout(GoDuration::secs(5))
    };
    let senders = vec![
        sender("full", &small, &full, &metrics),
        sender("good", &Policy::with_timeout(GoDuration::secs(5)), &good, &metrics),
    ];
    let steps = vec![batching("{send_batch_size: 1, timeout: 1s}", &metrics)];
    let pipelines = build(vec![plan("logs", steps, &["full", "good"])], senders, &metrics);
    let intake = pipelines.intake("otlp", Signal::Logs).unwrap();
    for _ in 0..4 {
        send(&intake, 3).await.unwrap();
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(lines(&pipelines), [(12, 0, 12, 0), (12, 0, 12, 0)]);
    assert_eq!(pipelines.door().budget().usage(), 0);
    assert_eq!(
        metrics.value(&table::LEDGER_SENT, &[("pipeline", "logs"), ("exporter", "good"), ("otel_signal", "logs")]),
        Some(12.0)
    );
}

#[tokio::test]
async fn a_body_that_never_fits_is_refused_for_good() {
    let door = Door::new(Budget::with_soft(1000, 600));
    let mut other = door.admit(500).unwrap();
    let mut hold = door.admit(0).unwrap();
    let refusal = |full| Refusal::from(full);
    assert!(refusal(Reserve::grow(&mut hold, 200).unwrap_err()).is_retryable(), "there will be room again");
    other.shrink_to(0);
    Reserve::grow(&mut hold, 400).unwrap();
    let never = refusal(Reserve::grow(&mut hold, 400).unwrap_err());
    assert_eq!(never.code, Code::InvalidArgument);
    assert_eq!(never.message, "a request of 800 bytes does not fit into the memory budget of 600 bytes");
    assert_eq!(door.admit(601).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn an_exporter_that_was_not_built_is_an_error() {
    let door = Door::new(Budget::new(1));
    let plans = vec![plan("logs", vec![], &["missing"])];
    let error = Pipelines::build(plans, vec![], door, Ledger::new(), &Metrics::new()).err().unwrap();
    assert_eq!(error.to_string(), "pipeline logs: exporter missing was not built");
}

/// Many senders on several threads, real time: nothing hangs, nothing is lost track of.
async fn crowd(queue: &str, batch: &str) {
    let metrics = Metrics::new();
    let fake = Fake::answering(|numbers| match numbers.len() % 7 {
        0 => Outcome::Retry { error: "busy".to_owned(), after: None },
        1 => Outcome::Refused { error: "bad".to_owned(), fault: Fault::Data },
        _ => Outcome::Sent,
    });
    let policy = Policy {
        queue: read_text(queue).unwrap(),
        retry: read_text("{initial_interval: 1ms, max_interval: 2ms, max_elapsed_time: 20ms}").unwrap(),
        timeout: GoDuration::secs(5),
    };
    let steps = if batch.is_empty() { vec![] } else { vec![batching(batch, &metrics)] };
    let senders = vec![sender("x", &policy, &fake, &metrics), sender("y", &policy, &Fake::taking(), &metrics)];
    let pipelines = build(vec![plan("logs", steps, &["x", "y"])], senders, &metrics);
    let intake = pipelines.intake("otlp", Signal::Logs).unwrap();
    let clients = (0..8_u64).map(|client| {
        let intake = intake.clone();
        tokio::spawn(async move {
            let mut taken = 0;
            for round in 0..200 {
                let items = 1 + (client * 31 + round * 17) % 40;
                match send(&intake, items).await {
                    Ok(()) => taken += items,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
            taken
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut taken = 0;
    for client in clients {
        taken += client.await.unwrap();
    }
    assert_eq!(pipelines.drain(Instant::now() + Duration::from_secs(30)).await, left_behind(&pipelines));
    let (x, y) = (lines(&pipelines)[0], lines(&pipelines)[1]);
    assert!(x.0 >= taken && y.0 >= taken, "what was answered with yes is accepted");
    assert_eq!((x.0, y.0), (x.2 + x.3, y.2 + y.3));
    assert_eq!((pipelines.ledger().held(), pipelines.door().budget().usage()), (0, 0));
}

fn left_behind(pipelines: &Pipelines) -> u64 {
    pipelines.ledger().entries().iter().map(|line| line.dropped(Reason::Shutdown)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_on_several_threads_loses_nothing() {
    for (queue, batch) in [
        ("{num_consumers: 3, queue_size: 5}", "{timeout: 2ms, send_batch_size: 60, send_batch_max_size: 80}"),
        ("{num_consumers: 2, queue_size: 3}", "{timeout: 1ms, send_batch_max_bytes: 300}"),
        ("{queue_size: 5, block_on_overflow: true}", ""),
        ("{queue_size: 8, wait_for_result: true}", ""),
        ("{queue_size: 6, batch: {min_size: 100, max_size: 120, flush_timeout: 1ms}}", ""),
        ("{queue_size: 6, wait_for_result: true, batch: {min_size: 100, flush_timeout: 1ms}}", ""),
        ("{enabled: false}", "{timeout: 1ms}"),
    ] {
        tokio::time::timeout(Duration::from_secs(60), crowd(queue, batch)).await.expect(queue);
    }
}

/// Lets every batch wait for the end of patience.
struct Waits(Patience);

impl Process for Waits {
    fn wait(&self, _batch: &Batch) -> Option<Wait<'_>> {
        (!self.0.has_ended()).then(|| Box::pin(self.0.ended()) as Wait<'_>)
    }

    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected> {
        Ok(Some(batch))
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_waits_is_neither_acknowledged_nor_sent_and_its_memory_is_held() {
    let metrics = Metrics::new();
    let (fake, patience) = (Fake::taking(), Patience::default());
    let plans = vec![plan("logs", vec![Step::Process(Arc::new(Waits(patience.clone())))], &["x"])];
    let pipelines = build(plans, vec![sender("x", &direct(), &fake, &metrics)], &metrics);
    let intake = pipelines.intake("otlp", Signal::Logs).unwrap();
    let mut sending = Box::pin(send(&intake, 3));
    tokio::select! {
        biased;
        _ = &mut sending => panic!("acknowledged before it was processed"),
        () = sleep(Duration::from_secs(60)) => {}
    }
    assert!(fake.attempts().is_empty());
    assert!(pipelines.door().budget().usage() > 0, "what waits is held");
    assert_eq!(lines(&pipelines), [(0, 0, 0, 0)]);
    patience.end();
    sending.await.unwrap();
    assert_eq!(fake.attempts().len(), 1);
    send(&intake, 1).await.unwrap();
    assert_eq!(lines(&pipelines), [(4, 0, 4, 0)]);
    assert_eq!(pipelines.door().budget().usage(), 0);
}
