//! Where series come from: the resources, and what a resource and a scope give to each of their series.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use wire::view::{Attributes, Scope};

use super::labels::Pairs;
use super::reports::LONGEST_NAME;
use super::rules::Rules;
use crate::exporters::series::labels::{Label, LabelSet};
use crate::exporters::series::names::BadName;
use crate::exporters::series::resource::{self, Identity};
use crate::telemetry::cut;
use crate::telemetry::exposition::text::is_classic_name;

/// A resource.
#[derive(Debug)]
pub(super) struct Source {
    /// What it is called in logs and metrics: `namespace/pod`, or what else is known of it.
    pub(super) name: String,
    /// `job` and `instance`.
    pub(super) identity: Identity,
    /// The labels of its `target_info`.
    pub(super) target: Pairs,
    /// How many series it has made that are there.
    pub(super) series: AtomicU32,
    /// When it last sent something, in ticks of the table.
    pub(super) seen: AtomicU32,
}

/// What a resource and a scope give to each of their series.
#[derive(Debug)]
pub(super) struct Base {
    /// Tells it from the others.
    pub(super) id: u32,
    pub(super) source: Arc<Source>,
    /// The labels that all of its series have.
    pub(super) pairs: Pairs,
    /// Some of their names are not classic.
    pub(super) odd: bool,
    /// The same labels, to be joined with those of a data point.
    template: LabelSet,
    finished: Vec<Label>,
}

/// The labels of a new series.
pub(super) struct Labelled {
    /// All labels, sorted.
    pub(super) all: Vec<Label>,
    /// Those that the base does not have; all of them if `whole`.
    pub(super) own: Pairs,
    /// The labels of the base do not stand in this series as they are, because an attribute has the same name as one of
    /// them.
    pub(super) whole: bool,
    /// Some names of `own` are not classic.
    pub(super) odd: bool,
}

impl Source {
    pub(super) fn new(rules: &Rules, attributes: &Attributes<'_>) -> Result<Source, BadName> {
        let identity = Identity::of(attributes);
        let target = resource::target_info(&rules.namer, &identity, attributes.clone())?;
        Ok(Source {
            name: name_of(attributes),
            identity,
            target: Pairs::new(&target),
            series: AtomicU32::new(0),
            seen: AtomicU32::new(0),
        })
    }

    pub(super) fn size(&self) -> usize {
        size_of::<Source>() + self.name.len() + self.target.size() + 64
    }

    pub(super) fn has_series(&self) -> bool {
        self.series.load(Relaxed) > 0
    }
}

/// What people know a resource by.
fn name_of(attributes: &Attributes<'_>) -> String {
    let get = |key: &str| attributes.get(key).map(|value| value.to_string()).filter(|value| !value.is_empty());
    let name = match (get("k8s.namespace.name"), get("k8s.pod.name")) {
        (Some(namespace), Some(pod)) => Some(format!("{namespace}/{pod}")),
        (None, pod) => pod,
        (Some(_), None) => None,
    };
    let others = ["service.instance.id", "host.name", "service.name"];
    let mut name = name.or_else(|| others.into_iter().find_map(get)).unwrap_or_else(|| "unknown".to_owned());
    name.truncate(cut(&name, LONGEST_NAME).len());
    name
}

impl Base {
    pub(super) fn new(
        rules: &Rules,
        id: u32,
        source: Arc<Source>,
        attributes: Attributes<'_>,
        (scope, schema_url): (&Scope<'_>, &str),
    ) -> Result<Base, BadName> {
        let mut template = LabelSet::default();
        template.reserve_internal();
        resource::convert(&mut template, &rules.namer, &rules.conversion, attributes)?;
        rules.constant.iter().for_each(|(name, value)| template.set(name, value));
        source.identity.set_in(&mut template);
        if rules.scope_info {
            resource::scope(&mut template, &rules.namer, scope, schema_url)?;
        }
        let finished = template.clone().finish();
        let pairs = Pairs::new(&finished);
        Ok(Base { id, source, pairs, odd: odd(&finished), template, finished })
    }

    /// The labels of a series of a data point with these attributes. `reserved` is the label that the format adds.
    pub(super) fn label(
        &self,
        rules: &Rules,
        attributes: Attributes<'_>,
        reserved: Option<&'static str>,
    ) -> Result<Labelled, BadName> {
        let mut set = LabelSet::default();
        reserved.into_iter().for_each(|name| set.reserve(name));
        set.attributes(&rules.namer, attributes)?;
        set.extend(&self.template);
        let all = set.finish();
        let of_base = |label: &&Label| self.finished.binary_search(label).is_ok();
        let shared = all.iter().filter(of_base).count();
        let whole = shared != self.finished.len();
        let own: Vec<&Label> = all.iter().filter(|label| whole || !of_base(label)).collect();
        let odd = own.iter().any(|label| !is_classic_name(&label.name));
        let own = Pairs::new(own);
        Ok(Labelled { all, own, whole, odd })
    }

    pub(super) fn size(&self) -> usize {
        let strings: usize = self.finished.iter().map(|label| label.name.len() + label.value.len() + 48).sum();
        size_of::<Base>() + self.pairs.size() + 3 * strings + 64
    }
}

fn odd(labels: &[Label]) -> bool {
    labels.iter().any(|label| !is_classic_name(&label.name))
}
