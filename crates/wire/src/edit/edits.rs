//! Edits that are known beforehand: encoded once, applied to many requests.

use crate::{Value, write};

/// Edits in the order in which they are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    list: Vec<Edit>,
}

/// What to do about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Set it if it is absent.
    Insert,
    /// Set it if it is absent or an empty text.
    Fill,
    /// Set it if it is present.
    Update,
    /// Set it.
    Upsert,
    /// Remove it.
    Delete,
}

/// One edit, ready to be put into a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) action: Action,
    pub(super) key: Box<str>,
    /// The `value` field of a `KeyValue`, with its tag; empty for a deletion.
    pub(super) value: Box<[u8]>,
}

impl Edits {
    /// No edits.
    #[must_use]
    pub fn new() -> Edits {
        Edits::default()
    }

    /// True if there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Sets `key` if it is absent.
    pub fn insert(&mut self, key: &str, value: &Value) {
        self.set(Action::Insert, key, value);
    }

    /// Sets `key` if it is present.
    pub fn update(&mut self, key: &str, value: &Value) {
        self.set(Action::Update, key, value);
    }

    /// Sets `key`.
    pub fn upsert(&mut self, key: &str, value: &Value) {
        self.set(Action::Upsert, key, value);
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: &str) {
        self.list.push(Edit { action: Action::Delete, key: key.into(), value: Box::default() });
    }

    /// Does any of it; a deletion takes no notice of the value.
    pub fn set(&mut self, action: Action, key: &str, value: &Value) {
        if action == Action::Delete {
            return self.delete(key);
        }
        let mut encoded = Vec::new();
        write::message_field(&mut encoded, 2, |out| write::any_value(out, value));
        self.list.push(Edit { action, key: key.into(), value: encoded.into() });
    }

    /// How many bytes they put into a request at most.
    pub(super) fn bytes(&self) -> usize {
        self.list.iter().map(|edit| edit.key.len() + edit.value.len() + 8).sum()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Edit> {
        self.list.iter()
    }
}
