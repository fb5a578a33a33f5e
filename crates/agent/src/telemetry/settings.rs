//! What `service::telemetry` takes: the agent's own logs, metrics and resource.

use std::collections::BTreeMap;

use tracing::level_filters::LevelFilter;

use super::logs::{Options, Output, Sampling};
use super::metric::Level;
use crate::settings::{GoDuration, Node, Reader, Setting, Shape, Toggle, Yaml, settings, words};

mod metrics;
mod senders;

pub use metrics::{MetricsConfig, MetricsReader, PrometheusReader, PullExporter, PullReader, Selection};
pub use senders::{PageFor, SendersConfig};

settings! {
    /// The agent's own telemetry.
    pub struct TelemetryConfig {
        /// The agent's own logs.
        pub logs: LogsConfig = LogsConfig::default(),
        /// The agent's own metrics.
        pub metrics: MetricsConfig = MetricsConfig::default(),
        /// Counting who sends what.
        pub senders: SendersConfig = SendersConfig::default(),
        /// The agent's own traces: none are made, whatever is set here.
        pub traces: TracesConfig = TracesConfig::default(),
        /// Attributes that say which agent this is; they are the labels of `target_info`. An attribute set to null is removed. `service.name`, `service.version` and `service.instance.id` are there by default.
        pub resource: ResourceConfig = ResourceConfig::default(),
    }
}

settings! {
    /// The agent's own logs.
    pub struct LogsConfig {
        /// The least severe lines that are written.
        pub level: LogLevel = LogLevel::Info,
        /// `console` for people, `json` for machines.
        pub encoding: LogEncoding = LogEncoding::Console,
        /// Keeps a message that repeats from filling the log: after `initial` lines in `tick`, every `thereafter`-th.
        pub sampling: Toggle<LogSampling> = Toggle::On(LogSampling::default()),
        /// Where lines go: `stderr`, `stdout`, or the path of a file.
        pub output_paths: Vec<String> = vec!["stderr".to_owned()],
        /// Fields that every line carries.
        pub initial_fields: BTreeMap<String, String> = BTreeMap::new(),
    }
    unsupported {
        "processors" => "remove it; collect the agent's log file or its standard error instead",
    }
    ignored {
        "development" => "there is no development mode",
        "disable_caller" => "lines never say which place in the code wrote them",
        "disable_zap_resource" => "lines never repeat the resource; `initial_fields` adds what is wanted in each",
        "disable_stacktrace" => "no stack traces are written",
        "error_output_paths" => "errors of the logger itself go to standard error",
    }
    check LogsConfig::check
}

impl LogsConfig {
    /// What the log is told.
    #[must_use]
    pub fn options(&self) -> Options {
        let fields = self.initial_fields.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
        Options {
            level: self.level.filter(),
            encoding: self.encoding,
            sampling: self.sampling.on().map(LogSampling::sampling),
            initial_fields: fields.collect(),
            outputs: self.output_paths.iter().map(|name| Output::named(name)).collect(),
        }
    }

    fn check(&self, cx: &mut Reader<'_>) {
        if self.output_paths.is_empty() {
            cx.error_at("output_paths", "logs have nowhere to go", "write `output_paths: [stderr]`, or remove the key");
        }
    }
}

words! {
    /// How severe a line is, from the least. `dpanic`, `panic` and `fatal` mean `error`: there is nothing above it here.
    #[derive(Default)]
    pub enum LogLevel {
        /// Everything that helps to find a fault.
        Debug = "debug",
        /// What the agent does.
        #[default]
        Info = "info",
        /// What may need somebody's attention.
        Warn = "warn" | "warning",
        /// What is lost or does not work.
        Error = "error" | "dpanic" | "panic" | "fatal",
    }
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        }
    }
}

words! {
    /// The form of a log line.
    #[derive(Default)]
    pub enum LogEncoding {
        /// For people: time, level, message and fields, separated by tabs.
        #[default]
        Console = "console",
        /// For machines: one JSON object a line.
        Json = "json",
    }
}

settings! {
    /// How many lines with the same text and level are written.
    pub struct LogSampling {
        /// The time in which lines are counted.
        pub tick: GoDuration = GoDuration::secs(10),
        /// The first so many of a tick are written.
        pub initial: u64 = 10,
        /// After them, one in so many is written; 0 writes none.
        pub thereafter: u64 = 100,
    }
}

impl LogSampling {
    fn sampling(&self) -> Sampling {
        Sampling { tick: self.tick.to_std(), initial: self.initial, thereafter: self.thereafter }
    }
}

