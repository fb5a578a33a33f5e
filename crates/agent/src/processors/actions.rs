//! Actions on attributes, as the `resource` and `attributes` processors have them: as written, and ready to be done.

use regex::Regex;

use wire::{AttributeEditor, Edits, Value};

use super::conversion::{Target, convert, hash};
use crate::pipeline::Origin;
use crate::settings::{Node, Reader, Setting, Shape, Yaml, nearest, settings, words};

settings! {
    /// One action on the attributes.
    pub struct Action {
        /// The attribute to act on. `delete` and `hash` may have a `pattern` instead, or both.
        pub key: String = String::new(),
        /// What to do: `insert` sets an attribute that is absent, `update` one that is present, `upsert` either;
        /// `delete` removes it; `hash` replaces its value by the SHA-256 of it, in hexadecimal; `extract` sets an
        /// attribute for each named group of `pattern`; `convert` changes its type.
        required pub action: Verb,
        /// The value to set; its type is kept. For `insert`, `update` and `upsert`, which need this or
        /// `from_attribute` or `from_context`.
        pub value: Option<Value> = None,
        /// The value to set when `from_attribute` or `from_context` has none. Without it the action is skipped then.
        pub default_value: Option<Value> = None,
        /// Takes the value from this attribute.
        pub from_attribute: String = String::new(),
        /// Takes the value from the request it came with: `metadata.NAME` (a header, if the receiver has
        /// `include_metadata: true`; several values are joined by `;`), `auth.NAME`, or `client.address`.
        pub from_context: String = String::new(),
        /// A regular expression. For `extract` it is matched against the value, for `delete` and `hash` against the
        /// keys; it may match anywhere, so put `^` and `$` around what is meant as a whole.
        pub pattern: String = String::new(),
        /// The type to convert to.
        pub converted_type: Option<Target> = None,
    }
    check Action::check
}

words! {
    /// The verbs.
    #[derive(Default)]
    enum Word {
        /// Set an attribute that is absent.
        #[default]
        Insert = "insert",
        /// Set an attribute that is present.
        Update = "update",
        /// Set an attribute.
        Upsert = "upsert",
        /// Remove an attribute.
        Delete = "delete",
        /// Replace a value by its hash.
        Hash = "hash",
        /// Set attributes from parts of a value.
        Extract = "extract",
        /// Change the type of a value.
        Convert = "convert",
    }
}

/// What an action does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verb(Word);

/// Actions, ready to be done in their order.
#[derive(Debug)]
pub struct Actions {
    steps: Vec<Step>,
    /// All of them, when none looks at anything but the key: then nothing has to be read.
    edits: Option<Edits>,
}

#[derive(Clone, Debug)]
enum Step {
    Set { how: wire::Action, key: String, source: Source, otherwise: Option<Value> },
    Delete { key: String, pattern: Option<Regex> },
    Hash { key: String, pattern: Option<Regex> },
    Extract { key: String, pattern: Regex },
    Convert { key: String, target: Target },
}

/// Where a value comes from.
#[derive(Clone, Debug)]
enum Source {
    Nowhere,
    Constant(Value),
    Attribute(String),
    Context(Context),
}

/// A fact of the request. Names are in lower case.
#[derive(Clone, Debug)]
enum Context {
    Metadata(String),
    Auth(String),
    ClientAddress,
}

/// What is wrong with an action: the key to blame, what, and what to do.
struct Flaw {
    at: &'static str,
    what: String,
    remedy: String,
}

// === impl Verb ===

impl Setting for Verb {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let known = |text: &str| Word::WORDS.iter().any(|(word, _)| word.eq_ignore_ascii_case(text));
        match &node.value {
            Yaml::Str(text) if !known(text) => {
                let words = Word::WORDS.iter().map(|(word, _)| *word);
                let remedy = match nearest(text, words.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write one of {}", words.collect::<Vec<_>>().join(", ")),
                };
                cx.error(format!("error creating AttrProc due to unsupported action \"{text}\""), remedy);
                None
            }
            _ => Word::read(node, cx).map(Verb),
        }
    }

    fn write(&self) -> Option<Yaml> {
        self.0.write()
    }

    fn shape() -> Shape {
        Word::shape()
    }
}

// === impl Action ===

impl Action {
    fn check(&self, cx: &mut Reader<'_>) {
        let index = cx.path().rsplit("::").next().and_then(|index| index.parse().ok()).unwrap_or_default();
        if let Err(flaw) = self.compile() {
            cx.error_at(flaw.at, self.text_of(&flaw.what, index), flaw.remedy);
        }
    }

    /// The error in the Collector's words, which people search for.
    fn text_of(&self, what: &str, index: usize) -> String {
        let joint = if what.starts_with("due to") { " " } else { ". " };
        if self.key.is_empty() {
            return format!("error creating AttrProc{joint}{what} at the {index}-th action");
        }
        format!("error with key \"{}\" ({index}-th action): error creating AttrProc{joint}{what}", self.key)
    }

