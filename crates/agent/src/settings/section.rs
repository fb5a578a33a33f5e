//! The macros `settings!` (a section with known keys) and `words!` (one of a closed list of words), and what they
//! stand on. The macros only list; the work is done in plain functions here.

use crate::settings::nearest::nearest;
use crate::settings::node::{Entry, Node, Yaml};
use crate::settings::setting::{FieldDoc, Reader, SectionDoc, Setting, Shape};

/// The known keys of a section.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Keys with an effect.
    pub known: &'static [&'static str],
    /// Keys of the Collector that are refused, with what to do instead.
    pub unsupported: &'static [(&'static str, &'static str)],
    /// Keys of the Collector that are accepted and change nothing, with the reason.
    pub ignored: &'static [(&'static str, &'static str)],
    /// Keys that the Collector had once and refuses now, with what to write instead.
    pub removed: &'static [(&'static str, &'static str)],
}

impl Listing {
    /// Checks that `node` is a mapping (or null) whose keys are all known. Returns whether its keys can be read.
    pub fn admit(&self, node: &Node, cx: &mut Reader<'_>) -> bool {
        let Yaml::Map(entries) = &node.value else {
            if !node.is_null() {
                let first = self.known.first().copied().unwrap_or("key");
                cx.unexpected(&Shape::plain("a mapping", &format!("{first}: …")));
            }
            return node.is_null();
        };
        let mut admitted = true;
        for entry in entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            admitted &= self.admit_unknown(entry, cx);
        }
        admitted
    }

    fn admit_unknown(&self, entry: &Entry, cx: &mut Reader<'_>) -> bool {
        let of = |list: &'static [(&'static str, &'static str)]| list.iter().find(|(key, _)| *key == entry.key);
        if let Some((key, reason)) = of(self.ignored) {
            cx.note_in(entry.place, key, format!("`{key}` is accepted and has no effect: {reason}"), "");
            return true;
        }
        if let Some((key, instead)) = of(self.unsupported) {
            let what = format!("the Collector has the key `{key}`, otel-agent does not yet");
            cx.error_in(entry.place, key, what, *instead);
            return false;
        }
        if let Some((key, instead)) = of(self.removed) {
            cx.error_in(entry.place, key, format!("the Collector has removed the key `{key}`"), *instead);
            return false;
        }
        let remedy = match nearest(&entry.key, self.known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.known.is_empty() => "there are no keys here; remove it".to_owned(),
            None => format!("known keys here: {}", self.known.join(", ")),
        };
        cx.error_in(entry.place, &entry.key, format!("unknown key `{}`", entry.key), remedy);
        false
    }
}

/// Reads one key of a section over its default.
pub fn read_field<T: Setting>(node: &Node, key: &str, default: T, cx: &mut Reader<'_>) -> Option<T> {
    match node.entry(key) {
        Some(entry) => T::read_over(default, &entry.value, &mut cx.inside(entry)),
        None => Some(default),
    }
}

/// Reads one key of a section that must be there.
pub fn read_required<T: Setting>(node: &Node, key: &str, cx: &mut Reader<'_>) -> Option<T> {
    match node.entry(key) {
        Some(entry) if !entry.value.is_null() => T::read(&entry.value, &mut cx.inside(entry)),
        _ => {
            let shape = T::shape();
            cx.error_at(key, format!("`{key}` is missing"), format!("add `{key}: {}`", shape.example));
            None
        }
    }
}