settings! {
    /// The agent's own traces. None are made.
    pub struct TracesConfig {
        /// How much is traced; without `processors` nothing is, at any level.
        pub level: Level = Level::None,
    }
    unsupported {
        "processors" => "remove it; otel-agent makes no traces of its own, its metrics and logs say what it does",
    }
    ignored {
        "propagators" => "otel-agent makes no traces of its own",
    }
}

/// Attributes of the agent itself: what is added, and, as `None`, what is removed.
///
/// Both spellings of the Collector are read: the plain map, and `attributes: [{name: …, value: …}]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceConfig {
    /// By name.
    pub attributes: BTreeMap<String, Option<String>>,
}

settings! {
    /// The declarative form of the resource.
    pub struct DeclaredResource {
        /// The attributes.
        pub attributes: Vec<DeclaredAttribute> = Vec::new(),
    }
    unsupported {
        "detection/development" => "list the attributes, or set them from the environment: `${env:NODE_NAME}`",
        "attributes_list" => "write `attributes: [{name: …, value: …}]`",
    }
    ignored {
        "schema_url" => "it is not part of any output of the agent",
    }
}

settings! {
    /// One attribute of the resource.
    pub struct DeclaredAttribute {
        /// Its name: `deployment.environment.name`.
        required pub name: String,
        /// Its value; null removes a default one.
        pub value: Option<String> = None,
    }
    ignored {
        "type" => "every attribute of the agent itself is a string",
    }
}

impl ResourceConfig {
    /// The attributes of this agent: the default ones, changed as the configuration says. `instance` is the same for the
    /// life of the process.
    #[must_use]
    pub fn of_agent(&self, instance: &str) -> Vec<(String, String)> {
        let version = env!("CARGO_PKG_VERSION");
        let defaults =
            [("service.instance.id", instance), ("service.name", env!("CARGO_PKG_NAME")), ("service.version", version)];
        let mut attributes: BTreeMap<String, Option<String>> =
            defaults.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).into();
        attributes.extend(self.attributes.clone());
        attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

const DECLARED: [&str; 4] = ["attributes", "attributes_list", "detection/development", "schema_url"];

impl Setting for ResourceConfig {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        if !node.entries().iter().any(|entry| DECLARED.contains(&entry.key.as_str())) {
            return BTreeMap::read(node, cx).map(|attributes| ResourceConfig { attributes });
        }
        if let Some(entry) = node.entries().iter().find(|entry| !DECLARED.contains(&entry.key.as_str())) {
            let what = format!("`{}` stands beside `attributes`; the two forms cannot be mixed", entry.key);
            let remedy = format!("move it into the list: `- {{name: {}, value: …}}`", entry.key);
            cx.error_in(entry.place, &entry.key, what, remedy);
            return None;
        }
        let declared = DeclaredResource::read(node, cx)?;
        let attributes = declared.attributes.into_iter().map(|attribute| (attribute.name, attribute.value)).collect();
        Some(ResourceConfig { attributes })
    }

    fn write(&self) -> Option<Yaml> {
        self.attributes.write()
    }

    fn shape() -> Shape {
        Shape::plain("a map of strings", "{k8s.node.name: ${env:NODE_NAME}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::read_text;

    #[test]
    fn the_defaults_are_the_collectors() {
        let config: TelemetryConfig = read_text("{}").unwrap();
        assert_eq!(config.logs.options().sampling, Some(Sampling::default()));
        assert_eq!(config.logs.options().level, LevelFilter::INFO);
    }

    #[test]
    fn resource_attributes_are_added_changed_and_removed_in_both_spellings() {
        let check = |text: &str| {
            let config: TelemetryConfig = read_text(text).unwrap();
            let attributes = config.resource.of_agent("id");
            let attributes: Vec<_> = attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let expected = concat!("k8s.node.name=n1 service.name=gateway service.version=", env!("CARGO_PKG_VERSION"));
            assert_eq!(attributes.join(" "), expected);
        };
        check("resource: {k8s.node.name: n1, service.name: gateway, service.instance.id: null}");
        check(
            "resource: {attributes: [{name: k8s.node.name, value: n1}, {name: service.name, value: gateway}, \
             {name: service.instance.id, value: null}]}",
        );
    }

    #[test]
    fn sampling_can_be_switched_off_and_levels_are_read_in_any_case() {
        let config: TelemetryConfig = read_text("logs: {level: DEBUG, sampling: {enabled: false}}").unwrap();
        let options = config.logs.options();
        assert_eq!((options.sampling, options.level), (None, LevelFilter::DEBUG));
    }
}
