//! Resource attributes, in a request that may lie in many slices.

use smallvec::SmallVec;

use super::editor::{AttributeEditor, Item};
use crate::Chain;
use crate::cursor::{Cursor, Header};
use crate::patch::Patches;
use crate::{view, write};

/// Field number of the groups in a request, of the resource in a group, and of the attributes in a resource.
const FIELD: u32 = 1;

/// Notes the changes that `f` makes to the resources of a request.
pub(super) fn edit(request: &Chain, patches: &mut Patches, f: &mut dyn FnMut(&mut AttributeEditor<'_>)) {
    let mut cursor = Cursor::new(request);
    while let Some(group) = cursor.header() {
        if group.number == FIELD && group.delimited {
            let open = patches.open(group.length, group.content, group.end);
            edit_group(&mut cursor, &group, patches, f);
            patches.close(&open);
        }
        cursor.seek(group.end);
    }
}

fn edit_group(
    cursor: &mut Cursor<'_>,
    group: &Header,
    patches: &mut Patches,
    f: &mut dyn FnMut(&mut AttributeEditor<'_>),
) {
    // The resource may stand behind what came from it, so the whole level is looked at.
    let mut resources: SmallVec<[(Header, Cursor<'_>); 2]> = SmallVec::new();
    while cursor.position() < group.end {
        let Some(field) = cursor.header() else {
            break;
        };
        if field.number == FIELD && field.delimited {
            resources.push((field, cursor.clone()));
        }
        cursor.seek(field.end);
    }
    match resources.as_mut_slice() {
        [] => create(group, patches, f),
        [(field, content)] => edit_one(field, &content.take(field.end - field.content), patches, f),
        many => merge(many, patches, f),
    }
}

fn edit_one(field: &Header, content: &[u8], patches: &mut Patches, f: &mut dyn FnMut(&mut AttributeEditor<'_>)) {
    let mut editor = editor(content);
    f(&mut editor);
    if editor.is_changed() {
        let open = patches.open(field.length, field.content, field.end);
        editor.note(field.content, patches);
        patches.close(&open);
    }
}

/// Makes a resource in front of all else in the group.
fn create(group: &Header, patches: &mut Patches, f: &mut dyn FnMut(&mut AttributeEditor<'_>)) {
    let made = rewrite(&[], f);
    if let Some(made) = made.filter(|made| !made.is_empty()) {
        patches.replace(group.content, group.content, |out| write::bytes_field(out, FIELD, &made));
    }
}

/// Merges several resources into one in the place of the first: what stands one behind the other is merged in protobuf.
fn merge(resources: &mut [(Header, Cursor<'_>)], patches: &mut Patches, f: &mut dyn FnMut(&mut AttributeEditor<'_>)) {
    let mut merged = Vec::new();
    for (field, content) in resources.iter_mut() {
        merged.extend_from_slice(&content.take(field.end - field.content));
    }
    let Some(changed) = rewrite(&merged, f) else {
        return;
    };
    for (index, (field, _)) in resources.iter().enumerate() {
        patches.replace(field.start, field.end, |out| {
            if index == 0 {
                write::bytes_field(out, FIELD, &changed);
            }
        });
    }
}

/// The content of a resource after `f`, or `None` if nothing changed.
fn rewrite(content: &[u8], f: &mut dyn FnMut(&mut AttributeEditor<'_>)) -> Option<Vec<u8>> {
    let mut editor = editor(content);
    f(&mut editor);
    if !editor.is_changed() {
        return None;
    }
    let mut patches = Patches::default();
    editor.note(0, &mut patches);
    Some(patches.apply(&Chain::from(content.to_vec())).to_vec())
}

fn editor(content: &[u8]) -> AttributeEditor<'_> {
    AttributeEditor::new(content, FIELD, Item::Resource, view::Resource::new(content), None)
}
