//! What `service::telemetry::metrics` takes: how much the agent measures of itself, and how that is read.

use crate::settings::{Endpoint, Node, Reader, settings};
use crate::telemetry::exposition::Naming;
use crate::telemetry::metric::Level;

settings! {
    /// The agent's own metrics.
    pub struct MetricsConfig {
        /// How much is measured.
        pub level: Level = Level::Normal,
        /// How the metrics are read: Prometheus endpoints. A list written here replaces the default one.
        pub readers: Vec<MetricsReader> = vec![MetricsReader::default()],
    }
    unsupported {
        "views" => "remove it; drop series in the Prometheus scrape configuration (metric_relabel_configs)",
    }
    removed {
        "address" => "write \
            `readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]`",
    }
    check MetricsConfig::check
}

impl MetricsConfig {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.readers.is_empty() && self.level != Level::None {
            let what = "collector telemetry metrics reader should exist when metric level is not none";
            cx.error_at("readers", what, "remove the empty list, or write `level: none`");
        }
    }

    /// The endpoints that serve `/metrics`; none at level `none`.
    pub fn endpoints(&self) -> impl Iterator<Item = &PrometheusReader> {
        let readers = self.readers.iter().filter(|_| self.level != Level::None);
        readers.map(|reader| &reader.pull.exporter.prometheus)
    }
}

settings! {
    /// One way to read the agent's own metrics.
    pub struct MetricsReader {
        /// Metrics are fetched from the agent.
        pub pull: PullReader = PullReader::default(),
    }
    unsupported {
        "periodic" => "use a `pull` reader and let Prometheus or an agent scrape it",
    }
    check MetricsReader::check
}

settings! {
    /// Metrics are fetched from the agent.
    pub struct PullReader {
        /// In which form.
        pub exporter: PullExporter = PullExporter::default(),
    }
    ignored {
        "producers" => "there are no other producers in the agent",
        "cardinality_limits" => "the agent's own series are bounded by its configuration",
    }
    check PullReader::check
}

settings! {
    /// In which form metrics are fetched.
    pub struct PullExporter {
        /// The Prometheus text format, at `/metrics`.
        pub prometheus: PrometheusReader = PrometheusReader::default(),
    }
    check PullExporter::check
}

impl MetricsReader {
    fn check(&self, cx: &mut Reader<'_>) {
        written_out(cx, "pull", "no valid metric reader");
    }
}

impl PullReader {
    fn check(&self, cx: &mut Reader<'_>) {
        written_out(cx, "exporter", "no valid metric exporter");
    }
}

impl PullExporter {
    fn check(&self, cx: &mut Reader<'_>) {
        written_out(cx, "prometheus", "no valid metric exporter");
    }
}

/// A reader written by hand has to say all of it: half of one would listen somewhere that nobody has asked for.
fn written_out(cx: &mut Reader<'_>, key: &str, what: &str) {
    if !cx.node().is_null() && cx.node().get(key).is_none_or(Node::is_null) {
        cx.error(what, "write `- {pull: {exporter: {prometheus: {host: localhost, port: 8888}}}}`");
    }
}

settings! {
    /// The endpoint that serves `/metrics`. Written by hand, it needs `host` and `port`.
    pub struct PrometheusReader {
        /// The address to listen on; `0.0.0.0` for every address of the pod.
        pub host: String = "localhost".to_owned(),
        /// The port to listen on.
        pub port: u16 = 8888,
        /// Leaves out the labels `otel_scope_*`.
        pub without_scope_info: bool = true,
        /// Leaves out units in names: `otelcol_process_uptime` rather than `otelcol_process_uptime_seconds_total`. Units
        /// and types come together: as in the Collector, switching off either of the two keys appends both.
        pub without_units: bool = true,
        /// Leaves out `_total` in the names of counters; see `without_units`.
        pub without_type_suffix: bool = true,
        /// Attributes of the agent itself (`service::telemetry::resource`) that every series gets as labels. Without it
        /// they are on `target_info` only.
        pub with_resource_constant_labels: Option<Selection> = None,
    }
    unsupported {
        "translation_strategy" => "use without_units and without_type_suffix",
    }
    check PrometheusReader::check
}

settings! {
    /// Which attributes. `{}` takes all of them.
    pub struct Selection {
        /// These; all when the list is empty.
        pub included: Vec<String> = Vec::new(),
        /// But not these.
        pub excluded: Vec<String> = Vec::new(),
    }
    check Selection::check
}

impl Selection {
    fn check(&self, cx: &mut Reader<'_>) {
        for name in self.excluded.iter().filter(|name| self.included.contains(name)) {
            let what = format!("attribute cannot be in both include and exclude list: {name}");
            cx.error_at("excluded", what, "remove it from one of the two lists");
        }
    }

    fn takes(&self, name: &String) -> bool {
        (self.included.is_empty() || self.included.contains(name)) && !self.excluded.contains(name)
    }
}

