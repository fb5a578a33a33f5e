//! `include` and `exclude` of the `attributes` processor: to which spans, log records and metrics it applies.

use regex::{Regex, RegexSet};

use wire::schema::SPAN_SPAN_KIND;
use wire::view::{AnyValue, Attributes};
use wire::{AttributeEditor, Item, Signal, Value};

use crate::settings::{Reader, settings, words};

words! {
    /// How texts are compared.
    #[derive(Default)]
    pub enum MatchType {
        /// As a whole.
        #[default]
        Strict = "strict",
        /// By regular expressions, which may match anywhere.
        Regexp = "regexp",
    }
}

settings! {
    /// Conditions, all of which must hold.
    pub struct Match {
        /// Whether the texts below are compared as they are, or are regular expressions that may match anywhere.
        required pub match_type: MatchType,
        /// Spans of one of these services (`service.name`).
        pub services: Vec<String> = Vec::new(),
        /// Spans with one of these names.
        pub span_names: Vec<String> = Vec::new(),
        /// Spans of one of these kinds: `SPAN_KIND_SERVER` and so on.
        pub span_kinds: Vec<String> = Vec::new(),
        /// Log records with one of these bodies.
        pub log_bodies: Vec<String> = Vec::new(),
        /// Log records with one of these severity texts.
        pub log_severity_texts: Vec<String> = Vec::new(),
        /// Log records of at least this severity.
        pub log_severity_number: Option<Severity> = None,
        /// Metrics with one of these names.
        pub metric_names: Vec<String> = Vec::new(),
        /// Spans and log records with all of these attributes.
        pub attributes: Vec<Attribute> = Vec::new(),
        /// What came from a resource with all of these attributes.
        pub resources: Vec<Attribute> = Vec::new(),
        /// Spans and log records recorded by all of these libraries: in practice one.
        pub libraries: Vec<Library> = Vec::new(),
    }
    ignored { "regexp" => "regular expressions need no cache here" }
    check Match::check
}

settings! {
    /// An attribute to look for.
    pub struct Attribute {
        /// Its key.
        required pub key: String,
        /// Its value; without one the key alone counts.
        pub value: Option<Value> = None,
    }
}

settings! {
    /// An instrumentation scope to look for.
    pub struct Library {
        /// Its name.
        required pub name: String,
        /// Its version; without one any counts, and `""` is a version too.
        pub version: Option<String> = None,
    }
}

settings! {
    /// A severity to look for.
    pub struct Severity {
        /// The lowest severity number that counts: 9 is INFO, 13 WARN, 17 ERROR.
        pub min: i64 = 0,
        /// Whether a log record without a severity counts.
        pub match_undefined: bool = false,
    }
}

/// `include` and `exclude`, ready to be asked.
#[derive(Debug, Default)]
pub struct Filter {
    include: Option<Matcher>,
    exclude: Option<Matcher>,
}

#[derive(Debug)]
struct Matcher {
    services: Option<Texts>,
    names: Option<Texts>,
    kinds: Option<Texts>,
    bodies: Option<Texts>,
    severity_texts: Option<Texts>,
    severity: Option<Severity>,
    attributes: Vec<(String, Wanted)>,
    resources: Vec<(String, Wanted)>,
    libraries: Vec<Scope>,
}

/// A name and perhaps a version of an instrumentation scope.
type Scope = (Texts, Option<Texts>);

