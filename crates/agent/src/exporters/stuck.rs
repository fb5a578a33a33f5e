//! Exporters that write to a pipe which nobody reads from: what their senders have given up on does not collect before it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::time::timeout;
use wire::{Chain, Signal};

use super::{debug, file};
use crate::pipeline::testing::seen;
use crate::pipeline::{Deliver, Origin, Outcome, Parcel, Room};
use crate::settings::{ComponentId, read_text};

const GIVEN_UP: usize = 20;

async fn deliver(exporter: &impl Deliver, text: String, alive: &Arc<()>) -> Outcome {
    let text = AnyValue { value: Some(Value::StringValue(text)) };
    let log_records = vec![LogRecord { body: Some(text), ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let body = Chain::from(seen(ExportLogsServiceRequest { resource_logs }.encode_to_vec().into(), alive));
    let origin = Origin::default();
    exporter
        .deliver(Parcel { signal: Signal::Logs, body: &body, items: 1, origin: &origin, room: Room::endless() })
        .await
}

/// `open` makes an exporter that writes to the path which it is given.
fn gives_up_before_a_pipe<D: Deliver>(open: impl FnOnce(&str) -> D) {
    // With a thread for the one that is stuck, and one for everything else that may block.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.max_blocking_threads(2).enable_time().build().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut pipe = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let (exporter, alive) = (open(path.to_str().unwrap()), Arc::new(()));
        for number in 0..GIVEN_UP {
            let more_than_a_pipe_takes = format!("given up {number} {}", "x".repeat(200 << 10));
            let delivering = deliver(&exporter, more_than_a_pipe_takes, &alive);
            assert!(timeout(Duration::from_millis(20), delivering).await.is_err(), "nobody reads");
        }
        let kept = Arc::strong_count(&alive) - 1;
        assert!(kept <= 1, "{kept} bodies are in memory that nobody waits for");
        timeout(Duration::from_secs(10), tokio::task::spawn_blocking(|| ())).await.expect("there is a thread").unwrap();
        // Somebody reads.
        let reading = std::thread::spawn(move || {
            let (mut text, mut part) = (String::new(), vec![0; 64 << 10]);
            while !text.contains("the last request") {
                let length = pipe.read(&mut part).unwrap();
                text += std::str::from_utf8(&part[..length]).unwrap();
            }
            text
        });
        let last = timeout(Duration::from_secs(10), deliver(&exporter, "the last request".to_owned(), &alive)).await;
        assert_eq!(last, Ok(Outcome::Sent));
        let written = reading.join().unwrap().matches("given up").count();
        assert!(written <= 1, "{written} requests were written for nobody");
    });
}

#[test]
fn requests_that_are_given_up_do_not_collect_before_a_file_that_is_stuck() {
    gives_up_before_a_pipe(|path| {
        let config: file::Config = read_text(&format!("{{path: '{path}', append: true}}")).unwrap();
        file::File::open(&config).unwrap()
    });
}

#[test]
fn requests_that_are_given_up_do_not_collect_before_an_output_of_debug_that_is_stuck() {
    gives_up_before_a_pipe(|path| {
        let yaml = format!(
            "{{use_internal_logger: false, verbosity: normal, sampling_initial: 100, output_paths: ['{path}']}}"
        );
        debug::Debug::new(&read_text(&yaml).unwrap(), &ComponentId::of("debug")).unwrap()
    });
}
