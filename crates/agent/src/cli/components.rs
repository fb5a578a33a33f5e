//! `otel-agent components`: what this program has, as YAML in the Collector's shape, with the status of each component.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::component::Registry;
use crate::{exporters, extensions, processors, receivers};

/// Prints the listing.
#[must_use]
pub fn main() -> ExitCode {
    match std::io::stdout().write_all(listing().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The listing.
#[must_use]
pub fn listing() -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "buildinfo:");
    let _ = writeln!(out, "    command: otel-agent");
    let _ = writeln!(out, "    description: OpenTelemetry agent for every Kubernetes node");
    let _ = writeln!(out, "    version: {}", env!("CARGO_PKG_VERSION"));
    write_registry(&mut out, &receivers::Config::REGISTRY);
    write_registry(&mut out, &processors::Config::REGISTRY);
    write_registry(&mut out, &exporters::Config::REGISTRY);
    out.push_str("connectors: []\n");
    write_registry(&mut out, &extensions::Config::REGISTRY);
    out.push_str("providers:\n");
    for scheme in ["env", "file", "yaml"] {
        let _ = writeln!(out, "    - scheme: {scheme}");
    }
    out
}

fn write_registry<C>(out: &mut String, registry: &Registry<C>) {
    let _ = writeln!(out, "{}s:", registry.noun);
    for known in registry.known {
        let about = known.about;
        let _ = writeln!(out, "    - name: {}", about.kind);
        if let Some(formerly) = about.formerly {
            let _ = writeln!(out, "      formerly: {formerly}");
        }
        let _ = writeln!(out, "      module: otel-agent {}s v{}", registry.noun, env!("CARGO_PKG_VERSION"));
        let _ = writeln!(out, "      description: {}", serde_json::Value::from(about.summary));
        let _ = writeln!(out, "      stability:");
        let status = about.status.as_str();
        if about.signals.is_empty() {
            let _ = writeln!(out, "        {}: {status}", registry.noun);
        }
        for signal in about.signals {
            let _ = writeln!(out, "        {}: {status}", signal.name());
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_listing_is_yaml_and_names_every_kind() {
        let mut problems = crate::settings::Problems::default();
        let tree = crate::settings::parse(crate::settings::FileId(0), &super::listing(), &mut problems).unwrap();
        assert_eq!(problems.lines(), "");
        for kind in ["receivers", "processors", "exporters", "extensions"] {
            let names = tree.get(kind).unwrap().items().iter().filter_map(|item| item.get("name"));
            assert!(names.count() > 0, "{kind}");
        }
        let stability = tree.get("receivers").unwrap().items()[0].get("stability").unwrap();
        assert_eq!(stability.entries().len(), 3);
    }
}