impl PrometheusReader {
    /// Where to listen. An IPv6 address may stand in brackets.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Endpoint::new(bare.unwrap_or(&self.host), self.port)
    }

    /// What is appended to names, and which of the agent's attributes are on every series.
    #[must_use]
    pub fn naming(&self, resource: &[(String, String)]) -> Naming {
        let selection = self.with_resource_constant_labels.as_ref();
        let constant =
            |selection: &Selection| resource.iter().filter(|(name, _)| selection.takes(name)).cloned().collect();
        Naming {
            suffixes: !(self.without_units && self.without_type_suffix),
            scope: !self.without_scope_info,
            constant: selection.map(constant).unwrap_or_default(),
        }
    }

    fn check(&self, cx: &mut Reader<'_>) {
        for (key, example) in [("host", "localhost"), ("port", "8888")] {
            if !cx.node().is_null() && cx.node().get(key).is_none_or(Node::is_null) {
                let what = format!("`{key}` is missing; a reader written by hand needs `host` and `port`");
                cx.error_at("", what, format!("add `{key}: {example}`"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::read_text;

    #[test]
    fn the_defaults_are_the_collectors() {
        let config: MetricsConfig = read_text("{}").unwrap();
        let endpoints: Vec<_> = config.endpoints().map(|reader| reader.endpoint().to_string()).collect();
        assert_eq!(endpoints, ["localhost:8888"]);
        assert_eq!(config.endpoints().next().unwrap().naming(&resource()), Naming::default());
        assert_eq!(config.level, Level::Normal);
    }

    fn resource() -> Vec<(String, String)> {
        ["k8s.node.name", "service.instance.id", "service.name"].map(|name| (name.to_owned(), "x".to_owned())).to_vec()
    }

    /// The naming of a reader with these keys besides `host` and `port`.
    fn naming(keys: &str) -> Naming {
        let reader = format!("{{pull: {{exporter: {{prometheus: {{host: localhost, port: 1, {keys}}}}}}}}}");
        let config: MetricsConfig = read_text(&format!("readers: [{reader}]")).unwrap();
        config.endpoints().next().unwrap().naming(&resource())
    }

    #[test]
    fn switching_off_one_of_the_two_suffix_keys_appends_both_as_in_the_collector() {
        for keys in
            ["without_units: false", "without_type_suffix: false", "without_units: false, without_type_suffix: false"]
        {
            assert_eq!(naming(keys), Naming { suffixes: true, ..Naming::default() }, "{keys}");
        }
        assert_eq!(naming("without_scope_info: false"), Naming { scope: true, ..Naming::default() });
        assert_eq!(naming("without_units: true"), Naming::default());
    }

    #[test]
    fn constant_labels_are_selected_by_exact_names() {
        let check = |selection: &str, expected: &[&str]| {
            let naming = naming(&format!("with_resource_constant_labels: {selection}"));
            let names: Vec<_> = naming.constant.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, expected, "{selection}");
        };
        check("{}", &["k8s.node.name", "service.instance.id", "service.name"]);
        check("null", &[]);
        check("{included: [k8s.node.name, service.name]}", &["k8s.node.name", "service.name"]);
        check("{included: ['k8s.*']}", &[]);
        check("{excluded: [service.instance.id]}", &["k8s.node.name", "service.name"]);
        check(
            "{included: [service.name, k8s.node.name], excluded: [k8s.pod.name]}",
            &["k8s.node.name", "service.name"],
        );
    }

    #[test]
    fn a_reader_that_is_not_written_out_is_a_problem() {
        let check = |readers: &str, expected: &str| {
            let problems = read_text::<MetricsConfig>(&format!("readers: {readers}")).unwrap_err();
            assert!(problems.contains(expected), "{readers}: {problems}");
        };
        check("[{}]", "no valid metric reader");
        check("[{pull: {}}]", "no valid metric exporter");
        check("[{pull: {exporter: {}}}]", "no valid metric exporter");
        check("[{pull: {exporter: {prometheus: {host: localhost}}}}]", "`port` is missing");
        check("[{pull: {exporter: {prometheus: {port: 8888}}}}]", "`host` is missing");
        check("[{pull: {exporter: {prometheus: {host: localhost, port: 70000}}}}]", "70000");
        let both = "with_resource_constant_labels: {included: [a], excluded: [a]}";
        check(
            &format!("[{{pull: {{exporter: {{prometheus: {{host: h, port: 1, {both}}}}}}}}}]"),
            "both include and exclude",
        );
        check("[{periodic: {exporter: {otlp: {}}}}]", "periodic");
    }

    #[test]
    fn the_address_of_old_is_told_its_new_form_and_an_ipv6_host_may_stand_in_brackets() {
        let problems = read_text::<MetricsConfig>("address: 0.0.0.0:8888").unwrap_err();
        assert!(problems.contains("readers: [{pull:"), "{problems}");
        let reader = "{pull: {exporter: {prometheus: {host: '[::1]', port: 8888}}}}";
        let config: MetricsConfig = read_text(&format!("readers: [{reader}]")).unwrap();
        assert_eq!(config.endpoints().next().unwrap().endpoint().to_string(), "[::1]:8888");
    }

    #[test]
    fn there_may_be_several_readers_and_none_at_level_none() {
        let reader = |port| format!("{{pull: {{exporter: {{prometheus: {{host: 0.0.0.0, port: {port}}}}}}}}}");
        let text = format!("{{level: Detailed, readers: [{}, {}]}}", reader(1), reader(2));
        let config: MetricsConfig = read_text(&text).unwrap();
        assert_eq!(config.endpoints().map(|reader| reader.port).collect::<Vec<_>>(), [1, 2]);
        let config: MetricsConfig = read_text("{level: none, readers: []}").unwrap();
        assert_eq!(config.endpoints().count(), 0);
        let problems = read_text::<MetricsConfig>("readers: []").unwrap_err();
        assert!(problems.contains("reader should exist"), "{problems}");
    }
}
