//! Names of metrics and labels: what an OTLP name becomes under each strategy.

use std::borrow::Cow;
use std::fmt;

use super::units;
use crate::settings::words;

words! {
    /// How OTLP names become names of Prometheus.
    #[derive(Default)]
    pub enum Strategy {
        /// What Prometheus does not allow in a classic name becomes `_`; unit and type are appended.
        #[default]
        UnderscoreEscapingWithSuffixes = "UnderscoreEscapingWithSuffixes",
        /// What Prometheus does not allow in a classic name becomes `_`; nothing is appended.
        UnderscoreEscapingWithoutSuffixes = "UnderscoreEscapingWithoutSuffixes",
        /// Names keep every character; unit and type are appended.
        NoUtf8EscapingWithSuffixes = "NoUTF8EscapingWithSuffixes",
        /// Names stay as they are.
        NoTranslation = "NoTranslation",
    }
}

impl Strategy {
    fn keeps_utf8(self) -> bool {
        matches!(self, Strategy::NoUtf8EscapingWithSuffixes | Strategy::NoTranslation)
    }

    fn appends(self) -> bool {
        matches!(self, Strategy::UnderscoreEscapingWithSuffixes | Strategy::NoUtf8EscapingWithSuffixes)
    }
}

/// What decides the suffix of a metric's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A sum that only grows: `_total`.
    MonotonicSum,
    /// A gauge: `_ratio` if its unit is `1`.
    Gauge,
    /// Anything else.
    Other,
}

/// A name of which nothing is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadName(String);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadName {}

/// Makes names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namer {
    /// How.
    pub strategy: Strategy,
    /// What stands before every metric's name, as it was written; empty for nothing.
    pub namespace: String,
}

impl Namer {
    /// The name of a metric.
    ///
    /// # Errors
    ///
    /// Nothing of the name is left, or only underscores.
    pub fn metric(&self, name: &str, unit: &str, kind: NameKind) -> Result<String, BadName> {
        if self.strategy.keeps_utf8() {
            let made = self.utf8_metric(name, unit, kind);
            return if made.is_empty() { Err(BadName("the name of the metric is empty".to_owned())) } else { Ok(made) };
        }
        let made = if self.strategy.appends() {
            self.classic_metric(name, unit, kind)
        } else {
            self.classic_metric_as_it_is(name)
        };
        if made.is_empty() {
            return Err(BadName(format!("normalization for metric {name:?} resulted in empty name")));
        }
        if made != name && made.bytes().all(|byte| byte == b'_') {
            return Err(BadName(format!("normalization for metric {name:?} resulted in invalid name {made:?}")));
        }
        Ok(made)
    }

    /// The name of `target_info`.
    #[must_use]
    pub fn target_info(&self) -> String {
        match self.label(&self.namespace) {
            Ok(namespace) => format!("{namespace}_{TARGET_INFO}"),
            Err(_) => TARGET_INFO.to_owned(),
        }
    }

    fn classic_metric(&self, name: &str, unit: &str, kind: NameKind) -> String {
        let (main, per) = units::suffixes(unit);
        let mut tokens: Vec<&str> = name.split(|c: char| !is_classic(c)).filter(|token| !token.is_empty()).collect();
        let (main, per) = (clean_unit(&main), clean_unit(&per));
        let (main, per) = unit_tokens(&tokens, &main, &per);
        tokens.extend([main, per].into_iter().filter(|token| !token.is_empty()));
        if let Some(suffix) = type_suffix(unit, kind) {
            tokens.retain(|token| *token != suffix);
            tokens.push(suffix);
        }
        if !self.namespace.is_empty() {
            tokens.insert(0, &self.namespace);
        }
        guard_digit(tokens.join("_"))
    }

    fn classic_metric_as_it_is(&self, name: &str) -> String {
        let name = join_allowed(name);
        if self.namespace.is_empty() {
            return guard_digit(name);
        }
        format!("{}_{name}", join_allowed(&self.namespace))
    }

    fn utf8_metric(&self, name: &str, unit: &str, kind: NameKind) -> String {
        let mut name = match self.namespace.as_str() {
            "" => name.to_owned(),
            namespace => format!("{namespace}_{name}"),
        };
        if !self.strategy.appends() {
            return name;
        }
        let (main, per) = units::suffixes(unit);
        let suffix = type_suffix(unit, kind).unwrap_or_default();
        for present in [suffix, &per] {
            trim_suffix(&mut name, present);
        }
        // What is innermost stays where it is if it is there already.
        if !main.is_empty() && !name.ends_with(&main) {
            append(&mut name, &main);
        }
        for suffix in [&per, suffix] {
            append(&mut name, suffix);
        }
        name
    }

