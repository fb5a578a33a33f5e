//! Labels of a series: sorted, each name once.
//!
//! Two attributes may get the same name: `http.method` and `http_method`. Their values are then joined by `;` in the
//! order of the attributes' keys. An attribute that gets the name of a label that is set otherwise (`job`, `instance`,
//! `otel_scope_name`, `le`, a constant label) keeps its value under `exported_…`, as Prometheus does with labels of a
//! target.

use std::collections::HashSet;

use wire::view::Attributes;

use super::names::{BadName, Namer};

/// A label. Its value is never empty: that would be the same as no label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Labels that are being collected.
#[derive(Debug, Clone, Default)]
pub struct LabelSet {
    /// Those that come from attributes, with the attribute's key.
    attributes: Vec<(Label, String)>,
    /// Those that are set.
    set: Vec<Label>,
    /// Names that attributes may not have, beside those that are set: `le`.
    reserved: Vec<&'static str>,
    /// Nor names that begin with `__`: `__name__` would be another metric's name.
    keeps_internal: bool,
}

/// What an attribute's label is prefixed with when its name is taken.
const EXPORTED: &str = "exported_";

impl Label {
    /// A label.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Label {
        Label { name: name.into(), value: value.into() }
    }
}

impl LabelSet {
    /// Sets a label. The first one of a name stays.
    pub fn set(&mut self, name: &str, value: &str) {
        if !value.is_empty() && !self.set.iter().any(|label| label.name == name) {
            self.set.push(Label::new(name, value));
        }
    }

    /// Keeps a name for a label that is added later: `le`, `quantile`.
    pub fn reserve(&mut self, name: &'static str) {
        self.reserved.push(name);
    }

    /// Keeps names that begin with `__`, which are Prometheus' own.
    pub fn reserve_internal(&mut self) {
        self.keeps_internal = true;
    }

    /// Adds the labels of another set. Attributes with the same key replace those that are here.
    pub fn extend(&mut self, other: &LabelSet) {
        for (label, key) in &other.attributes {
            self.put(label.clone(), key);
        }
        other.set.iter().for_each(|label| self.set(&label.name, &label.value));
        self.reserved.extend(&other.reserved);
        self.keeps_internal |= other.keeps_internal;
    }

    /// Adds the label of an attribute. The same key again replaces the value.
    ///
    /// # Errors
    ///
    /// Nothing of the key is left as a name.
    pub fn attribute(&mut self, namer: &Namer, key: &str, value: String) -> Result<(), BadName> {
        self.attribute_as(namer, key, key, value)
    }

    /// As [`LabelSet::attribute`], for an attribute whose label is named otherwise: `otel_scope_…`.
    ///
    /// # Errors
    ///
    /// Nothing of `named` is left as a name.
    pub fn attribute_as(&mut self, namer: &Namer, named: &str, key: &str, value: String) -> Result<(), BadName> {
        let name = namer.label(named)?.into_owned();
        self.put(Label { name, value }, key);
        Ok(())
    }

    /// A request may have a million attributes, so whether a key was there before is looked at in the end.
    fn put(&mut self, label: Label, key: &str) {
        self.attributes.push((label, key.to_owned()));
    }

    /// Adds the labels of all attributes.
    ///
    /// # Errors
    ///
    /// Nothing of a key is left as a name.
    pub fn attributes(&mut self, namer: &Namer, attributes: Attributes<'_>) -> Result<(), BadName> {
        attributes.into_iter().try_for_each(|each| self.attribute(namer, each.key(), each.value().to_string()))
    }

    /// The labels, sorted by name.
    #[must_use]
    pub fn finish(mut self) -> Vec<Label> {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.sort_by(|(a, a_key), (b, b_key)| (&a.name, a_key).cmp(&(&b.name, b_key)));
        attributes.dedup_by(|(later, its_key), (earlier, key)| {
            let again = its_key == key && later.name == earlier.name;
            if again {
                earlier.value = std::mem::take(&mut later.value);
            }
            again
        });
        let mut labels: Vec<Label> = Vec::with_capacity(self.set.len() + attributes.len());
        for (label, _) in attributes {
            match labels.last_mut() {
                Some(last) if last.name == label.name => {
                    last.value.push(';');
                    last.value.push_str(&label.value);
                }
                _ => labels.push(label),
            }
        }
        labels.retain(|label| !label.value.is_empty());
        self.rename_reserved();
        self.rename_taken(&mut labels);
        labels.append(&mut self.set);
        labels.sort();
        labels
    }

    /// A constant label may have a name that is kept for a label of some series only: `le`.
    fn rename_reserved(&mut self) {
        while let Some(at) = self.set.iter().position(|label| self.reserved.contains(&label.name.as_str())) {
            let mut name = format!("{EXPORTED}{}", self.set[at].name);
            while self.set.iter().any(|label| label.name == name) {
                name.insert_str(0, EXPORTED);
            }
            self.set[at].name = name;
        }
    }

    fn rename_taken(&self, labels: &mut [Label]) {
        let is_kept = |name: &str| self.keeps_internal && name.starts_with("__") || self.reserved.contains(&name);
        let set = |name: &str| is_kept(name) || self.set.iter().any(|label| label.name == name);
        if !labels.iter().any(|label| set(&label.name)) {
            return;
        }
        let mut names: HashSet<String> = labels.iter().map(|label| label.name.clone()).collect();
        for label in labels.iter_mut().filter(|label| set(&label.name)) {
            let mut name = format!("{EXPORTED}{}", label.name);
            while set(&name) || names.contains(&name) {
                name.insert_str(0, EXPORTED);
            }
            names.insert(name.clone());
            label.name = name;
        }
    }
}
