//! The reference page of what the doctor finds, written from the lists of checks.

use std::fmt::Write as _;

use super::{FAMILIES, Severity};

/// `docs/reference/doctor.md`.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for family in FAMILIES {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "\n## {}\n\n{}", family.name, family.about);
        for check in family.checks {
            let severity = match check.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            let _ = writeln!(page, "\n### `{}` ({severity})\n\n{}\n", check.id, check.means);
            let _ = writeln!(page, "- Seen by: {}\n- Remedy: {}", check.evidence, check.remedy);
        }
    }
    page
}

const HEAD: &str = "\
# What `otel-agent doctor` finds

Written by the program from its list of checks; a test compares. `make docs` writes it anew.

`otel-agent doctor` reads a cluster with your own credentials (kubeconfig, or the service account of the pod that it runs
in), changes nothing, and tells what is wrong with the agent there: each finding with what it is concluded from, why it is
so, and the command that mends it. With fewer rights it sees less and says what it did not see, and how to be let.

    otel-agent doctor                               the current context, every namespace
    otel-agent doctor --context=prod --namespace=monitoring --name=my-agent
    otel-agent doctor --only=nodes --skip=node-selector
    otel-agent doctor --output=json

Exit codes: 0 nothing is wrong (notes at most), 1 something is, 2 wrong arguments, 3 it could not look: the API server
does not answer, or not even the DaemonSets may be seen.

| Severity | Meaning |
|---|---|
| error | telemetry is lost, or will be |
| warning | it works, but not everywhere, or not for long |
| note | good to know; nothing is wrong |

## JSON

One object; `schema` changes when a field is taken away or means something else, new fields may come at any time.

| Field | Meaning |
|---|---|
| `schema` | `otel-agent/doctor/v1` |
| `taken` | when it was looked, UTC |
| `kubernetes` | version of the API server, if it tells |
| `verdict` | `nothing-wrong`, `something-wrong`, `could-not-look` |
| `agents[]` | `kind`, `namespace`, `name`, `desired`, `current`, `ready`, `upToDate`, `available` |
| `findings[]` | `id` (below), `severity`, `subject`, `title`, `evidence[]`, `cause`, `remedy[]` with `command` (lines for a shell; left out where a person has to decide) and `explanation` |
| `unseen[]` | `what`, `right` (`group`, `resource`, `verbs`, `namespace`, `name`; left out if no right was missing), `message` |
| `grant[]` | commands for an administrator that let you see the rest |
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_docs_is_the_one_that_the_checks_give() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/doctor.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, super::page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == super::page(), "docs/reference/doctor.md is out of date: run `make docs`");
    }
}
