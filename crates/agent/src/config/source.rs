//! Where configuration text comes from: files, environment variables, the command line. Keeps the texts, so that
//! problems can show them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;

use crate::config::{Request, World, merge};
use crate::settings::{Entry, FileId, Node, Place, Problems, Yaml, parse};

/// The texts of all sources.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
}

/// One source of configuration text.
#[derive(Clone, Debug)]
pub struct Source {
    /// What people call it: a path, `--set`, `environment variable X`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Sources {
    /// Keeps a text.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.list.push(Source { name: name.into(), text: text.into() });
        FileId(u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX - 1))
    }

    /// A text that was kept.
    #[must_use]
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.list.get(usize::try_from(file.0).ok()?)
    }

    /// Reads a text as YAML and keeps it.
    fn parse(&mut self, name: &str, text: String, problems: &mut Problems) -> Option<Node> {
        let file = self.add(name, text);
        let text = self.get(file).map(|source| source.text.as_str()).unwrap_or_default();
        parse(file, text, problems)
    }

    /// A place for people: `agent.yaml:4:5`; empty for what was not written.
    #[must_use]
    pub fn describe(&self, place: Place) -> String {
        let describe = |source: &Source| format!("{}:{}:{}", source.name, place.line, place.column);
        self.get(place.file).map(describe).unwrap_or_default()
    }

    /// One number for all texts: another number means that something has changed. Times of files would not do, because a
    /// ConfigMap's files are links that change at once.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for source in &self.list {
            (&source.name, &source.text).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The CRC-32 of each text given with `--config`, by name. Texts that those include are left out: one may be no more
    /// than a password, and a short text can be guessed from its checksum.
    #[must_use]
    pub fn checksums(&self, request: &Request) -> Vec<(String, u32)> {
        let given = self.list.iter().take(request.configs.len());
        given.map(|source| (source.name.clone(), crc32fast::hash(source.text.as_bytes()))).collect()
    }

    /// The text at a place.
    #[must_use]
    pub fn slice(&self, place: Place) -> Option<&str> {
        self.get(place.file)?.text.get(place.start as usize..place.end as usize)
    }
}

/// Splits `scheme:rest`. A single letter is the drive of a Windows path.
pub(super) fn scheme_of(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let starts_right = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let goes_on_right = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    (scheme.len() > 1 && starts_right && goes_on_right).then_some((scheme, rest))
}

/// Reads one `--config`. `None` after a problem has been reported.
pub(super) fn read_config(
    uri: &str,
    world: &World<'_>,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Node> {
    let tree = match scheme_of(uri) {
        None => read_file(uri, sources, problems),
        Some(("file", path)) => read_file(path, sources, problems),
        Some(("yaml", text)) => sources.parse("--config", text.to_owned(), problems),
        Some(("env", name)) => read_variable(name, world, sources, problems),
        Some((scheme, _)) => {
            let (what, remedy) = unsupported_scheme(scheme, uri);
            problems.error("", Place::NONE, what, remedy);
            None
        }
    }?;
    let tree = merge::unflatten(tree);
    if !matches!(tree.value, Yaml::Map(_) | Yaml::Null) {
        let remedy = "a configuration is a mapping: `receivers:`, `exporters:`, `service:`";
        problems.error("", tree.place, format!("expected a mapping, found {}", tree.in_words()), remedy);
        return None;
    }
    Some(tree)
}

/// What to say about a scheme that we do not read.
pub(super) fn unsupported_scheme(scheme: &str, uri: &str) -> (String, &'static str) {
    match scheme {
        "http" | "https" => (
            format!("the Collector reads `{uri}` over the network, otel-agent does not"),
            "fetch it to a file first (an init container, a ConfigMap) and pass the path",
        ),
        _ => (
            format!("scheme \"{scheme}\" is not supported for uri \"{uri}\""),
            "otel-agent reads `file:`, `env:` and `yaml:`; a plain path is a file",
        ),
    }
}

fn read_file(path: &str, sources: &mut Sources, problems: &mut Problems) -> Option<Node> {
    match read_text(path) {
        Ok(text) => sources.parse(path, text, problems),
        Err((what, remedy)) => {
            problems.error("", Place::NONE, what, remedy);
            None
        }
    }
}

/// Reads a file of the configuration; says what is wrong and what to do otherwise.
pub(super) fn read_text(path: &str) -> Result<String, (String, String)> {
    let failed = |what: &str, remedy: &str| Err((format!("cannot read `{path}`: {what}"), remedy.to_owned()));
    match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).or_else(|error| {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
            failed(&format!("it is not UTF-8 text (line {line})"), "save it as UTF-8, without binary data")
        }),
        Err(_) if std::path::Path::new(path).is_dir() => {
            failed("it is a directory", "pass a file in it; `--config` can be given several times")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default();
            failed("there is no such file", &format!("check the path; a relative one starts at {folder}"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            failed("permission denied", "let the user that runs the agent read it")
        }
        Err(error) => failed(&error.to_string(), ""),
    }
}

fn read_variable(name: &str, world: &World<'_>, sources: &mut Sources, problems: &mut Problems) -> Option<Node> {
    let Some(text) = (world.variable)(name) else {
        let what = format!("`--config env:{name}`: the environment variable `{name}` is not set");
        problems.error("", Place::NONE, what, "set it to the YAML text of the configuration");
        return None;
    };
    sources.parse(&format!("environment variable {name}"), text, problems)
}

/// Reads one `--set key.key=value`. `None` after a problem has been reported.
pub(super) fn read_set(argument: &str, sources: &mut Sources, problems: &mut Problems) -> Option<Node> {
    let file = sources.add("--set", argument);
    let end = u32::try_from(argument.len()).unwrap_or(u32::MAX);
    let whole = Place { file, line: 1, column: 1, start: 0, end };
    let Some((key, text)) = argument.split_once('=') else {
        let remedy = "write `--set key.key=value`, for instance `--set processors.batch.timeout=2s`";
        problems.error("", whole, "missing equal sign", remedy);
        return None;
    };
    if key.split('.').any(str::is_empty) {
        problems.error("", whole, format!("the key `{key}` has an empty part"), "write `key.key=value`");
        return None;
    }
    let key_place = Place { end: u32::try_from(key.len()).unwrap_or(u32::MAX), ..whole };
    let mut value = parse(file, text, problems)?;
    shift(&mut value, key_place.end + 1);
    Some(nested(key.split('.'), key_place, value))
}

/// Wraps a value into one mapping for each key.
pub(super) fn nested<'k>(keys: impl DoubleEndedIterator<Item = &'k str>, place: Place, value: Node) -> Node {
    keys.rev().fold(value, |value, key| {
        let entry = Entry { key: key.to_owned(), place, value };
        Node { value: Yaml::Map(vec![entry]), place, expansion: None }
    })
}

/// Moves the places of a tree that was read from the middle of a text.
fn shift(node: &mut Node, by: u32) {
    move_place(&mut node.place, by);
    match &mut node.value {
        Yaml::Seq(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Yaml::Map(entries) => entries.iter_mut().for_each(|entry| {
            move_place(&mut entry.place, by);
            shift(&mut entry.value, by);
        }),
        _ => {}
    }
}

fn move_place(place: &mut Place, by: u32) {
    place.start = place.start.saturating_add(by);
    place.end = place.end.saturating_add(by);
    if place.line <= 1 {
        place.column = place.column.saturating_add(by);
    }
}