    /// The name of a label. Names that begin and end with `__` keep both.
    ///
    /// # Errors
    ///
    /// The name is empty, or nothing but underscores is left of it.
    pub fn label<'a>(&self, name: &'a str) -> Result<Cow<'a, str>, BadName> {
        if name.is_empty() {
            return Err(BadName("label name is empty".to_owned()));
        }
        let made =
            if self.strategy.keeps_utf8() || is_plain_label(name) { Cow::Borrowed(name) } else { sanitized(name) };
        if made.bytes().all(|byte| byte == b'_') {
            return Err(BadName(format!("normalization for label name {name:?} resulted in invalid name {made:?}")));
        }
        Ok(made)
    }
}

/// A unit as metadata name it: `By/s` is `bytes_per_second`.
#[must_use]
pub fn unit_name(unit: &str) -> String {
    let (main, per) = units::suffixes(unit);
    let parts = [clean_unit(&main), clean_unit(&per)];
    parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("_")
}

/// The metric that holds what else is known of a resource.
const TARGET_INFO: &str = "target_info";

/// What a metric's name may consist of; `_` separates.
fn is_classic(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

fn type_suffix(unit: &str, kind: NameKind) -> Option<&'static str> {
    match kind {
        NameKind::MonotonicSum => Some("total"),
        // Only gauges: many counters of things have the unit 1.
        NameKind::Gauge if unit == "1" => Some("ratio"),
        NameKind::Gauge | NameKind::Other => None,
    }
}

/// The suffixes that are not in the name yet.
fn unit_tokens<'a>(tokens: &[&str], main: &'a str, per: &'a str) -> (&'a str, &'a str) {
    let main = if tokens.contains(&main) { "" } else { main };
    let per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(per) };
    let per = if tokens.contains(&per) { "" } else { per };
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    (main, per)
}

/// A unit with what is not allowed in names as single underscores, and none in front.
fn clean_unit(unit: &str) -> String {
    let mut clean = String::with_capacity(unit.len());
    for c in unit.chars() {
        if is_classic(c) {
            clean.push(c);
        } else if !clean.ends_with('_') {
            clean.push('_');
        }
    }
    clean.strip_prefix('_').map(str::to_owned).unwrap_or(clean)
}

/// The allowed runs of a name, underscores as they are, with one underscore for each run that is not allowed.
fn join_allowed(name: &str) -> String {
    let runs = name.split(|c: char| !is_classic(c) && c != '_').filter(|run| !run.is_empty());
    runs.collect::<Vec<_>>().join("_")
}

fn guard_digit(name: String) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Takes off a suffix and the character before it, if there is more than that.
fn trim_suffix(name: &mut String, suffix: &str) {
    if suffix.is_empty() || !name.ends_with(suffix) || name.len() <= suffix.len() + 1 {
        return;
    }
    name.truncate(name.len() - suffix.len());
    name.pop();
}

fn append(name: &mut String, suffix: &str) {
    if !suffix.is_empty() {
        name.push('_');
        name.push_str(suffix);
    }
}

/// Whether a label's name stays as it is: letters, digits and single underscores, a letter first.
fn is_plain_label(name: &str) -> bool {
    let bytes = name.as_bytes();
    let doubled = || bytes.windows(2).any(|pair| pair == b"__");
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && !doubled()
}

fn sanitized(name: &str) -> Cow<'static, str> {
    let reserved = (name.len() >= 4).then(|| name.strip_prefix("__")?.strip_suffix("__")).flatten();
    let mut made = String::with_capacity(name.len());
    for c in reserved.unwrap_or(name).chars() {
        if c.is_ascii_alphanumeric() {
            made.push(c);
        } else if !made.ends_with('_') {
            made.push('_');
        }
    }
    if reserved.is_some() {
        return Cow::Owned(format!("__{made}__"));
    }
    if made.starts_with(|first: char| first.is_ascii_digit()) {
        made.insert_str(0, "key_");
    } else if made.starts_with('_') {
        made.insert_str(0, "key");
    }
    Cow::Owned(made)
}
