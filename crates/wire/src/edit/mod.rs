//! Editing attributes inside the bytes of a request.
//!
//! [`splice`] makes fixed edits to every resource: what the processors on the main road do. [`edit`] hands each
//! attribute list, of resources, scopes or items, to a function. Either way only the attributes that change and the
//! lengths around them are written; all other bytes, unknown fields among them, stay as they came.
//!
//! A resource given twice is merged into one, as protobuf says, but only if it changes. A resource that is missing is
//! made when something is put into it. A scope given twice is edited part by part. Counts of dropped attributes are left alone: they say what the sender dropped.

mod editor;
mod edits;
mod items;
mod resources;

pub use editor::{AttributeEditor, Item};
pub use edits::{Action, Edits};

use crate::patch::Patches;
use crate::{Chain, Signal};

/// Whose attributes are edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Of every resource.
    Resource,
    /// Of every instrumentation scope that is there.
    Scope,
    /// Of every span, log record or data point.
    Item,
}

/// Makes these edits to the attributes of every resource.
#[must_use]
pub fn splice(signal: Signal, request: &Chain, edits: &Edits) -> Chain {
    if edits.is_empty() {
        return request.clone();
    }
    edit(signal, request, Level::Resource, &mut |editor| editor.apply(edits))
}

/// Shows every attribute list of a level to `f`, which may change it.
pub fn edit(signal: Signal, request: &Chain, level: Level, f: &mut dyn FnMut(&mut AttributeEditor<'_>)) -> Chain {
    let mut patches = Patches::default();
    match level {
        Level::Resource => resources::edit(request, &mut patches, f),
        Level::Scope => items::edit_scopes(&request.contiguous(), &mut patches, f),
        Level::Item => items::edit_items(signal, &request.contiguous(), &mut patches, f),
    }
    patches.apply(request)
}

#[cfg(test)]
mod tests;
