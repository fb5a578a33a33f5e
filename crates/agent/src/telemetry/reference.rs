//! `docs/reference/metrics.md`, written from the table.

use std::fmt::Write;

use super::metric::Metric;
use super::table::SECTIONS;

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for section in SECTIONS {
        let _ = writeln!(page, "\n## {}\n", section.title);
        page.push_str("| Metric | Kind | Unit | Labels | From level | What it says |\n|---|---|---|---|---|---|\n");
        for metric in section.rows() {
            write_row(&mut page, metric);
        }
    }
    page
}

const INTRODUCTION: &str = "\
<!-- Written by `make docs` from crates/agent/src/telemetry/table.rs; a test compares. -->

# Metrics of the agent itself

Served as Prometheus text at `http://localhost:8888/metrics`; `service::telemetry::metrics` changes the address and the
level. Names that start with `otelcol_` are the OpenTelemetry Collector's, with its labels; names that start with
`otel_agent_` are our own. By default nothing is appended to a name; a reader with `without_type_suffix: false` or
`without_units: false` sees counters with `_total`, and `_seconds` and `_bytes`: either key appends both, as in the Collector.

Items are spans, metric points or log records. Counters of failures are present at 0 from the start, so that a rate over
them always has an answer. Besides the tables below there are `target_info`, whose labels name this agent, and
`promhttp_metric_handler_errors_total`, which is always 0.

The ledger balances at any moment: `accepted = sent + dropped + held + kept`, for each pipeline, exporter and signal.
";

fn write_row(page: &mut String, metric: &Metric) {
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let _ = writeln!(
        page,
        "| `{}` | {} | {} | {} | {} | {} |",
        metric.name,
        metric.kind.name(),
        metric.unit.trim_matches(['{', '}']),
        labels.join(", "),
        metric.level,
        metric.help
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_docs_is_the_one_the_table_gives() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference")).unwrap();
            std::fs::write(path, super::page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == super::page(), "docs/reference/metrics.md is out of date: run `make docs`");
    }
}
