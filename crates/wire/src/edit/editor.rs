//! One attribute list under the hands of an editor.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::edits::{Action, Edits};
use crate::fields::Fields;
use crate::patch::Patches;
use crate::view::{self, AnyValue};
use crate::{Value, write};

/// An attribute list that may be changed, and what stands around it.
///
/// A key that is edited stands at most once afterwards, even if the sender gave it several times: the first one is
/// changed and the others go.
pub struct AttributeEditor<'a> {
    message: &'a [u8],
    // Field number of the attributes in the message.
    number: u32,
    item: Item<'a>,
    resource: view::Resource<'a>,
    scope: Option<view::Scope<'a>>,
    entries: SmallVec<[Entry; 16]>,
    // New `KeyValue`s, one behind the other.
    fresh: Vec<u8>,
    // Kept for the next value.
    encoded: Vec<u8>,
    // Where new attributes go in the message: behind the last one, or at the end.
    behind: usize,
    changed: bool,
}

/// What an attribute list belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// The resource itself.
    Resource,
    /// The scope itself.
    Scope,
    /// A span.
    Span(view::Span<'a>),
    /// A log record.
    LogRecord(view::LogRecord<'a>),
    /// A data point and its metric.
    Point(view::Metric<'a>, view::Point<'a>),
}

/// One attribute: where it stood, and where its content is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    // The field in the message, with its tag; `None` if it is new.
    original: Option<(usize, usize)>,
    content: Content,
    key: (usize, usize),
}

/// Where the content of a `KeyValue` is. The key is relative to the same place.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Content {
    Message(usize, usize),
    Fresh(usize, usize),
    Removed,
}

