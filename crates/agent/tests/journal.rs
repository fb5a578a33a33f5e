//! The journal with the program itself, which is killed: what was acknowledged arrives.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use testkit::AgentProcess;
use testkit::backend::{Answer, Backend, Payload};

const BINARY: &str = env!("CARGO_BIN_EXE_otel-agent");
const WAIT: Duration = Duration::from_secs(30);
const ITEMS: u64 = 10;

/// As people write it for the Collector, with what a test needs: a directory, short waits, free ports.
fn config(backend: &str, directory: &Path, storage: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: 'GRPC'}}, http: {{endpoint: 'HTTP'}}}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 400}}
  batch: {{timeout: 50ms}}
exporters:
  otlp_http:
    endpoint: '{backend}'
    retry_on_failure: {{initial_interval: 20ms, max_interval: 50ms, max_elapsed_time: 0s}}
    sending_queue: {{storage: file_storage, queue_size: 5000}}
extensions:
  health_check: {{endpoint: 'HEALTH'}}
  file_storage: {{directory: '{}', timeout: 10s{storage}}}
service:
  extensions: [health_check, file_storage]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: METRICS_PORT}}}}}}}}]}}}}
  pipelines:
    logs: {{receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http]}}
",
        directory.display()
    )
}

/// Log records that are known by number, with some text.
fn request(first: u64, filler: usize) -> Vec<u8> {
    let record =
        |number| LogRecord { time_unix_nano: number, severity_text: "x".repeat(filler), ..LogRecord::default() };
    let scope = ScopeLogs { log_records: (first..first + ITEMS).map(record).collect(), ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
}

/// Sends one request; true if it was acknowledged.
fn send(agent: &AgentProcess, first: u64, filler: usize) -> bool {
    let answer = agent.post("/v1/logs", "application/x-protobuf", &request(first, filler));
    answer.is_ok_and(|answer| answer.status == 200)
}

/// The numbers that the backend has taken, each as often as it came.
fn arrived(backend: &Backend) -> Vec<u64> {
    let of = |payload: &Payload| match payload {
        Payload::Logs(logs) => {
            let scopes = logs.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            scopes.flat_map(|scope| &scope.log_records).map(|record| record.time_unix_nano).collect()
        }
        _ => Vec::new(),
    };
    backend.received().iter().flat_map(|received| of(&received.payload)).collect()
}

async fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < WAIT, "it does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A few clients send as fast as they can until the agent is killed; what was acknowledged is noted.
fn send_until_killed(agent: &AgentProcess, next: &AtomicU64, acknowledged: &Mutex<BTreeSet<u64>>, after: Duration) {
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(ITEMS, Relaxed);
                    if send(agent, first, 20) {
                        acknowledged.lock().unwrap().extend(first..first + ITEMS);
                    } else if agent.health().is_err() {
                        return;
                    }
                }
            });
        }
        let (start, before) = (Instant::now(), acknowledged.lock().unwrap().len());
        let few = || acknowledged.lock().unwrap().len() < before + 10 * ITEMS as usize;
        // where each answer waits for a slow disk, there shall be something to lose as well
        while start.elapsed() < after || (few() && start.elapsed() < WAIT) {
            std::thread::sleep(Duration::from_millis(1));
        }
        agent.kill().unwrap();
    });
}

