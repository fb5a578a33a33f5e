//! The Prometheus text format, version 0.0.4.
//!
//! Written here because the names must be the Collector's to the letter: no `_total` and no unit suffix unless a reader
//! asks for them, which libraries that think in OpenMetrics add by themselves.

/// Names, labels and numbers of the text formats.
pub mod text;

use super::metric::{Kind, Metric};
use super::metrics::{Family, Value};
use text::Dialect;

/// `Content-Type` of this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a reader may change about names and labels. The default is the Collector's: nothing is appended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Naming {
    /// Names end in their unit, such as `_seconds` or `_bytes`, and counters in `_total`.
    pub suffixes: bool,
    /// Every series has `otel_scope_name`.
    pub scope: bool,
    /// Attributes of the agent itself that every series has as labels, under the attributes' names.
    pub constant: Vec<(String, String)>,
}

impl Naming {
    /// The labels that every series has besides its own.
    fn labels(&self) -> Vec<(String, &str)> {
        let scope = self.scope.then(|| ("otel_scope_name".to_owned(), env!("CARGO_PKG_NAME")));
        let constant = self.constant.iter().map(|(name, value)| (label_name(name), value.as_str()));
        constant.chain(scope).collect()
    }
}

/// Writes all families, then `target_info` with the attributes of the agent's own resource, then the error counter of
/// the handler, which the Collector's readers have too.
#[must_use]
pub fn write(families: &[Family], naming: &Naming, resource: &[(String, String)]) -> String {
    let mut out = Vec::with_capacity(256 * families.len());
    let common = naming.labels();
    let common: Vec<_> = common.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        write_family(&mut out, family, naming.suffixes, &common);
    }
    write_head(&mut out, "target_info", Kind::Gauge, "Target metadata");
    out.extend_from_slice(b"target_info");
    let resource: Vec<_> = resource.iter().map(|(name, value)| (label_name(name), value.as_str())).collect();
    write_labels(&mut out, resource.iter().map(|(name, value)| (name.as_str(), *value)));
    out.extend_from_slice(b" 1\n");
    write_head(&mut out, HANDLER_ERRORS, Kind::Counter, "Total number of internal errors encountered by the handler.");
    for cause in ["encoding", "gathering"] {
        out.extend_from_slice(HANDLER_ERRORS.as_bytes());
        write_labels(&mut out, [("cause", cause)]);
        out.extend_from_slice(b" 0\n");
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Nothing that the handler does can fail, so this stays 0; alerts on it find the series.
const HANDLER_ERRORS: &str = "promhttp_metric_handler_errors_total";

fn write_family(out: &mut Vec<u8>, family: &Family, suffixes: bool, common: &[(&str, &str)]) {
    let name = exposed_name(family.metric, suffixes);
    write_head(out, &name, family.metric.kind, family.metric.help);
    for (labels, value) in &family.series {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| (*name, value.as_str())).chain(common.iter().copied()).collect();
        match value {
            Value::Number(number) => write_sample(out, &name, "", &labels, None, *number),
            Value::Buckets { counts, sum } => {
                write_histogram(out, &name, family.metric.bounds, &labels, (counts, *sum));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus itself keeps 64-bit floats")]
fn write_histogram(
    out: &mut Vec<u8>,
    name: &str,
    bounds: &[u64],
    labels: &[(&str, &str)],
    (counts, sum): (&[u64], u64),
) {
    let mut total = 0;
    for (position, count) in counts.iter().enumerate() {
        total += count;
        let bound = bounds.get(position).map_or(f64::INFINITY, |bound| *bound as f64);
        let mut le = Vec::new();
        text::number(&mut le, Dialect::Prometheus, bound);
        write_sample(out, name, "_bucket", labels, Some(&String::from_utf8_lossy(&le)), total as f64);
    }
    write_sample(out, name, "_sum", labels, None, sum as f64);
    write_sample(out, name, "_count", labels, None, total as f64);
}

fn write_sample(out: &mut Vec<u8>, name: &str, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: f64) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    write_labels(out, labels.iter().copied().chain(bound.map(|bound| ("le", bound))));
    out.push(b' ');
    text::number(out, Dialect::Prometheus, value);
    out.push(b'\n');
}

fn write_head(out: &mut Vec<u8>, name: &str, kind: Kind, help: &str) {
    text::head(out, Dialect::Prometheus, name, kind.name(), help);
}

fn write_labels<'a>(out: &mut Vec<u8>, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut separator = b'{';
    for (name, value) in labels {
        text::label(out, &mut separator, name, value);
    }
    if separator == b',' {
        out.push(b'}');
    }
}

/// A resource attribute's name as a label's: `service.name` becomes `service_name`.
fn label_name(attribute: &str) -> String {
    let mut name: String =
        attribute.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert_str(0, "key_");
    }
    name
}

/// The name with unit and type appended, the unit only where the name does not end in it already.
fn exposed_name(metric: &Metric, suffixes: bool) -> String {
    let mut name = metric.name.to_owned();
    if !suffixes {
        return name;
    }
    let unit = match metric.unit {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    if !name.ends_with(unit) {
        name.push_str(unit);
    }
    if metric.kind == Kind::Counter {
        name.push_str("_total");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Level, Metrics, table};
    use wire::Signal;

    fn sample() -> Metrics {
        let metrics = Metrics::new();
        let points = |table: &'static crate::telemetry::metric::PerSignal| table.of(Signal::Metrics);
        let labels = [("receiver", "otlp"), ("transport", "grpc")];
        metrics.counter(points(&table::RECEIVER_ACCEPTED), &labels).add(12_000);
        let _ = metrics.counter(points(&table::RECEIVER_REFUSED), &labels);
        let labels = [("exporter", "otlp"), ("server_address", "gw"), ("server_port", "4317")];
        metrics.counter(points(&table::EXPORTER_SENT), &labels).add(11_800);
        let _ = metrics.gauge(&table::EXPORTER_QUEUE_SIZE, &[("exporter", "otlp"), ("data_type", "metrics")]);
        let batch = metrics.histogram(&table::BATCH_SEND_SIZE, &[("processor", "batch/a\"b\\c\nd")]);
        batch.record(8192);
        batch.record(1);
        metrics.on_collect(|sink| sink.set_float(&table::PROCESS_CPU_SECONDS, &[], 1.25));
        metrics
    }

    fn resource() -> Vec<(String, String)> {
        [("service.instance.id", "0c2a"), ("service.name", "otel-agent"), ("service.version", "0.1.0")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    #[test]
    fn the_text_is_the_collectors_at_the_defaults() {
        let text = write(&sample().collect(Level::Normal), &Naming::default(), &resource());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_reader_may_ask_for_suffixes_and_scope() {
        let naming = Naming { suffixes: true, scope: true, constant: Vec::new() };
        let text = write(&sample().collect(Level::Basic), &naming, &[]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_reader_may_ask_for_attributes_of_the_agent_on_every_series() {
        let naming = Naming { constant: vec![("k8s.node.name".to_owned(), "n1".to_owned())], ..Naming::default() };
        let text = write(&sample().collect(Level::Normal), &naming, &resource());
        let of_ours = |line: &&str| line.starts_with("otelcol_");
        assert!(text.lines().filter(of_ours).all(|line| line.contains("k8s_node_name=\"n1\"")), "{text}");
        let others = text.lines().filter(|line| !line.starts_with('#') && !of_ours(line));
        assert!(others.clone().count() == 3 && others.clone().all(|line| !line.contains("k8s_node_name")), "{text}");
    }

    #[test]
    fn suffixes_come_together_and_none_is_put_twice() {
        assert_eq!(exposed_name(&table::PROCESS_CPU_SECONDS, true), "otelcol_process_cpu_seconds_total");
        assert_eq!(exposed_name(&table::PROCESS_UPTIME, true), "otelcol_process_uptime_seconds_total");
        assert_eq!(exposed_name(&table::PROCESS_MEMORY_RSS, true), "otelcol_process_memory_rss_bytes");
        assert_eq!(exposed_name(&table::PROCESS_UPTIME, false), "otelcol_process_uptime");
    }
}
