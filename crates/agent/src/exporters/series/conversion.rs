//! Which resource attributes become labels of every series.

use crate::settings::{Reader, settings};

settings! {
    /// Resource attributes as labels of every series. `enabled` takes all of them; `included` and `excluded` choose.
    pub struct Conversion {
        /// Makes a label of every resource attribute.
        pub enabled: bool = false,
        /// With `enabled`: leaves out `service.name`, `service.namespace` and `service.instance.id`, which are in `job` and
        /// `instance` anyway.
        pub exclude_service_attributes: bool = false,
        /// Keys of the attributes; `*` stands for any characters, `?` for one. Empty with `excluded`: all others.
        pub included: Vec<String> = Vec::new(),
        /// Keys of the attributes that are left out all the same.
        pub excluded: Vec<String> = Vec::new(),
    }
    check Conversion::check
}

/// The attributes that `job` and `instance` are made of.
pub const SERVICE_KEYS: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

impl Conversion {
    fn check(&self, cx: &mut Reader<'_>) {
        if (self.enabled || self.exclude_service_attributes) && self.chooses() {
            let what = "cannot configure both legacy enabled/exclude_service_attributes and included/excluded patterns";
            cx.error_at("enabled", what, "`included: [\"*\"]` is the same as `enabled: true`");
        }
    }

    /// Whether nothing is written here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.enabled && !self.exclude_service_attributes && !self.chooses()
    }

    fn chooses(&self) -> bool {
        !self.included.is_empty() || !self.excluded.is_empty()
    }

    /// Whether the resource attribute with this key becomes a label.
    #[must_use]
    pub fn takes(&self, key: &str) -> bool {
        if !self.chooses() {
            return self.enabled && !(self.exclude_service_attributes && SERVICE_KEYS.contains(&key));
        }
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, key));
        !any(&self.excluded) && (self.included.is_empty() || any(&self.included))
    }
}

/// Whether `text` is what `pattern` says: `*` is any characters, `?` is one.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let tails = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let rest = rest.as_str().trim_start_matches('*');
            rest.is_empty() || tails.into_iter().any(|at| text.get(at..).is_some_and(|tail| matches(rest, tail)))
        }
        Some(wanted) => {
            let mut text = text.chars();
            text.next().is_some_and(|c| wanted == '?' || wanted == c) && matches(rest.as_str(), text.as_str())
        }
    }
}