/// The key to blame, and what is wrong.
type Flaw = (&'static str, String);

/// One of these texts, or what one of these patterns finds.
#[derive(Debug)]
enum Texts {
    Strict(Vec<String>),
    Regexp(RegexSet),
}

#[derive(Debug)]
enum Wanted {
    Anything,
    Value(Value),
    Pattern(Regex),
}

// === impl Match ===

impl Match {
    fn check(&self, cx: &mut Reader<'_>) {
        if let Err((at, what)) = self.compile() {
            cx.error_at(at, what, "");
        }
    }

    /// What is wrong when it stands in a pipeline of this signal, in the Collector's words.
    ///
    /// # Errors
    /// A condition that the signal does not have, or none at all.
    pub fn check_for(&self, signal: Signal) -> Result<(), String> {
        let foreign = self.foreign(signal);
        if !foreign.is_empty() {
            let what = match signal {
                Signal::Traces => {
                    return Err(format!("{} should not be specified for trace spans", foreign.join(", ")));
                }
                Signal::Logs => "log records",
                Signal::Metrics => "metrics",
            };
            return Err(format!("{} are not valid for {what}", foreign.join(", ")));
        }
        let unknown = |kind: &&String| !SPAN_SPAN_KIND.values.iter().any(|(_, name)| name == kind);
        if self.match_type == MatchType::Strict
            && let Some(kind) = self.span_kinds.iter().find(unknown)
        {
            let known: Vec<_> = SPAN_SPAN_KIND.values.iter().map(|(_, name)| *name).collect();
            return Err(format!("span_kinds: \"{kind}\" is none of {}", known.join(", ")));
        }
        let own = self.own(signal);
        if own.iter().any(|(_, is_set)| *is_set) {
            return Ok(());
        }
        let names: Vec<_> = own.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        Err(format!("at least one of {} must be specified", names.join(", ")))
    }

    /// The conditions that a signal has, and which of them are set.
    fn own(&self, signal: Signal) -> Vec<(&'static str, bool)> {
        self.conditions()
            .into_iter()
            .filter(|(.., signals)| signals.contains(&signal))
            .map(|(n, s, _)| (n, s))
            .collect()
    }

    fn foreign(&self, signal: Signal) -> Vec<&'static str> {
        let is_foreign = |(_, is_set, signals): &(&str, bool, &[Signal])| *is_set && !signals.contains(&signal);
        self.conditions().into_iter().filter(is_foreign).map(|(name, ..)| name).collect()
    }

    fn conditions(&self) -> Vec<(&'static str, bool, &'static [Signal])> {
        use Signal::{Logs, Metrics, Traces};
        vec![
            ("services", !self.services.is_empty(), &[Traces]),
            ("span_names", !self.span_names.is_empty(), &[Traces]),
            ("span_kinds", !self.span_kinds.is_empty(), &[Traces]),
            ("log_bodies", !self.log_bodies.is_empty(), &[Logs]),
            ("log_severity_texts", !self.log_severity_texts.is_empty(), &[Logs]),
            ("log_severity_number", self.log_severity_number.is_some(), &[Logs]),
            ("metric_names", !self.metric_names.is_empty(), &[Metrics]),
            ("attributes", !self.attributes.is_empty(), &[Traces, Logs]),
            ("resources", !self.resources.is_empty(), &[Traces, Logs, Metrics]),
            ("libraries", !self.libraries.is_empty(), &[Traces, Logs]),
        ]
    }

    fn compile(&self) -> Result<Matcher, Flaw> {
        // A metric and a span have one name each, and no pipeline has both.
        let names = if self.metric_names.is_empty() {
            self.texts("span_names", &self.span_names)?
        } else {
            self.texts("metric_names", &self.metric_names)?
        };
        Ok(Matcher {
            services: self.texts("services", &self.services)?,
            names,
            kinds: self.texts("span_kinds", &self.span_kinds)?,
            bodies: self.texts("log_bodies", &self.log_bodies)?,
            severity_texts: self.texts("log_severity_texts", &self.log_severity_texts)?,
            severity: self.log_severity_number.clone(),
            attributes: self.wanted("attributes", &self.attributes)?,
            resources: self.wanted("resources", &self.resources)?,
            libraries: self.libraries()?,
        })
    }

    fn texts(&self, at: &'static str, texts: &[String]) -> Result<Option<Texts>, Flaw> {
        if texts.is_empty() { Ok(None) } else { self.some_texts(at, texts).map(Some) }
    }

    fn some_texts(&self, at: &'static str, texts: &[String]) -> Result<Texts, Flaw> {
        match self.match_type {
            MatchType::Strict => Ok(Texts::Strict(texts.to_vec())),
            MatchType::Regexp => RegexSet::new(texts).map(Texts::Regexp).map_err(|error| (at, error.to_string())),
        }
    }

    fn wanted(&self, at: &'static str, attributes: &[Attribute]) -> Result<Vec<(String, Wanted)>, Flaw> {
        let wanted = |attribute: &Attribute| {
            if attribute.key.is_empty() {
                return Err((at, "can't have empty key in the list of attributes".to_owned()));
            }
            let wanted = match (&attribute.value, self.match_type) {
                (None, _) => Wanted::Anything,
                (Some(value), MatchType::Strict) => Wanted::Value(value.clone()),
                (Some(Value::Str(text)), MatchType::Regexp) => {
                    Wanted::Pattern(Regex::new(text).map_err(|error| (at, error.to_string()))?)
                }
                (Some(_), MatchType::Regexp) => {
                    let what =
                        format!("match_type=regexp for \"{}\" only supports text; put it in quotes", attribute.key);
                    return Err((at, what));
                }
            };
            Ok((attribute.key.clone(), wanted))
        };
        attributes.iter().map(wanted).collect()
    }

    fn libraries(&self) -> Result<Vec<Scope>, Flaw> {
        let texts = |text: &String| self.some_texts("libraries", std::slice::from_ref(text));
        let library = |library: &Library| Ok((texts(&library.name)?, library.version.as_ref().map(texts).transpose()?));
        self.libraries.iter().map(library).collect()
    }
}

// === impl Filter ===

impl Filter {
    /// Makes the conditions ready for a signal.
    ///
    /// # Errors
    /// The conditions do not fit the signal, or a regular expression is wrong.
    pub fn compile(include: Option<&Match>, exclude: Option<&Match>, signal: Signal) -> Result<Filter, String> {
        let compile = |conditions: &Match| {
            conditions.check_for(signal)?;
            conditions.compile().map_err(|(at, what)| format!("{at}: {what}"))
        };
        Ok(Filter { include: include.map(compile).transpose()?, exclude: exclude.map(compile).transpose()? })
    }

