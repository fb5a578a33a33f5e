use tracing::{debug, error, info, warn};

use super::*;

/// Lines with the time replaced, which is the only thing in them that changes.
fn without_time(text: &str) -> String {
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").unwrap();
    time.replace_all(text, "TIME").into_owned()
}

fn log_samples() {
    info!(endpoint = "127.0.0.1:4318", "Starting HTTP server");
    let cause = std::io::Error::other("connection refused");
    warn!(
        exporter = "otlp/backend",
        error = &cause as &dyn std::error::Error,
        interval = ?Duration::from_secs(5),
        items = 12,
        "Exporting failed. Will retry the request after interval."
    );
    error!(name = "evil\u{1b}[31m\nname\u{202e}\u{9b}", "a message with \u{1b}]0;title\u{7} in it");
    debug!(ratio = 0.5, done = true, "not shown at info");
}

#[test]
fn console_lines_are_readable_and_safe_to_print() {
    let capture = capture::start_with(Options::default());
    log_samples();
    insta::assert_snapshot!(without_time(&capture.text()));
}

#[test]
fn json_lines_are_objects_with_the_collectors_keys() {
    let initial_fields = Map::from_iter([("cluster".to_owned(), Value::from("prod"))]);
    let capture = capture::start_with(Options { encoding: Encoding::Json, initial_fields, ..Options::default() });
    log_samples();
    let text = capture.text();
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    insta::assert_snapshot!(without_time(&text));
}

#[test]
fn a_new_level_applies_from_the_next_line_on() {
    let capture = capture::start_with(Options::default());
    let say = || debug!("a detail");
    say();
    assert_eq!(capture.text(), "");
    let outputs = vec![Output::Memory(Arc::default())];
    let options = Options { level: LevelFilter::DEBUG, outputs, ..Options::default() };
    capture.logs().apply(&options).unwrap();
    say();
    let metrics = Metrics::new();
    capture.logs().register(&metrics);
    assert_eq!(metrics.value(&table::LOG_LINES, &[("level", "debug")]), Some(1.0));
}

#[test]
fn libraries_say_little_and_the_client_of_kubernetes_less() {
    let capture = capture::start_with(Options { level: LevelFilter::TRACE, ..Options::default() });
    debug!(target: "h2::codec", "a frame");
    warn!(target: "h2::codec", "a warning");
    warn!(target: "kube_client::client", "eof in poll");
    error!(target: "kube_client::client", "an error");
    let text = capture.text();
    let said: Vec<&str> = text.lines().filter_map(|line| line.split('\t').nth(2)).collect();
    assert_eq!(said, ["a warning", "an error"], "{text}");
}

#[test]
fn a_repeated_message_is_left_out_and_its_count_told_once() {
    let sampling = Sampling { tick: Duration::from_secs(10), initial: 2, thereafter: 20 };
    let capture = capture::start_with(Options { sampling: Some(sampling), ..Options::default() });
    for attempt in 1..=40 {
        warn!(exporter = "otlp", attempt, "Sender failed");
    }
    warn!(exporter = "otlp/other", "Sender failed");
    assert_eq!(capture.text().lines().count(), 2 + 1 + 1, "two, the twenty-second, and the other component's");
    capture.logs().sweep();
    assert_eq!(capture.text().lines().count(), 4, "the window has not passed");
    capture.logs().finish();
    let text = without_time(&capture.text());
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "TIME\twarn\tSender failed (repeated 37 times in 10 s)\t{\"exporter\": \"otlp\", \"attempt\": 40}"
    );
    let metrics = Metrics::new();
    capture.logs().register(&metrics);
    assert_eq!(metrics.value(&table::LOG_LINES, &[("level", "warn")]), Some(41.0));
    assert_eq!(metrics.value(&table::LOG_LINES_LEFT_OUT, &[("level", "warn")]), Some(37.0));
}

#[test]
fn a_flood_of_different_messages_takes_bounded_memory() {
    let now = Instant::now();
    let mut sampler = Sampler::new(Sampling { initial: 1, thereafter: 0, ..Sampling::default() }, now);
    let line = |number: usize| Line {
        level: Level::INFO,
        message: format!("message {number}"),
        fields: Map::new(),
        verbatim: false,
    };
    let written = (0..5000).filter_map(|number| sampler.admit(line(number), now)).count();
    assert_eq!(written, 1025);
    assert_eq!(sampler.repeats(now + Duration::from_secs(10)).len(), 1);
}

#[test]
fn lines_are_appended_to_a_file_and_a_folder_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.log");
    let name = format!("file://{}", path.display());
    let logs = Logs::new(&Options { outputs: vec![Output::named(&name)], ..Options::default() }).unwrap();
    tracing::subscriber::with_default(logs.subscriber(), || info!("written to a file"));
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("\tinfo\twritten to a file\n"));
    let error = logs.apply(&Options { outputs: vec![Output::File(folder.path().into())], ..Options::default() });
    assert!(error.unwrap_err().to_string().contains(&folder.path().display().to_string()));
}
