//! The reference page of `manifests`: its options from the arguments themselves, its values from the listing.

use std::fmt::Write as _;

use clap::{Args as _, Command};
use cluster::manifests::patterns::PATTERNS;

use super::Arguments;

const HEAD: &str = "\
# manifests

`otel-agent manifests` writes the objects of a deployment: what to apply to a cluster, with the ports, folders and permissions that
the configuration needs and no others. This page is written by the program; a test compares.

    otel-agent manifests > k8s-manifests.yaml                 one agent on each node
    otel-agent manifests --config agent.yaml --values my.yaml | kubectl apply -f -

What is wrong, and what is worth knowing, goes to standard error. With an error nothing is rendered, and the exit code is 1.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n## Options\n\n| Option | What it is for |\n|---|---|\n");
    let command = Arguments::augment_args(Command::new("manifests"));
    for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
        let takes_value = argument.get_action().takes_values();
        let value = argument.get_value_names().filter(|_| takes_value).and_then(|names| names.first());
        let value = value.map(|name| format!(" {name}")).unwrap_or_default();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ =
            writeln!(out, "| `--{}{value}` | {} |", argument.get_long().unwrap_or_default(), help.replace('|', "\\|"));
    }
    out.push_str(
        "\n## Values\n\nThe keys of `--values FILE`, which are those of the chart. An option goes before the file. A key that is unknown \
         is refused.\n\n",
    );
    out.push_str(&cluster::values::reference::table());
    out.push_str("\n## Rendered files\n\nA test compares each with what its arguments render.\n\n| File | What it is | Arguments |\n|---|---|---|\n");
    for pattern in PATTERNS {
        let arguments =
            if pattern.arguments.is_empty() { String::new() } else { format!("`{}`", pattern.arguments.join(" ")) };
        let _ = writeln!(out, "| [{0}](../../{0}) | {1} | {arguments} |", pattern.file, pattern.about);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_page_in_docs_is_the_one_that_the_program_gives() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/manifests.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, super::page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == super::page(), "docs/reference/manifests.md is out of date: run `make docs`");
    }
}