/// Joins the lines of a doc comment.
#[must_use]
pub fn doc_text(lines: &[&str]) -> String {
    lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The reference entry of one key.
#[must_use]
pub fn field_doc<T: Setting>(key: &'static str, doc: &[&str], default: Option<&T>) -> FieldDoc {
    FieldDoc {
        key,
        doc: doc_text(doc),
        shape: T::shape(),
        default: default.and_then(Setting::write),
        required: default.is_none(),
    }
}

/// The shape of a section.
#[must_use]
pub fn section_shape(listing: &Listing, doc: &[&str], fields: Vec<FieldDoc>) -> Shape {
    let example = listing.known.first().map_or_else(|| "{}".to_owned(), |key| format!("{{{key}: …}}"));
    let (unsupported, ignored) = (listing.unsupported, listing.ignored);
    let section = Some(SectionDoc { doc: doc_text(doc), fields, unsupported, ignored });
    Shape { name: "a mapping".to_owned(), example, section }
}

/// The entry of a key in a mapping that is being written.
pub fn write_field<T: Setting>(key: &str, value: &T) -> Option<Entry> {
    value.write().map(|value| Entry::unwritten(key, value))
}

/// Reads one of a closed list of words, in any case.
pub fn read_word<T: Copy>(words: &[(&str, T)], node: &Node, cx: &mut Reader<'_>, shape: &Shape) -> Option<T> {
    let Some(text) = node.text() else {
        match &node.value {
            Yaml::Map(_) | Yaml::Seq(_) | Yaml::Null => cx.unexpected(shape),
            _ => cx.error(format!("expected {}, found {}", shape.name, node.in_words()), "put it in quotes"),
        }
        return None;
    };
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    if found.is_none() {
        let list: Vec<&str> = words.iter().map(|(word, _)| if word.is_empty() { "\"\"" } else { *word }).collect();
        let what = format!("expected one of {}, found {}", list.join(", "), node.in_words());
        let remedy = nearest(text, list).map_or_else(String::new, |near| format!("did you mean `{near}`?"));
        cx.error(what, remedy);
    }
    found.map(|(_, value)| *value)
}

/// A section with known keys, from one listing.
///
/// ```text
/// settings! {
///     /// What the section is for.
///     pub struct Config {
///         /// What it changes. When to touch it.
///         pub timeout: GoDuration = GoDuration::millis(200),
///         /// A key without a default must be written.
///         required pub path: String,
///     }
///     unsupported { "balancer_name" => "remove it; connections are balanced by the resolver" }
///     ignored { "min_gc_interval" => "there is no garbage collector here" }
///     removed { "address" => "write `readers`" }
///     check Config::check
/// }
/// ```
///
/// It yields the struct (Debug, Clone, PartialEq), `Default`, `Setting`, and the reference page. `unsupported`,
/// `ignored`, `removed` and `check` may be left out, but stand in this order. `check` names a function
/// `fn(&Config, &mut Reader<'_>)` that is called once all keys are read; it reports with `cx.error_at("key", …)`.
/// A keyword is listed as `r#type`.
macro_rules! settings {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $(required)? pub $field:ident : $type:ty $(= $default:expr)? ),* $(,)?
        }
        $(unsupported { $($refused:literal => $instead:literal),* $(,)? })?
        $(ignored { $($without_effect:literal => $reason:literal),* $(,)? })?
        $(removed { $($gone:literal => $now:literal),* $(,)? })?
        $(check $check:path)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $field_doc])* pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $crate::settings::section::default_of!($type $(, $default)?), )* }
            }
        }

        impl $name {
            /// The keys of this section.
            $vis const LISTING: $crate::settings::Listing = $crate::settings::Listing {
                known: &[$( $crate::settings::section::key_of(stringify!($field)) ),*],
                unsupported: &[$( $( ($refused, $instead) ),* )?],
                ignored: &[$( $( ($without_effect, $reason) ),* )?],
                removed: &[$( $( ($gone, $now) ),* )?],
            };
        }

        impl $crate::settings::Setting for $name {
            fn read(
                node: &$crate::settings::Node,
                cx: &mut $crate::settings::Reader<'_>,
            ) -> Option<Self> {
                Self::read_over(Self::default(), node, cx)
            }

            fn read_over(
                base: Self,
                node: &$crate::settings::Node,
                cx: &mut $crate::settings::Reader<'_>,
            ) -> Option<Self> {
                let _ = &base; // unused when every key is required
                let admitted = Self::LISTING.admit(node, cx);
                $( let $field = $crate::settings::section::read_of!(base.$field, node, $field, cx $(, $default)?); )*
                if !admitted {
                    return None;
                }
                let read = Self { $( $field: $field?, )* };
                $( $check(&read, cx); )?
                Some(read)
            }

            fn write(&self) -> Option<$crate::settings::Yaml> {
                let entries: Vec<Option<$crate::settings::Entry>> = vec![$(
                    $crate::settings::section::write_field(
                        $crate::settings::section::key_of(stringify!($field)),
                        &self.$field,
                    )
                ),*];
                Some($crate::settings::Yaml::Map(entries.into_iter().flatten().collect()))
            }

            fn shape() -> $crate::settings::Shape {
                let fields = vec![$( $crate::settings::section::field_doc::<$type>(
                    $crate::settings::section::key_of(stringify!($field)),
                    &[$($field_doc),*],
                    $crate::settings::section::default_for_docs!($type $(, $default)?),
                ) ),*];
                $crate::settings::section::section_shape(&Self::LISTING, &[$($doc),*], fields)
            }
        }
    };
}

