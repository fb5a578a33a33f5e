//! The reference page of all settings, written from the listings that read them. A test compares it with
//! `docs/reference/config.md`.

use std::fmt::Write as _;

use crate::component::{Known, Registry};
use crate::config::output::inline;
use crate::config::written::ServiceConfig;
use crate::settings::setting::join;
use crate::settings::{Node, SectionDoc, Setting};
use crate::{exporters, extensions, processors, receivers};

const HEAD: &str = "\
<!-- Written by `make docs` from the `settings!` listings of the components; a test compares. -->

# Settings

The structure, names and defaults are the OpenTelemetry Collector's. A key with `::` in it stands for nested keys:
`protocols::grpc::endpoint` is `protocols: {grpc: {endpoint: …}}`. A section of the kind \"mapping or nothing\" can be
off; where nothing else is said it is off when it is left out, on when it is written, even empty, and off again with
`enabled: false` in it. Durations are written as in Go (`200ms`, `1m30s`); a bare number is nanoseconds, as in the
Collector.

Values may hold `${env:NAME}`, `${env:NAME:-default}` and `${file:path}`; `$$` stands for `$`.
";

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    write_registry(&mut out, &receivers::Config::REGISTRY);
    write_registry(&mut out, &processors::Config::REGISTRY);
    write_registry(&mut out, &exporters::Config::REGISTRY);
    write_registry(&mut out, &extensions::Config::REGISTRY);
    out.push_str("\n## `service`\n");
    if let Some(section) = ServiceConfig::shape().section {
        write_section(&mut out, &section);
    }
    out
}

fn write_registry<C>(out: &mut String, registry: &Registry<C>) {
    let noun = registry.noun;
    // Writing to a string cannot fail.
    let _ = writeln!(out, "\n## {}s", capitalised(noun));
    for known in registry.known {
        write_component(out, known);
    }
    let missing: Vec<String> = registry.not_yet.iter().map(|(kind, _)| format!("`{kind}`")).collect();
    let _ = writeln!(
        out,
        "\nThe Collector's {noun}s that otel-agent does not have are refused with advice: {}.",
        missing.join(", ")
    );
}

fn write_component<C>(out: &mut String, known: &Known<C>) {
    let about = known.about;
    let formerly = about.formerly.map(|name| format!(" (or `{name}`, its former name)")).unwrap_or_default();
    let _ = writeln!(
        out,
        "\n### `{}`\n\n{} Status: {}{formerly}.",
        about.kind,
        sentence(about.summary),
        about.status.as_str()
    );
    if let Some(section) = (known.shape)().section {
        write_section(out, &section);
    }
}

fn write_section(out: &mut String, section: &SectionDoc) {
    let _ = writeln!(out, "\n{}\n", section.doc);
    out.push_str("| Key | Takes | Default | What it does |\n|---|---|---|---|\n");
    write_rows(out, section, "");
    let mut refused = Vec::new();
    let mut ignored = Vec::new();
    collect(section, "", &mut refused, &mut ignored);
    write_list(out, "Keys of the Collector that are refused:", &refused);
    write_list(out, "Keys of the Collector that are accepted and have no effect:", &ignored);
}

fn write_rows(out: &mut String, section: &SectionDoc, prefix: &str) {
    for field in &section.fields {
        let key = join(prefix, field.key);
        let default = match (&field.default, field.required) {
            (_, true) => "required".to_owned(),
            (Some(_), _) if field.shape.section.is_some() => String::new(),
            (Some(value), _) => format!("`{}`", inline(&Node::unwritten(value.clone()))),
            (None, _) => String::new(),
        };
        let takes = without_article(&field.shape.name);
        let _ = writeln!(out, "| `{key}` | {} | {} | {} |", cell(takes), cell(&default), cell(&field.doc));
        if let Some(below) = &field.shape.section {
            write_rows(out, below, &key);
        }
    }
}

fn collect(
    section: &SectionDoc,
    prefix: &str,
    refused: &mut Vec<(String, String)>,
    ignored: &mut Vec<(String, String)>,
) {
    let keyed = |(key, text): &(&str, &str)| (join(prefix, key), (*text).to_owned());
    refused.extend(section.unsupported.iter().map(keyed));
    ignored.extend(section.ignored.iter().map(keyed));
    for field in &section.fields {
        if let Some(below) = &field.shape.section {
            collect(below, &join(prefix, field.key), refused, ignored);
        }
    }
}

fn write_list(out: &mut String, title: &str, list: &[(String, String)]) {
    if list.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}\n");
    for (key, text) in list {
        let _ = writeln!(out, "- `{key}`: {text}");
    }
}

fn without_article(name: &str) -> &str {
    name.strip_prefix("a ").or_else(|| name.strip_prefix("an ")).unwrap_or(name)
}

/// A table cell: one line, no bare bars.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn sentence(text: &str) -> String {
    let text = capitalised(text);
    if text.ends_with('.') { text } else { format!("{text}.") }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_docs_is_the_one_the_listings_give() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/config.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference")).unwrap();
            std::fs::write(path, super::page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == super::page(), "docs/reference/config.md is out of date: run `make docs`");
    }
}
