//! Every configuration that the repository shows is one that the program takes.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::path::{Path, PathBuf};

const BINARY: &str = env!("CARGO_BIN_EXE_otel-agent");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn check(name: &str, file: &Path) {
    let file = file.to_str().unwrap();
    // As the deployment sets it.
    let arguments = ["KUBE_NODE_NAME=node-a", BINARY, "validate", "--config", file];
    let (code, _, stderr) = testkit::process::run("env", &arguments, &root()).unwrap();
    assert_eq!(code, 0, "{name}:\n{stderr}");
    assert!(!stderr.contains("warning"), "{name}:\n{stderr}");
}

#[test]
fn every_example_configuration_is_taken_without_a_warning() {
    let folder = root().join("deploy/examples");
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        check(&file.display().to_string(), &file);
    }
}

#[test]
fn the_configuration_in_the_readme_is_taken_without_a_warning() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 1);
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), blocks[0]).unwrap();
    check("README.md", file.path());
}
