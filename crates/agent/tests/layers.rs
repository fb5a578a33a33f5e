//! Holds the layering of ARCHITECTURE.md: a room uses only rooms further down, and components never meet.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Rooms in reading order; those of one row are siblings and must not use each other.
const ROOMS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["agent"],
    &["config"],
    &["receivers", "processors", "exporters", "extensions"],
    &["component"],
    &["pipeline"],
    &["kubernetes"],
    &["telemetry"],
    &["net"],
    &["settings"],
];

#[test]
fn a_room_uses_only_rooms_further_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = String::new();
    let mut uses = 0;
    for file in rust_files(&source) {
        let own = room_of(&source, &file);
        let Some(own_row) = row(&own) else { continue };
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]")) {
            for room in rooms_used(line) {
                let Some(used_row) = row(&room) else { continue };
                uses += 1;
                if room != own && used_row <= own_row {
                    writeln!(wrong, "{}:{}: {own} uses {room}", file.display(), number + 1).unwrap();
                }
            }
        }
    }
    assert!(uses > 20, "only {uses} uses were found: the test reads the wrong lines");
    assert!(wrong.is_empty(), "arrows that point up or sideways:\n{wrong}");
}

#[test]
fn every_room_is_listed() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(name == "lib" || row(&name).is_some(), "{name} is not in the list of rooms");
    }
}

fn row(room: &str) -> Option<usize> {
    ROOMS.iter().position(|row| row.contains(&room))
}

fn room_of(source: &Path, file: &Path) -> String {
    let first = file.strip_prefix(source).unwrap().components().next().unwrap();
    let first = first.as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms named after `crate::` in a line that is no comment.
fn rooms_used(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let names = code.split("crate::").skip(1);
    names.map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && path.file_name().is_some_and(|n| n != "tests.rs") {
            files.push(path);
        }
    }
    files
}