    fn compile(&self) -> Result<Step, Flaw> {
        let word = self.action.0;
        let (key, verb) = (self.key.clone(), word.as_str());
        let by_pattern = matches!(word, Word::Delete | Word::Hash);
        if key.is_empty() && !by_pattern {
            return Err(Flaw::new("key", "due to missing required field \"key\"", "name the attribute to act on"));
        }
        if key.is_empty() && self.pattern.is_empty() {
            let what = "due to missing required field (at least one of \"key\" and \"pattern\" have to be used)";
            return Err(Flaw::new("key", what, "name the attribute to act on"));
        }
        self.refuse_unused(word)?;
        Ok(match word {
            Word::Insert => self.set(wire::Action::Insert)?,
            Word::Update => self.set(wire::Action::Update)?,
            Word::Upsert => self.set(wire::Action::Upsert)?,
            Word::Delete => Step::Delete { key, pattern: self.regex()? },
            Word::Hash => Step::Hash { key, pattern: self.regex()? },
            Word::Extract => Step::Extract { key, pattern: self.named_groups()? },
            Word::Convert => {
                let what = format!("due to missing required field \"converted_type\" for action \"{verb}\"");
                let missing = || Flaw::new("action", what, "add `converted_type: int`, `double` or `string`");
                Step::Convert { key, target: self.converted_type.ok_or_else(missing)? }
            }
        })
    }

    /// Fields that the verb takes no notice of are mistakes.
    fn refuse_unused(&self, word: Word) -> Result<(), Flaw> {
        let sets = matches!(word, Word::Insert | Word::Update | Word::Upsert);
        let written = [
            ("value", self.value.is_some(), sets),
            ("default_value", self.default_value.is_some(), sets),
            ("from_attribute", !self.from_attribute.is_empty(), sets),
            ("from_context", !self.from_context.is_empty(), sets),
            ("pattern", !self.pattern.is_empty(), !sets && word != Word::Convert),
            ("converted_type", self.converted_type.is_some(), word == Word::Convert),
        ];
        match written.iter().find(|(_, is_written, is_used)| *is_written && !is_used) {
            Some((field, ..)) => {
                let what = format!(
                    "Action \"{}\" does not use the \"{field}\" field. This must not be specified",
                    word.as_str()
                );
                Err(Flaw::new(field, what, format!("remove `{field}`")))
            }
            None => Ok(()),
        }
    }

    fn set(&self, how: wire::Action) -> Result<Step, Flaw> {
        let mut sources = Vec::new();
        sources.extend(self.value.clone().map(Source::Constant));
        sources.extend((!self.from_attribute.is_empty()).then(|| Source::Attribute(self.from_attribute.clone())));
        sources.extend((!self.from_context.is_empty()).then(|| Source::Context(Context::parse(&self.from_context))));
        if sources.len() > 1 {
            let what = "due to multiple value sources being set";
            return Err(Flaw::new("action", what, "keep one of `value`, `from_attribute` and `from_context`"));
        }
        let source = sources.pop().unwrap_or(Source::Nowhere);
        if matches!(source, Source::Nowhere) && self.default_value.is_none() {
            let what = "Either field \"value\", \"from_attribute\", \"from_context\", or \"default_value\" must be \
                        specified";
            return Err(Flaw::new("action", what, "add `value: …`"));
        }
        Ok(Step::Set { how, key: self.key.clone(), source, otherwise: self.default_value.clone() })
    }

    fn regex(&self) -> Result<Option<Regex>, Flaw> {
        if self.pattern.is_empty() {
            return Ok(None);
        }
        Regex::new(&self.pattern).map(Some).map_err(|error| {
            let what = format!("Field \"pattern\" has invalid pattern: \"{}\"", self.pattern);
            Flaw::new("pattern", what, error.to_string().lines().last().unwrap_or_default())
        })
    }

    fn named_groups(&self) -> Result<Regex, Flaw> {
        let Some(regex) = self.regex()? else {
            let what = "due to missing required field \"pattern\" for action \"extract\"";
            return Err(Flaw::new("action", what, "add `pattern: …` with a group `(?P<name>…)` for each attribute"));
        };
        let remedy = "write each group as `(?P<name>…)`, or as `(?:…)` if it is not to become an attribute";
        if regex.captures_len() == 1 {
            return Err(Flaw::new("pattern", "Field \"pattern\" contains no named matcher groups", remedy));
        }
        if regex.capture_names().skip(1).any(|name| name.is_none()) {
            let what = "Field \"pattern\" contains at least one unnamed matcher group";
            return Err(Flaw::new("pattern", what, remedy));
        }
        Ok(regex)
    }
}

impl Flaw {
    fn new(at: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Flaw {
        Flaw { at, what: what.into(), remedy: remedy.into() }
    }
}

// === impl Actions ===

impl Actions {
    /// Makes the actions ready.
    ///
    /// # Errors
    /// In the Collector's words; reading the settings has found the same.
    pub fn compile(actions: &[Action]) -> Result<Actions, String> {
        let compile =
            |(index, action): (usize, &Action)| action.compile().map_err(|flaw| action.text_of(&flaw.what, index));
        let steps = actions.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()?;
        Ok(Actions::new(steps))
    }