async fn killed_again_and_again(storage: &str) {
    let backend = Backend::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = config(&backend.url(), folder.path(), storage);
    let (next, acknowledged) = (AtomicU64::new(1), Mutex::new(BTreeSet::new()));
    for round in 0_u64..7 {
        // In every other life the backend takes nothing, so that there is something to lose.
        backend.answer(if round % 2 == 0 { Answer::code(14, "come back later") } else { Answer::Accept });
        let agent = AgentProcess::start(BINARY, &text).unwrap();
        let after = Duration::from_millis(37 + round * 53 + u64::from(std::process::id()) % 41);
        tokio::task::block_in_place(|| send_until_killed(&agent, &next, &acknowledged, after));
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    let before = arrived(&backend);
    let missing = acknowledged.difference(&before.iter().copied().collect()).count();
    assert!(acknowledged.len() > 500 && missing > 0, "{} acknowledged, {missing} missing", acknowledged.len());

    backend.answer(Answer::Accept);
    let agent = AgentProcess::start(BINARY, &text).unwrap();
    until(|| agent.sum("otel_agent_journal_records").is_ok_and(|records| records == 0.0)).await;
    let all = arrived(&backend);
    let distinct: BTreeSet<u64> = all.iter().copied().collect();
    let lost: Vec<&u64> = acknowledged.difference(&distinct).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged items are lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(distinct.iter().all(|number| *number < next.load(Relaxed)), "nothing is invented");
    // What came twice is among what was read back, and that is counted.
    let replayed = agent.sum("otel_agent_journal_replayed_items").unwrap();
    assert_eq!((all.len() - before.len()) as f64, replayed);
    assert!(all.len() - distinct.len() < acknowledged.len(), "{} duplicates", all.len() - distinct.len());
    agent.ledger_balances().unwrap();
    println!(
        "fsync {storage:?}: {} acknowledged, {missing} of them not sent at the last kill, 0 lost, {} came twice",
        acknowledged.len(),
        all.len() - distinct.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_delivers_everything_that_it_acknowledged() {
    killed_again_and_again("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn also_when_each_answer_waits_for_the_disk() {
    killed_again_and_again(", fsync: true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_before_a_stop_is_sent_by_the_next_start() {
    let backend = Backend::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let agent = AgentProcess::start(BINARY, &config("http://127.0.0.1:9", folder.path(), "")).unwrap();
    assert!((0..5).all(|number| send(&agent, number * ITEMS, 20)));
    agent.ledger_balances().unwrap();
    let (status, log) = agent.terminate().unwrap();
    assert!(status.success() && log.contains("stays in the journal") && !log.contains("These items are lost"), "{log}");
    let agent = AgentProcess::start(BINARY, &config(&backend.url(), folder.path(), "")).unwrap();
    backend.wait_for(50, WAIT).await.unwrap();
    until(|| agent.sum("otel_agent_ledger_sent_items").is_ok_and(|sent| sent == 50.0)).await;
    assert_eq!(agent.sum("otel_agent_ledger_accepted_items").unwrap(), 50.0, "it takes over the books, too");
    agent.ledger_balances().unwrap();
    let (_, log) = agent.terminate().unwrap();
    assert!(log.contains("The journal has records that were not sent"), "{log}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["journal.lock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_full_or_cannot_be_written_refuses_and_goes_on_when_it_can() {
    let backend = Backend::start().await.unwrap();
    backend.answer(Answer::code(14, "come back later"));
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("journal");
    let text = config(&backend.url(), &directory, ", create_directory: true, max_size: 1MiB");
    let agent = AgentProcess::start(BINARY, &text).unwrap();
    let taken = (0..1000).take_while(|number| send(&agent, number * ITEMS, 1000)).count() as u64;
    let answer = agent.post("/v1/logs", "application/x-protobuf", &request(0, 1000)).unwrap();
    assert!(answer.status == 503 && answer.text.contains("the journal on disk is full"), "{}", answer.text);
    assert!(answer.text.to_lowercase().contains("retry-after: "), "{}", answer.text);
    assert!((50..110).contains(&taken), "{taken} requests of 10 kB in 1 MiB");
    assert_eq!(agent.health().unwrap().status, 200, "a full disk is no reason to restart");
    backend.answer(Answer::Accept);
    backend.wait_for(usize::try_from(taken * ITEMS).unwrap(), WAIT).await.unwrap();
    until(|| send(&agent, taken * ITEMS, 20)).await;
    // The directory goes: what is written to a file without a name is not kept, and another one cannot be made.
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(!send(&agent, 0, 1000));
    let answer = agent.post("/v1/logs", "application/x-protobuf", &request(0, 1000)).unwrap();
    assert!(answer.status == 503 && answer.text.contains("the journal on disk cannot be written"), "{}", answer.text);
    std::fs::create_dir(&directory).unwrap();
    until(|| send(&agent, 0, 1000)).await;
    agent.wait_for_log("The journal can be written again").unwrap();
    // Also more than the journal has room for: what is gone with the directory takes none.
    for number in 0..200 {
        until(|| send(&agent, number * ITEMS, 1000)).await;
    }
    agent.ledger_balances().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_dropped_and_named_again_while_the_first_still_drains_is_the_same_one() {
    let backend = Backend::start().await.unwrap();
    backend.answer(Answer::code(14, "come back later"));
    let folder = tempfile::tempdir().unwrap();
    let with = config(&backend.url(), folder.path(), "").replace("timeout: 10s", "timeout: 1s");
    let without = with.replace("storage: file_storage, ", "");
    let agent = AgentProcess::start(BINARY, &with).unwrap();
    assert!(send(&agent, 1, 20));
    agent.reload(&without).unwrap();
    agent.wait_for_log("Config updated").unwrap();
    assert!(send(&agent, 11, 20));
    agent.reload(&with).unwrap();
    until(|| {
        let log = agent.log().unwrap();
        assert!(!log.contains("still in use"), "{log}");
        log.matches("Config updated").count() == 2
    })
    .await;
    assert!(send(&agent, 21, 20));
    backend.answer(Answer::Accept);
    backend.wait_for(30, WAIT).await.unwrap();
    until(|| agent.sum("otel_agent_ledger_held_items").is_ok_and(|held| held == 0.0)).await;
    until(|| agent.sum("otel_agent_journal_records").is_ok_and(|records| records == 0.0)).await;
    let mut all = arrived(&backend);
    all.sort_unstable();
    assert_eq!(all, (1..31).collect::<Vec<u64>>());
    agent.ledger_balances().unwrap();
}

#[test]
fn a_directory_that_cannot_be_used_ends_the_start_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = AgentProcess::start(BINARY, &config("http://127.0.0.1:9", &missing, "")).err().unwrap().to_string();
    assert!(error.contains("directory must exist: stat") && error.contains("create_directory"), "{error}");
    // Nobody can make files there, also not root.
    let error = AgentProcess::start(BINARY, &config("http://127.0.0.1:9", Path::new("/proc/self"), ""));
    let error = error.err().unwrap().to_string();
    assert!(error.contains("the journal in /proc/self cannot be used"), "{error}");
}

#[test]
fn the_collectors_configuration_is_taken_and_a_storage_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let validate = |extensions: &str, listed: &str| {
        let text = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{}}}}}}}}
exporters: {{otlp: {{endpoint: 'backend:4317', sending_queue: {{storage: file_storage/otc, queue_size: 100}}}}}}
extensions: {{{extensions}}}
service:
  extensions: [{listed}]
  pipelines: {{traces: {{receivers: [otlp], exporters: [otlp]}}}}
"
        );
        std::fs::write(folder.path().join("agent.yaml"), text).unwrap();
        testkit::process::run(BINARY, &["validate", "--config", "agent.yaml"], folder.path()).unwrap()
    };
    let of_the_readme = "file_storage/otc: {directory: /tmp/, timeout: 10s, create_directory: true, \
                         compaction: {on_start: true, directory: /tmp/, max_transaction_size: 65536}}";
    let (code, _, stderr) = validate(of_the_readme, "file_storage/otc");
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = validate(of_the_readme, "");
    assert!(code == 1 && stderr.contains("the extension \"file_storage/otc\" is not started"), "{stderr}");
    let (code, _, stderr) = validate("health_check: {}", "health_check");
    assert!(code == 1 && stderr.contains("references extension \"file_storage/otc\""), "{stderr}");
}
