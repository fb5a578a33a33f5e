//! `group_by`: a file for each value of an attribute of the resources.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use wire::fields::Fields;
use wire::view::ResourceGroup;
use wire::{Chain, Signal};

use super::record::Record;
use super::rotation::Settings;
use super::writer::Writer;
use super::{Config, failed, make_folder_of};
use crate::pipeline::Outcome;

/// The files that are open, and how others are opened.
#[derive(Debug)]
pub(super) struct Groups {
    /// What stands before and behind the `*`.
    prefix: String,
    suffix: String,
    attribute: String,
    append: bool,
    rotation: Option<Settings>,
    folder_mode: u32,
    max_open: usize,
    /// The one used last at the end.
    open: Vec<Writer>,
    /// Hashes of the paths that were opened before, where files are emptied at first: these are not emptied again.
    seen: HashSet<u64>,
}

/// What goes to one file.
struct Group {
    segment: String,
    request: Chain,
    items: usize,
}

type Encode<'a> = dyn Fn(&Chain) -> io::Result<Record> + 'a;

impl Groups {
    pub(super) fn new(config: &Config, rotation: Option<Settings>, folder_mode: u32) -> Groups {
        let (prefix, suffix) = config.path.split_once('*').unwrap_or((&config.path, ""));
        let slash = if prefix.ends_with('/') && prefix != "/" { "/" } else { "" };
        Groups {
            prefix: clean(prefix) + slash,
            suffix: suffix.to_owned(),
            attribute: config.group_by.resource_attribute.clone(),
            append: config.append,
            rotation,
            folder_mode,
            max_open: config.group_by.max_open_files.max(1),
            open: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Writes each resource to its file. When some of it could not be written, that is what is missing.
    pub(super) fn write(&mut self, signal: Signal, body: &Chain, encode: &Encode<'_>) -> Outcome {
        let (groups, homeless) = self.divide(signal, &body.contiguous());
        let (mut rejected, mut written, mut failure) = (homeless, 0, None);
        for group in groups {
            let path = self.path_of(&group.segment);
            let record = encode(&group.request);
            match record.and_then(|record| self.writer(&path)?.write(&record)) {
                Ok(()) => written += 1,
                Err(error) => {
                    rejected += group.items;
                    failure.get_or_insert_with(|| failed(&path, &error));
                }
            }
        }
        match failure {
            Some(failure) if written == 0 && homeless == 0 => failure,
            Some(Outcome::Retry { error, .. } | Outcome::Refused { error, .. }) => {
                Outcome::Partial { rejected, message: error }
            }
            _ if rejected > 0 => {
                let message = format!("the resource has no text attribute {}, which names the file", self.attribute);
                Outcome::Partial { rejected, message }
            }
            _ => Outcome::Sent,
        }
    }

    /// The resources by value of the attribute, and how many items are in those that do not have it. A request is a list of
    /// them, so each part is a request too.
    fn divide(&self, signal: Signal, body: &Bytes) -> (Vec<Group>, usize) {
        let (mut groups, mut homeless) = (Vec::<Group>::new(), 0);
        for field in Fields::new(body).filter(|field| field.number == 1) {
            let (Some(content), Some(whole)) = (field.bytes(), body.get(field.start..field.end)) else { continue };
            let (request, items) = (body.slice_ref(whole), wire::count(signal, whole));
            let value = ResourceGroup::new(content).resource().attributes().get(&self.attribute);
            let Some(segment) = value.and_then(|value| value.as_str().map(str::to_owned)) else {
                homeless += items;
                continue;
            };
            match groups.iter_mut().find(|group| group.segment == segment) {
                Some(group) => {
                    group.request.push(request);
                    group.items += items;
                }
                None => groups.push(Group { segment, request: request.into(), items }),
            }
        }
        (groups, homeless)
    }

    /// The path with the value in it. Whatever the value is, the path stays below the prefix.
    fn path_of(&self, segment: &str) -> PathBuf {
        let path = clean(&format!("{}{segment}{}", self.prefix, self.suffix));
        if path.starts_with(&self.prefix) {
            return path.into();
        }
        // A path from the root has nothing above it, so here `..` leads nowhere.
        let below = clean(&format!("/{segment}{}", self.suffix));
        format!("{}{below}", self.prefix.trim_end_matches('/')).into()
    }

    fn writer(&mut self, path: &Path) -> io::Result<&mut Writer> {
        let writer = match self.open.iter().position(|writer| writer.path() == path) {
            Some(index) => self.open.remove(index),
            None => self.open_new(path)?,
        };
        self.open.push(writer);
        self.open.last_mut().ok_or_else(|| io::Error::other("no file is open"))
    }

    fn open_new(&mut self, path: &Path) -> io::Result<Writer> {
        if self.open.len() >= self.max_open {
            self.open.remove(0);
        }
        make_folder_of(path, self.folder_mode)?;
        let append = self.append || self.rotation.is_some() || !self.is_new(path);
        Writer::open(path, append, self.rotation.clone())
    }

    fn is_new(&mut self, path: &Path) -> bool {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        self.seen.insert(hasher.finish())
    }
}

/// A path without `.`, `..` and doubled slashes, by its text alone.
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if is_rooted => {}
            _ => parts.push(part),
        }
    }
    let path = parts.join("/");
    match (is_rooted, path.is_empty()) {
        (true, _) => format!("/{path}"),
        (false, true) => ".".to_owned(),
        (false, false) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Groups, clean};
    use crate::settings::read_text;

    #[test]
    fn a_path_stays_below_the_prefix_whatever_the_value() {
        let check = |path: &str, segment: &str, expected: &str| {
            let config = read_text(&format!("{{path: '{path}', group_by: {{enabled: true}}}}")).unwrap();
            let groups = Groups::new(&config, None, 0o755);
            assert_eq!(groups.path_of(segment).to_str().unwrap(), expected, "{path} with {segment}");
        };
        check("/data/*.json", "shop", "/data/shop.json");
        check("/data/*.json", "team/shop", "/data/team/shop.json");
        check("/data/*.json", "../../etc/passwd", "/data/etc/passwd.json");
        check("/data/*.json", "a/../../b", "/data/b.json");
        check("/data/*.json", "/absolute", "/data/absolute.json");
        check("/data/*.json", "", "/data/.json");
        check("/data/app-*.json", "x", "/data/app-x.json");
        check("/data/app-*.json", "/../../x", "/data/app-/x.json");
        check("out/*", "..", "out/");
        check("./out/*.json", "x", "out/x.json");
    }

    #[test]
    fn paths_are_remembered_only_where_files_are_emptied_at_first() {
        let folder = tempfile::tempdir().unwrap();
        let check = |more: &str, expected: usize| {
            let path = folder.path().join("*.json");
            let config: Config = read_text(&format!("{{path: '{}', {more}}}", path.display())).unwrap();
            let mut groups = Groups::new(&config, config.rotation.on().cloned(), 0o755);
            for team in ["a", "b", "c"] {
                groups.writer(&folder.path().join(team)).unwrap();
            }
            assert_eq!(groups.seen.len(), expected, "{more}");
        };
        check("group_by: {enabled: true, max_open_files: 1}", 3);
        check("group_by: {enabled: true, max_open_files: 1}, append: true", 0);
        check("group_by: {enabled: true, max_open_files: 1}, rotation: {}", 0);
    }

    #[test]
    fn paths_are_cleaned_by_their_text() {
        let check = |path: &str, expected: &str| assert_eq!(clean(path), expected);
        check("/a/./b//c/../d", "/a/b/d");
        check("/..", "/");
        check("../a", "../a");
        check("a/..", ".");
    }
}
