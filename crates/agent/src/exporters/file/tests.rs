//! What stands in the file, rotation, groups, and what becomes of errors.

use std::path::Path;

use wire::{Chain, Signal};

use super::{Config, File};
use crate::pipeline::{Deliver, Fault, Origin, Outcome, Parcel, Room};
use crate::settings::read_text;

const REQUEST: &str =
    r#"{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[{"body":{"stringValue":"a\nb"}}]}]}]}"#;

fn open(path: &Path, more: &str) -> File {
    let config: Config = read_text(&format!("{{path: '{}', {more}}}", path.display())).unwrap();
    File::open(&config).unwrap()
}

async fn deliver(file: &File, json: &str) -> Outcome {
    let body = Chain::from(wire::json::to_protobuf(Signal::Logs, json.as_bytes()).unwrap());
    let origin = Origin::default();
    file.deliver(Parcel { signal: Signal::Logs, body: &body, items: 1, origin: &origin, room: Room::endless() }).await
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The records of a file in which each has its length before it.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let (mut rest, mut records) = (bytes.as_slice(), Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (record, next) = behind.split_at(u32::from_be_bytes(*length) as usize);
        records.push(record.to_vec());
        rest = next;
    }
    records
}

#[tokio::test]
async fn json_is_a_line_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    let file = open(&path, "");
    assert_eq!(deliver(&file, REQUEST).await, Outcome::Sent);
    assert_eq!(deliver(&file.clone(), REQUEST).await, Outcome::Sent);
    assert_eq!(read(&path), format!("{REQUEST}\n{REQUEST}\n"));
}

#[tokio::test]
async fn the_same_settings_are_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    let traces = open(&path, "");
    deliver(&traces, REQUEST).await;
    let logs = open(&path, "");
    deliver(&logs, REQUEST).await;
    assert_eq!(read(&path), format!("{REQUEST}\n{REQUEST}\n"), "the second has not emptied it");
}

#[tokio::test]
async fn a_file_is_emptied_at_the_start_or_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    std::fs::write(&path, "before\n").unwrap();
    deliver(&open(&path, "append: true"), REQUEST).await;
    assert_eq!(read(&path), format!("before\n{REQUEST}\n"));
    deliver(&open(&path, ""), REQUEST).await;
    assert_eq!(read(&path), format!("{REQUEST}\n"));
}

#[tokio::test]
async fn protobuf_and_compressed_requests_have_their_length_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let protobuf = wire::json::to_protobuf(Signal::Logs, REQUEST.as_bytes()).unwrap();
    let path = folder.path().join("out");
    let file = open(&path, "format: proto");
    deliver(&file, REQUEST).await;
    deliver(&file, REQUEST).await;
    assert_eq!(records(&path), [protobuf.clone(), protobuf.clone()]);
    let unpack = |record: &Vec<u8>| zstd::bulk::decompress(record, 1 << 20).unwrap();
    deliver(&open(&path, "format: proto, compression: zstd"), REQUEST).await;
    assert_eq!(records(&path).iter().map(unpack).collect::<Vec<_>>(), [protobuf]);
    deliver(&open(&path, "compression: zstd, compression_params: {level: 11}"), REQUEST).await;
    assert_eq!(records(&path).iter().map(unpack).collect::<Vec<_>>(), [REQUEST.as_bytes()]);
}

#[tokio::test]
async fn a_full_file_gives_way_to_a_new_one_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    let old = folder.path().join("out-2020-01-01T00-00-00.000.json");
    for name in ["out-2020-01-01T00-00-00.000.json", "out-notes.json", "other.json"] {
        std::fs::write(folder.path().join(name), "old").unwrap();
    }
    let file = open(&path, "rotation: {max_megabytes: 1, max_backups: 2}");
    let body = "x".repeat(400 << 10);
    let request = REQUEST.replace("a\\nb", &body);
    for _ in 0..8 {
        assert_eq!(deliver(&file, &request).await, Outcome::Sent);
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(!old.exists());
    assert_eq!(read(&path).lines().count(), 2);
    let backups = names.iter().filter(|name| name.to_str().unwrap().starts_with("out-20"));
    assert!(backups.map(|name| read(&folder.path().join(name))).all(|text| text.lines().count() == 2));
}