impl<'a> AttributeEditor<'a> {
    pub(super) fn new(
        message: &'a [u8],
        number: u32,
        item: Item<'a>,
        resource: view::Resource<'a>,
        scope: Option<view::Scope<'a>>,
    ) -> AttributeEditor<'a> {
        let mut editor = AttributeEditor {
            message,
            number,
            item,
            resource,
            scope,
            entries: SmallVec::new(),
            fresh: Vec::new(),
            encoded: Vec::new(),
            behind: 0,
            changed: false,
        };
        editor.load();
        editor
    }

    /// Turns to another message.
    pub(super) fn turn_to(&mut self, message: &'a [u8], number: u32, item: Item<'a>) {
        (self.message, self.number, self.item) = (message, number, item);
        self.entries.clear();
        self.fresh.clear();
        self.changed = false;
        self.load();
    }

    fn load(&mut self) {
        self.behind = self.message.len();
        for field in Fields::new(self.message).filter(|field| field.number == self.number) {
            let Some(content) = field.bytes() else {
                continue;
            };
            let from = field.end - content.len();
            let key = key_place(content);
            self.entries.push(Entry {
                original: Some((field.start, field.end)),
                content: Content::Message(from, field.end),
                key: (from + key.0, from + key.1),
            });
            self.behind = field.end;
        }
    }

    /// What the attributes belong to.
    #[must_use]
    pub fn item(&self) -> Item<'a> {
        self.item
    }

    /// The resource around them, as it came.
    #[must_use]
    pub fn resource(&self) -> view::Resource<'a> {
        self.resource
    }

    /// The scope around them, if they do not belong to a resource.
    #[must_use]
    pub fn scope(&self) -> Option<view::Scope<'a>> {
        self.scope
    }

    /// The value of `key` as it is now.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<AnyValue<'_>> {
        self.find(key).and_then(|index| self.entries.get(index)).map(|entry| self.view(entry).value())
    }

    /// The attributes as they are now.
    pub fn iter(&self) -> impl Iterator<Item = view::KeyValue<'_>> {
        self.entries.iter().filter(|entry| entry.content != Content::Removed).map(|entry| self.view(entry))
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

    /// Does any of it; a deletion takes no notice of the value.
    pub fn set(&mut self, action: Action, key: &str, value: &Value) {
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        if action != Action::Delete {
            write::message_field(&mut encoded, 2, |out| write::any_value(out, value));
        }
        self.act(action, key, &encoded);
        self.encoded = encoded;
    }

    /// Does any of it to `key` with the value that `from` has now, whatever it is; nothing if `from` is absent.
    pub fn copy(&mut self, action: Action, from: &str, key: &str) {
        let Some(entry) = self.find(from).and_then(|index| self.entries.get(index)) else {
            return;
        };
        let content = self.content(entry.content);
        let value = Fields::new(content).filter(|field| field.number == 2).last();
        let value = value.and_then(|field| field.bytes()).unwrap_or_default();
        let mut encoded = Vec::with_capacity(value.len() + 4);
        write::bytes_field(&mut encoded, 2, value);
        self.act(action, key, &encoded);
    }

    /// Removes `key`; tells whether it was there.
    pub fn delete(&mut self, key: &str) -> bool {
        let found = self.find(key);
        if let Some(index) = found {
            self.remove_from(index, key);
        }
        found.is_some()
    }

    /// Removes every attribute for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(view::KeyValue<'_>) -> bool) {
        for index in 0..self.entries.len() {
            let Some(entry) = self.entries.get(index).filter(|entry| entry.content != Content::Removed) else {
                continue;
            };
            if !keep(self.view(entry)) {
                self.remove(index);
            }
        }
    }

    /// Makes edits that were prepared.
    pub fn apply(&mut self, edits: &Edits) {
        self.fresh.reserve(edits.bytes());
        for edit in edits.iter() {
            self.act(edit.action, &edit.key, &edit.value);
        }
    }

    fn act(&mut self, action: Action, key: &str, value: &[u8]) {
        let found = self.find(key);
        match (action, found) {
            (Action::Insert | Action::Fill | Action::Upsert, None) => self.append(key, value),
            (Action::Update | Action::Upsert, Some(index)) => self.replace(index, key, value),
            (Action::Fill, Some(index)) if self.is_empty_text(index) => self.replace(index, key, value),
            (Action::Delete, Some(index)) => self.remove_from(index, key),
            _ => {}
        }
    }

    fn append(&mut self, key: &str, value: &[u8]) {
        let start = self.fresh.len();
        write::bytes_field(&mut self.fresh, 1, key.as_bytes());
        let key = (self.fresh.len() - key.len(), self.fresh.len());
        self.fresh.extend_from_slice(value);
        self.entries.push(Entry { original: None, content: Content::Fresh(start, self.fresh.len()), key });
        self.changed = true;
    }

    /// Gives an attribute another value, and keeps what else there may be in its `KeyValue`.
    fn replace(&mut self, index: usize, key: &str, value: &[u8]) {
        let Some(entry) = self.entries.get(index).copied() else {
            return;
        };
        let start = self.fresh.len();
        let old = match entry.content {
            Content::Message(start, end) => Cow::Borrowed(self.message.get(start..end).unwrap_or_default()),
            other => Cow::Owned(self.content(other).to_vec()),
        };
        for field in Fields::new(&old).filter(|field| field.number != 2) {
            self.fresh.extend_from_slice(old.get(field.start..field.end).unwrap_or_default());
        }
        self.fresh.extend_from_slice(value);
        let end = self.fresh.len();
        let place = key_place(self.fresh.get(start..end).unwrap_or_default());
        if let Some(entry) = self.entries.get_mut(index) {
            entry.content = Content::Fresh(start, end);
            entry.key = (start + place.0, start + place.1);
        }
        self.changed = true;
        self.remove_from(index + 1, key);
    }

    fn remove_from(&mut self, from: usize, key: &str) {
        for index in from..self.entries.len() {
            if self.is(index, key) {
                self.remove(index);
            }
        }
    }

    fn remove(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.content = Content::Removed;
            self.changed = true;
        }
    }

    fn find(&self, key: &str) -> Option<usize> {
        (0..self.entries.len()).find(|index| self.is(*index, key))
    }

    fn is(&self, index: usize, key: &str) -> bool {
        self.entries.get(index).is_some_and(|entry| {
            let source = match entry.content {
                Content::Message(..) => self.message,
                Content::Fresh(..) => &self.fresh,
                Content::Removed => return false,
            };
            source.get(entry.key.0..entry.key.1) == Some(key.as_bytes())
        })
    }

    fn is_empty_text(&self, index: usize) -> bool {
        self.entries.get(index).is_some_and(|entry| self.view(entry).value().as_str() == Some(""))
    }

    fn view(&self, entry: &Entry) -> view::KeyValue<'_> {
        view::KeyValue::new(self.content(entry.content))
    }

    fn content(&self, content: Content) -> &[u8] {
        match content {
            Content::Message(start, end) => self.message.get(start..end),
            Content::Fresh(start, end) => self.fresh.get(start..end),
            Content::Removed => None,
        }
        .unwrap_or_default()
    }

    /// Whether there is anything to write.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Notes the changes, for a message whose content starts at `base` in the request.
    pub(super) fn note(&self, base: usize, patches: &mut Patches) {
        if !self.changed {
            return;
        }
        patches.reserve(self.fresh.len() + 4 * self.entries.len());
        for entry in &self.entries {
            let (start, end) = entry.original.unwrap_or((self.behind, self.behind));
            match entry.content {
                Content::Message(..) => {}
                Content::Fresh(..) => {
                    let content = self.content(entry.content);
                    patches.replace(base + start, base + end, |out| write::bytes_field(out, self.number, content));
                }
                Content::Removed if start == end => {}
                Content::Removed => patches.replace(base + start, base + end, |_| {}),
            }
        }
    }
}

/// Where the key is in the content of a `KeyValue`; the last one if there are several.
fn key_place(content: &[u8]) -> (usize, usize) {
    // Nearly always the first field, with a length of one byte.
    if let [0x0a, len, rest @ ..] = content
        && *len < 0x80
        && let Some([0x12, ..]) = rest.get(usize::from(*len)..)
        && only_value_follows(rest.get(usize::from(*len) + 1..).unwrap_or_default())
    {
        return (2, 2 + usize::from(*len));
    }
    let key = Fields::new(content).filter(|field| field.number == 1).last();
    key.and_then(|field| field.bytes().map(|key| (field.end - key.len(), field.end))).unwrap_or((0, 0))
}

/// Whether a length of one byte and as many bytes as it says are all there is.
fn only_value_follows(rest: &[u8]) -> bool {
    matches!(rest, [len, value @ ..] if usize::from(*len) == value.len() && *len < 0x80)
}