    fn new(steps: Vec<Step>) -> Actions {
        let mut edits = Edits::new();
        let constant = steps.iter().all(|step| step.add_to(&mut edits));
        Actions { steps, edits: constant.then_some(edits) }
    }

    /// The actions for what came with one request: facts of the request have become values.
    #[must_use]
    pub fn bind(&self, origin: &Origin) -> Option<Actions> {
        let is_context = |step: &Step| matches!(step, Step::Set { source: Source::Context(_), .. });
        if !self.steps.iter().any(is_context) {
            return None;
        }
        let bind = |step: &Step| match step {
            Step::Set { how, key, source: Source::Context(context), otherwise } => {
                let source = context.look_up(origin).map_or(Source::Nowhere, |text| Source::Constant(text.into()));
                Step::Set { how: *how, key: key.clone(), source, otherwise: otherwise.clone() }
            }
            other => other.clone(),
        };
        Some(Actions::new(self.steps.iter().map(bind).collect()))
    }

    /// The same as edits that are already encoded, if no action has to read anything.
    #[must_use]
    pub fn edits(&self) -> Option<&Edits> {
        self.edits.as_ref()
    }

    /// Does all of them to one list of attributes.
    pub fn apply(&self, attributes: &mut AttributeEditor<'_>) {
        match &self.edits {
            Some(edits) => attributes.apply(edits),
            None => self.steps.iter().for_each(|step| step.apply(attributes)),
        }
    }
}

// === impl Step ===

impl Step {
    /// Adds the step to edits that need not read anything; says whether it is one of those.
    fn add_to(&self, edits: &mut Edits) -> bool {
        match self {
            Step::Set { how, key, source: Source::Constant(value), .. }
            | Step::Set { how, key, source: Source::Nowhere, otherwise: Some(value) } => edits.set(*how, key, value),
            Step::Set { source: Source::Nowhere, otherwise: None, .. } => {}
            Step::Delete { key, pattern: None } => edits.delete(key),
            _ => return false,
        }
        true
    }

    fn apply(&self, attributes: &mut AttributeEditor<'_>) {
        match self {
            Step::Set { how, key, source, otherwise } => set(attributes, *how, key, source, otherwise.as_ref()),
            Step::Delete { key, pattern } => {
                attributes.delete(key);
                if let Some(pattern) = pattern {
                    attributes.retain(|attribute| !pattern.is_match(attribute.key()));
                }
            }
            Step::Hash { key, pattern } => {
                let keys = matching(attributes, pattern.as_ref());
                for key in std::iter::once(key).chain(&keys) {
                    if let Some(hashed) = attributes.get(key).map(|value| hash(&value)) {
                        attributes.update(key, &hashed.into());
                    }
                }
            }
            Step::Extract { key, pattern } => extract(attributes, key, pattern),
            Step::Convert { key, target } => {
                if let Some(converted) = attributes.get(key).and_then(|value| convert(&value, *target)) {
                    attributes.update(key, &converted);
                }
            }
        }
    }
}

fn set(attributes: &mut AttributeEditor<'_>, how: wire::Action, key: &str, source: &Source, otherwise: Option<&Value>) {
    match source {
        Source::Constant(value) => attributes.set(how, key, value),
        Source::Attribute(from) if attributes.get(from).is_some() => attributes.copy(how, from, key),
        _ => {
            if let Some(value) = otherwise {
                attributes.set(how, key, value);
            }
        }
    }
}

fn matching(attributes: &AttributeEditor<'_>, pattern: Option<&Regex>) -> Vec<String> {
    let Some(pattern) = pattern else { return Vec::new() };
    attributes.iter().map(|attribute| attribute.key()).filter(|key| pattern.is_match(key)).map(str::to_owned).collect()
}

fn extract(attributes: &mut AttributeEditor<'_>, key: &str, pattern: &Regex) {
    let Some(text) = attributes.get(key).and_then(|value| value.as_str().map(str::to_owned)) else { return };
    let Some(captures) = pattern.captures(&text) else { return };
    for name in pattern.capture_names().flatten() {
        let value = captures.name(name).map_or("", |group| group.as_str());
        attributes.upsert(name, &value.into());
    }
}

// === impl Context ===

impl Context {
    /// A bare name is a header, as it was before there was anything else.
    fn parse(text: &str) -> Context {
        match (text.strip_prefix("metadata."), text.strip_prefix("auth.")) {
            _ if text == "client.address" => Context::ClientAddress,
            (_, Some(name)) => Context::Auth(name.to_ascii_lowercase()),
            (Some(name), _) => Context::Metadata(name.to_ascii_lowercase()),
            _ => Context::Metadata(text.to_ascii_lowercase()),
        }
    }

    fn look_up(&self, origin: &Origin) -> Option<String> {
        let values = match self {
            Context::ClientAddress => return origin.peer.map(|peer| peer.ip().to_canonical().to_string()),
            Context::Metadata(name) => origin.metadata.as_ref()?.get(name),
            Context::Auth(name) => origin.auth.as_ref()?.get(name),
        };
        if values.is_empty() { None } else { Some(values.join(";")) }
    }
}
