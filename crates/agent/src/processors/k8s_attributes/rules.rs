//! Labels and annotations that become attributes.

use regex::Regex;

use super::config::{Extract, Rule};
use crate::kubernetes::{Kept, Keys};
use crate::settings::words;

words! {
    /// Whose labels and annotations.
    pub(super) enum From {
        /// The pod's.
        Pod = "pod",
        /// The namespace's.
        Namespace = "namespace",
        /// The deployment's.
        Deployment = "deployment",
        /// The replica set's.
        ReplicaSet = "replicaset",
        /// The stateful set's.
        StatefulSet = "statefulset",
        /// The daemon set's.
        DaemonSet = "daemonset",
        /// The job's.
        Job = "job",
        /// The cron job's.
        CronJob = "cronjob",
        /// The node's.
        Node = "node",
    }
}

/// Labels or annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Label,
    Annotation,
}

/// All rules.
#[derive(Debug)]
pub(super) struct Rules {
    labels: Vec<FieldRule>,
    annotations: Vec<FieldRule>,
}

/// One rule, ready.
#[derive(Debug)]
struct FieldRule {
    from: From,
    keys: Matcher,
    /// The attribute; empty for the usual name.
    name: String,
}

/// Which keys a rule is for.
#[derive(Debug)]
enum Matcher {
    Key(String),
    /// The expression for whole keys, and as it was written.
    Pattern(Regex, String),
}

/// The pattern of a rule: it matches whole keys.
///
/// # Errors
/// It is not a regular expression.
pub(super) fn pattern(text: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{text})$"))
}

impl From {
    /// Whose, as a rule says it; nothing said is the pod's.
    #[must_use]
    pub(super) fn parse(text: &str) -> Option<From> {
        let text = if text.is_empty() { "pod" } else { text };
        From::WORDS.iter().find(|(word, _)| *word == text).map(|(_, from)| *from)
    }
}

impl Rules {
    /// Makes the rules ready; reading the settings has checked them.
    pub(super) fn new(extract: &Extract) -> Rules {
        let compile = |rules: &[Rule]| rules.iter().filter_map(FieldRule::new).collect::<Vec<_>>();
        let mut annotations = compile(&extract.annotations);
        if extract.otel_annotations {
            let rule = Rule {
                tag_name: "$1".to_owned(),
                key_regex: r"resource\.opentelemetry\.io/(.+)".to_owned(),
                ..Rule::default()
            };
            annotations.extend(FieldRule::new(&rule));
        }
        Rules { labels: compile(&extract.labels), annotations }
    }

    fn of(&self, kind: Kind) -> &[FieldRule] {
        match kind {
            Kind::Label => &self.labels,
            Kind::Annotation => &self.annotations,
        }
    }

    /// Which labels or annotations of these objects the rules look at.
    pub(super) fn keys(&self, kind: Kind, from: From) -> Keys {
        let of = self.of(kind).iter().filter(|rule| rule.from == from);
        of.map(FieldRule::keys).fold(Keys::none(), Keys::and)
    }

    /// Whether there is a rule for labels or annotations of this.
    pub(super) fn have(&self, from: From) -> bool {
        self.labels.iter().chain(&self.annotations).any(|rule| rule.from == from)
    }

    /// Hands each attribute that labels or annotations of an object give to `put`, in the order of the rules; a later
    /// one for the same attribute takes the place of an earlier one.
    pub(super) fn apply(&self, kind: Kind, from: From, pairs: &Kept, put: &mut dyn FnMut(&str, &str)) {
        for rule in self.of(kind).iter().filter(|rule| rule.from == from) {
            rule.apply(kind, pairs, put);
        }
    }
}

impl FieldRule {
    fn new(rule: &Rule) -> Option<FieldRule> {
        let keys = match (rule.key.as_str(), rule.key_regex.as_str()) {
            ("", "") => return None,
            (key, "") => Matcher::Key(key.to_owned()),
            (_, expression) => Matcher::Pattern(pattern(expression).ok()?, expression.to_owned()),
        };
        Some(FieldRule { from: From::parse(&rule.from)?, keys, name: rule.tag_name.clone() })
    }

    fn keys(&self) -> Keys {
        match &self.keys {
            Matcher::Key(key) => Keys::exact([key.clone()]),
            // Checked when it was read; nothing is kept for one that is none.
            Matcher::Pattern(_, written) => Keys::pattern(written).unwrap_or_default(),
        }
    }

    fn apply(&self, kind: Kind, pairs: &Kept, put: &mut dyn FnMut(&str, &str)) {
        match &self.keys {
            Matcher::Key(key) => match pairs.get(key) {
                Some(value) if self.name.is_empty() => put(&self.usual_name(kind, key), value),
                Some(value) => put(&self.name, value),
                None => {}
            },
            Matcher::Pattern(pattern, _) => {
                for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
                    if let Some(found) = pattern.captures(key) {
                        put(&self.expanded(kind, key, &found), value);
                    }
                }
            }
        }
    }

    /// A name without a group to refer to is not used, as in the Collector: every key would give the same attribute.
    fn expanded(&self, kind: Kind, key: &str, found: &regex::Captures<'_>) -> String {
        if self.name.is_empty() || found.len() < 2 {
            return self.usual_name(kind, key);
        }
        let mut name = String::new();
        found.expand(&self.name, &mut name);
        name
    }

    fn usual_name(&self, kind: Kind, key: &str) -> String {
        let kind = match kind {
            Kind::Label => "label",
            Kind::Annotation => "annotation",
        };
        format!("k8s.{}.{kind}.{key}", self.from)
    }
}