    /// Whether the attributes are to be touched.
    #[must_use]
    pub fn takes(&self, attributes: &AttributeEditor<'_>) -> bool {
        let included = self.include.as_ref().is_none_or(|matcher| matcher.matches(attributes));
        included && !self.exclude.as_ref().is_some_and(|matcher| matcher.matches(attributes))
    }
}

// === impl Matcher ===

impl Matcher {
    fn matches(&self, attributes: &AttributeEditor<'_>) -> bool {
        self.matches_item(attributes.item())
            && self.matches_service(attributes)
            && self.matches_scope(attributes)
            && has_all(&self.resources, |key| attributes.resource().attributes().get(key))
            && has_all(&self.attributes, |key| attributes.get(key))
    }

    fn matches_item(&self, item: Item<'_>) -> bool {
        match item {
            Item::Span(span) => {
                find(self.names.as_ref(), span.name()) && find(self.kinds.as_ref(), kind_name(span.kind()))
            }
            Item::Point(metric, _) => find(self.names.as_ref(), metric.name()),
            Item::LogRecord(record) => {
                let bodies = self.bodies.as_ref();
                bodies.is_none_or(|bodies| bodies.contain(&record.body().to_string()))
                    && find(self.severity_texts.as_ref(), record.severity_text())
                    && self.severity.as_ref().is_none_or(|wanted| match record.severity_number() {
                        0 => wanted.match_undefined,
                        number => i64::from(number) >= wanted.min,
                    })
            }
            Item::Resource | Item::Scope => true,
        }
    }

    fn matches_service(&self, attributes: &AttributeEditor<'_>) -> bool {
        self.services.as_ref().is_none_or(|services| {
            let name = attributes.resource().attributes().get("service.name");
            services.contain(&name.map_or_else(|| "<nil-service-name>".to_owned(), |name| name.to_string()))
        })
    }

    fn matches_scope(&self, attributes: &AttributeEditor<'_>) -> bool {
        let scope = attributes.scope();
        let (name, version) = scope.map_or(("", ""), |scope| (scope.name(), scope.version()));
        let is_it = |(names, versions): &Scope| names.contain(name) && find(versions.as_ref(), version);
        self.libraries.iter().all(is_it)
    }
}

impl Texts {
    fn contain(&self, text: &str) -> bool {
        match self {
            Texts::Strict(texts) => texts.iter().any(|known| known == text),
            Texts::Regexp(patterns) => patterns.is_match(text),
        }
    }
}

fn find(texts: Option<&Texts>, text: &str) -> bool {
    texts.is_none_or(|texts| texts.contain(text))
}

fn has_all<'a>(wanted: &[(String, Wanted)], get: impl Fn(&str) -> Option<AnyValue<'a>>) -> bool {
    wanted.iter().all(|(key, wanted)| get(key).is_some_and(|value| wanted.is(&value)))
}

impl Wanted {
    fn is(&self, value: &AnyValue<'_>) -> bool {
        match (self, value) {
            (Wanted::Anything, _) => true,
            (Wanted::Value(wanted), value) => equal(wanted, value),
            (Wanted::Pattern(pattern), AnyValue::Str(text)) => pattern.is_match(text),
            (Wanted::Pattern(pattern), AnyValue::Double(number)) => pattern.is_match(&number.to_string()),
            (Wanted::Pattern(pattern), AnyValue::Int(_) | AnyValue::Bool(_)) => pattern.is_match(&value.to_string()),
            (Wanted::Pattern(_), _) => false,
        }
    }
}

fn equal(wanted: &Value, value: &AnyValue<'_>) -> bool {
    match (wanted, value) {
        (Value::Str(wanted), AnyValue::Str(value)) => wanted == value,
        (Value::Int(wanted), AnyValue::Int(value)) => wanted == value,
        (Value::Double(wanted), AnyValue::Double(value)) => wanted == value,
        (Value::Bool(wanted), AnyValue::Bool(value)) => wanted == value,
        (Value::Bytes(wanted), AnyValue::Bytes(value)) => wanted == value,
        (Value::Array(wanted), AnyValue::Array(values)) => {
            wanted.len() == values.clone().count() && wanted.iter().zip(values.clone()).all(|(w, v)| equal(w, &v))
        }
        (Value::Map(wanted), AnyValue::Map(values)) => same_map(wanted, values),
        _ => false,
    }
}

fn same_map(wanted: &[(String, Value)], values: &Attributes<'_>) -> bool {
    let has = |(key, wanted): &(String, Value)| values.get(key).is_some_and(|value| equal(wanted, &value));
    wanted.len() == values.clone().count() && wanted.iter().all(has)
}

fn kind_name(kind: i32) -> &'static str {
    SPAN_SPAN_KIND.values.iter().find(|(number, _)| *number == kind).map_or("", |(_, name)| name)
}