/// The default of a key: what is listed, or the type's own for a required key.
macro_rules! default_of {
    ($type:ty) => {
        <$type>::default()
    };
    ($type:ty, $default:expr) => {
        $default
    };
}

/// Reads a key: over its default, or required.
macro_rules! read_of {
    ($base:expr, $node:expr, $field:ident, $cx:expr) => {
        $crate::settings::section::read_required($node, $crate::settings::section::key_of(stringify!($field)), $cx)
    };
    ($base:expr, $node:expr, $field:ident, $cx:expr, $default:expr) => {
        $crate::settings::section::read_field($node, $crate::settings::section::key_of(stringify!($field)), $base, $cx)
    };
}

/// The default as the reference shows it: none for a required key.
macro_rules! default_for_docs {
    ($type:ty) => {
        None
    };
    ($type:ty, $default:expr) => {
        Some(&$default)
    };
}

/// The key that a field stands for: `r#type` is `type`.
#[must_use]
pub const fn key_of(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// One of a closed list of words, read in any case.
///
/// ```text
/// words! {
///     /// How much is written.
///     #[derive(Default)]
///     pub enum Verbosity {
///         /// One line a request.
///         #[default]
///         Basic = "basic",
///         /// Everything.
///         Detailed = "detailed",
///     }
/// }
/// ```
///
/// It yields the enum (Debug, Clone, Copy, PartialEq, Eq, Hash), `Setting`, `as_str` and `Display`.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $word:literal $(| $also:literal)* ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name {
            $( $(#[$variant_meta])* $variant, )*
        }

        impl $name {
            /// The words and what they stand for.
            $vis const WORDS: &'static [(&'static str, $name)] =
                &[$( ($word, $name::$variant) $(, ($also, $name::$variant))* ),*];

            /// The word for it.
            #[must_use]
            $vis fn as_str(self) -> &'static str {
                match self {
                    $( $name::$variant => $word, )*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::settings::Setting for $name {
            fn read(
                node: &$crate::settings::Node,
                cx: &mut $crate::settings::Reader<'_>,
            ) -> Option<Self> {
                $crate::settings::section::read_word(Self::WORDS, node, cx, &Self::shape())
            }

            fn write(&self) -> Option<$crate::settings::Yaml> {
                Some($crate::settings::Yaml::Str(self.as_str().to_owned()))
            }

            fn shape() -> $crate::settings::Shape {
                let words = [$($word),*];
                let name = format!("one of {}", words.map(|word| format!("`{word}`")).join(", "));
                $crate::settings::Shape::plain(&name, words[0])
            }
        }
    };
}

pub(crate) use {default_for_docs, default_of, read_of, settings, words};
