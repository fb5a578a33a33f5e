//! What is rendered into the repository is what the program renders.

use std::path::Path;

use clap::Parser as _;
use cluster::manifests::patterns::{PATTERNS, Pattern};
use cluster::manifests::yaml;

use super::{Arguments, Told, rendered};

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(written: &[&str]) -> Arguments {
    Cli::try_parse_from([&["manifests"], written].concat()).unwrap().arguments
}

/// What stands on top of a rendered file.
fn head(pattern: &Pattern) -> String {
    let command = [&["otel-agent", "manifests"], pattern.arguments].concat().join(" ");
    format!("# {}\n# Made by `{command}`; a test compares. Options: docs/reference/manifests.md\n---\n", pattern.about)
}

#[test]
fn the_rendered_files_for_reference_are_what_their_arguments_render() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut stale = Vec::new();
    for pattern in PATTERNS {
        let mut told = Told::default();
        let rendered = rendered(&arguments(pattern.arguments), &mut told);
        let said = told.text(false);
        let (_, _, objects) = rendered.unwrap_or_else(|| panic!("{}: {said}", pattern.file));
        assert!(!said.contains("warning"), "{}: {said}", pattern.file);
        let text = head(pattern) + &yaml(&objects);
        let file = root.join(pattern.file);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != text {
            stale.push(pattern.file);
        }
    }
    assert!(stale.is_empty(), "out of date, run `make docs`: {stale:?}");
}

#[test]
fn values_that_are_set_one_by_one_stand_beside_each_other() {
    let mut told = Told::default();
    let written = [
        "--set=resources.limits.cpu=2",
        "--set=resources.limits.memory=1Gi",
        "--set=nodeSelector.a=b",
        "--set=nodeSelector.c=d",
    ];
    let (_, _, objects) = rendered(&arguments(&written), &mut told).unwrap();
    let text = yaml(&objects);
    for expected in ["cpu: \"2\"", "memory: 1Gi", "a: b", "c: d"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}