#[tokio::test]
async fn old_files_go_after_their_days() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("out-2020-01-01T00-00-00.000.json");
    std::fs::write(&old, "old").unwrap();
    open(&folder.path().join("out.json"), "rotation: {max_days: 30}");
    assert!(!old.exists());
}

fn resource(team: &str) -> String {
    format!(
        r#"{{"resource":{{"attributes":[{{"key":"team","value":{team}}}]}},"scopeLogs":[{{"scope":{{}},"logRecords":[{{"body":{{}}}}]}}]}}"#
    )
}

#[tokio::test]
async fn groups_go_to_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let more = "group_by: {enabled: true, resource_attribute: team, max_open_files: 1}";
    let file = open(&folder.path().join("logs/*.json"), more);
    let team = |name: &str| resource(&format!(r#"{{"stringValue":"{name}"}}"#));
    let request = |resources: &[String]| format!(r#"{{"resourceLogs":[{}]}}"#, resources.join(","));
    assert_eq!(deliver(&file, &request(&[team("a"), team("b/c"), team("a")])).await, Outcome::Sent);
    assert_eq!(deliver(&file, &request(&[team("a")])).await, Outcome::Sent);
    let expected = format!("{}\n{}\n", request(&[team("a"), team("a")]), request(&[team("a")]));
    assert_eq!(read(&folder.path().join("logs/a.json")), expected);
    assert_eq!(read(&folder.path().join("logs/b/c.json")), format!("{}\n", request(&[team("b/c")])));

    let message = "the resource has no text attribute team, which names the file".to_owned();
    let homeless = request(&[team("a"), resource(r#"{"intValue":"1"}"#)]);
    assert_eq!(deliver(&file, &homeless).await, Outcome::Partial { rejected: 1, message });
}

#[tokio::test]
async fn errors_say_what_is_wrong_with_which_file() {
    let config: Config = read_text("path: /none/of/this/out.json").unwrap();
    let error = format!("{:#}", File::open(&config).unwrap_err());
    assert_eq!(error, "cannot open /none/of/this/out.json: No such file or directory (os error 2)");

    let file = open(Path::new("/dev/full"), "append: true");
    let error = "cannot write to /dev/full: No space left on device (os error 28)".to_owned();
    assert_eq!(deliver(&file, REQUEST).await, Outcome::Retry { error, after: None });

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a.json")).unwrap();
    let file = open(&folder.path().join("*.json"), "group_by: {enabled: true, resource_attribute: team}");
    let request = format!(r#"{{"resourceLogs":[{}]}}"#, resource(r#"{"stringValue":"a"}"#));
    let Outcome::Refused { error, fault } = deliver(&file, &request).await else { panic!("a folder was written to") };
    assert!(error.ends_with("a.json: Is a directory (os error 21)"), "{error}");
    assert_eq!(fault, Fault::Elsewhere);
}

#[tokio::test]
async fn folders_are_made_when_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/out.json");
    open(&path, "create_directory: true, directory_permissions: \"0700\"");
    let mode = path.parent().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn mistakes_are_found_in_the_collectors_words() {
    let check = |yaml: &str, expected: &str| assert_eq!(read_text::<Config>(yaml).unwrap_err(), expected, "{yaml}");
    check("path: \"\"", "path: path must be non-empty");
    check(
        "{path: a, append: true, rotation: {}}",
        "append: append and rotation enabled at the same time is not supported; remove `append`; a file that is rotated \
         is always added to",
    );
    check("{path: a, group_by: {enabled: true}}", "path: path must contain exactly one * when group_by is enabled");
    check(
        "{path: a, directory_permissions: \"0755\"}",
        "directory_permissions: directory_permissions requires create_directory to be true; add `create_directory: true`",
    );
    check(
        "{path: a, create_directory: true, directory_permissions: rwx}",
        "directory_permissions: directory_permissions value must be a valid octal representation; write it like \"0755\"",
    );
    check("{path: a, compression_params: {level: 40}}", "compression_params::level: zstd has the levels 1 to 22");
    check(
        "{path: a, encoding: x}",
        "encoding: the Collector has the key `encoding`, otel-agent does not yet; use `format`",
    );
}
