//! The objects that a migration reads, as JSON: from files and from a cluster alike.

use serde_json::Value;

/// What was read, and what was not.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// All objects.
    pub items: Vec<Value>,
    /// What could not be read, and why.
    pub unseen: Vec<String>,
}

/// The kinds that have a pod template, and where it is.
pub(super) const TEMPLATES: [(&str, &str); 4] = [
    ("Deployment", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("DaemonSet", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];

impl Objects {
    /// From the text of files: documents of YAML or JSON, lists of objects among them.
    ///
    /// # Errors
    /// A document cannot be read; the message names the file and the document.
    pub fn from_texts(
        texts: &[(String, String)],
        read: &dyn Fn(&str) -> Result<Value, String>,
    ) -> anyhow::Result<Objects> {
        let mut objects = Objects::default();
        for (name, text) in texts {
            for (number, document) in documents(text).iter().enumerate() {
                let value = read(document)
                    .map_err(|error| anyhow::anyhow!("{name}, document {} cannot be read: {error}", number + 1))?;
                objects.add(value);
            }
        }
        Ok(objects)
    }

    /// Adds an object, or what a list of objects holds.
    pub fn add(&mut self, value: Value) {
        match value {
            Value::Null => {}
            Value::Object(mut list) if list.get("items").is_some_and(Value::is_array) => {
                if let Some(Value::Array(items)) = list.remove("items") {
                    items.into_iter().for_each(|item| self.add(item));
                }
            }
            object => self.items.push(object),
        }
    }

    /// The objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.items.iter().filter(move |object| text(object, "/kind") == kind)
    }

    /// One object.
    #[must_use]
    pub fn one(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.items.iter().find(|object| {
            text(object, "/kind") == kind && self::namespace(object) == namespace && self::name(object) == name
        })
    }

    /// Everything that has a pod template, with it.
    pub fn workloads(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.items.iter().filter_map(|object| Some((object, template(object)?)))
    }
}

/// The pod template of an object that has one.
pub(super) fn template(object: &Value) -> Option<&Value> {
    let kind = text(object, "/kind");
    let (_, place) = TEMPLATES.iter().find(|(known, _)| *known == kind)?;
    object.pointer(place)
}

/// The text at a place of an object; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list at a place.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The keys of a mapping at a place.
pub(super) fn map<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// An object's name.
pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// An object's namespace.
pub(super) fn namespace(object: &Value) -> &str {
    match text(object, "/metadata/namespace") {
        "" => "default",
        namespace => namespace,
    }
}

/// Containers of a pod template, those that run before the others included.
pub(super) fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    list(template, "/spec/containers").iter().chain(list(template, "/spec/initContainers"))
}

/// The documents of a text: between lines that begin with `---`.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let says =
        |document: &String| document.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    documents.retain(says);
    documents
}
