//! Where pods are learnt from.

use std::path::PathBuf;
use std::time::Duration;

use super::manifest::PodManifest;

/// How a directory is fed. Equal sources share one directory within an agent: one list and one watch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// From where.
    pub feed: Feed,
    /// Which pods.
    pub filter: Filter,
    /// For how long an ended pod can still be found by UID, container and name.
    pub grace: Duration,
}

/// From where pods are learnt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Feed {
    /// The API server: a list, then a watch.
    Api {
        /// Who we are.
        auth: Auth,
        /// How often it may be asked.
        rate: Rate,
    },
    /// The node's kubelet, asked again and again.
    Kubelet(KubeletSettings),
    /// A file with pods, as `kubectl get pods -o yaml` (or `json`) writes it. It is read again when it changes.
    File(PathBuf),
}

/// Who the agent is for the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// The pod's service account.
    ServiceAccount,
    /// A kubeconfig file: that of `KUBECONFIG`, or `~/.kube/config`.
    KubeConfig {
        /// The context; none: the current one.
        context: Option<String>,
    },
}

/// How often the API server may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Thousandths of a request per second.
    per_kilosecond: u32,
    /// So many at once.
    burst: u32,
}

/// How to ask a kubelet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KubeletSettings {
    /// Its base address: `https://192.0.2.11:10250`.
    pub endpoint: String,
    /// File with the authorities that sign its certificate (PEM); none: those of the service account.
    pub ca_file: Option<PathBuf>,
    /// Takes any certificate: kubelets often sign their own.
    pub insecure_skip_verify: bool,
    /// File with the token to show; none: the service account's.
    pub token_file: Option<PathBuf>,
    /// How long to wait between two questions.
    pub poll_interval: Duration,
}

/// Which pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Those of this node; none: those of all nodes.
    pub node: Option<String>,
    /// Those of this namespace; none: those of all.
    pub namespace: Option<String>,
    /// Those with these labels.
    pub labels: Vec<LabelFilter>,
    /// Those with these fields.
    pub fields: Vec<FieldFilter>,
}

/// What a label of a pod has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LabelFilter {
    /// Its key.
    pub key: String,
    /// What it has to be.
    pub op: LabelOp,
}

/// What a label has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LabelOp {
    /// This value.
    Equals(String),
    /// Not this value, or not there.
    NotEquals(String),
    /// There.
    Exists,
    /// Not there.
    DoesNotExist,
}

/// What a field of a pod has to be: one that the API server can select by, such as `status.phase`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldFilter {
    /// The path of the field.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Whether it must be this value, or must not.
    pub equals: bool,
}

/// The grace period of the Collector, and ours.
pub const GRACE: Duration = Duration::from_mins(2);

impl Source {
    /// The pods of a node as the pod's service account sees them.
    #[must_use]
    pub fn of_node(node: &str) -> Self {
        let filter = Filter { node: Some(node.to_owned()), ..Filter::default() };
        Self { feed: Feed::Api { auth: Auth::ServiceAccount, rate: Rate::default() }, filter, grace: GRACE }
    }
}

impl Rate {
    /// So many requests per second, and so many at once. At least one in a thousand seconds, and one at once.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, as it shall")]
    pub fn new(per_second: f64, burst: u32) -> Self {
        Self { per_kilosecond: ((per_second * 1000.0) as u32).max(1), burst: burst.max(1) }
    }

    /// Time between two requests.
    pub(super) fn interval(self) -> Duration {
        Duration::from_secs(1000) / self.per_kilosecond
    }

    /// So many at once.
    pub(super) fn burst(self) -> u32 {
        self.burst
    }
}

impl Default for Rate {
    /// The Collector's: 5 per second, 10 at once.
    fn default() -> Self {
        Self::new(5.0, 10)
    }
}

impl Filter {
    /// As the API server wants it; none where nothing is selected.
    pub(super) fn field_selector(&self) -> Option<String> {
        let node = self.node.iter().map(|node| format!("spec.nodeName={node}"));
        let fields = self.fields.iter().map(|field| {
            let op = if field.equals { "=" } else { "!=" };
            format!("{}{op}{}", field.key, escaped(&field.value))
        });
        joined(node.chain(fields))
    }

    /// As the API server wants it; none where nothing is selected.
    pub(super) fn label_selector(&self) -> Option<String> {
        joined(self.labels.iter().map(|label| match &label.op {
            LabelOp::Equals(value) => format!("{}={value}", label.key),
            LabelOp::NotEquals(value) => format!("{}!={value}", label.key),
            LabelOp::Exists => label.key.clone(),
            LabelOp::DoesNotExist => format!("!{}", label.key),
        }))
    }

    /// Whether it takes a pod that nobody selected for us: a kubelet gives all of its pods, a file all that are in it.
    /// Fields other than the node are the API server's alone and are not looked at.
    pub(super) fn takes(&self, pod: &PodManifest) -> bool {
        let node = self.node.as_deref().is_none_or(|node| pod.node() == Some(node));
        let namespace = self.namespace.as_deref().is_none_or(|namespace| pod.namespace() == Some(namespace));
        node && namespace
            && self.labels.iter().all(|label| {
                let found = pod.label(&label.key);
                match &label.op {
                    LabelOp::Equals(value) => found == Some(value),
                    LabelOp::NotEquals(value) => found != Some(value),
                    LabelOp::Exists => found.is_some(),
                    LabelOp::DoesNotExist => found.is_none(),
                }
            })
    }
}

fn joined(parts: impl Iterator<Item = String>) -> Option<String> {
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// A value in a field selector: backslash, comma and equals sign have a meaning there.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_as_the_api_server_reads_them() {
        let filter = Filter {
            node: Some("node-a".into()),
            namespace: None,
            labels: vec![
                LabelFilter { key: "app".into(), op: LabelOp::Equals("shop".into()) },
                LabelFilter { key: "tier".into(), op: LabelOp::NotEquals("x".into()) },
                LabelFilter { key: "a/b".into(), op: LabelOp::Exists },
                LabelFilter { key: "c".into(), op: LabelOp::DoesNotExist },
            ],
            fields: vec![FieldFilter { key: "status.phase".into(), value: "a,b=c".into(), equals: false }],
        };
        assert_eq!(filter.field_selector().unwrap(), "spec.nodeName=node-a,status.phase!=a\\,b\\=c");
        assert_eq!(filter.label_selector().unwrap(), "app=shop,tier!=x,a/b,!c");
        assert_eq!(Filter::default().field_selector(), None);
        assert_eq!(Filter::default().label_selector(), None);
    }

    #[test]
    fn a_filter_takes_of_other_feeds_what_the_api_server_would_select() {
        let pod: PodManifest = serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": "shop", "labels": {"app": "web"}}, "spec": {"nodeName": "node-a"}
        }))
        .unwrap();
        let check = |expected: bool, change: &dyn Fn(&mut Filter)| {
            let mut filter = Filter { node: Some("node-a".into()), ..Filter::default() };
            change(&mut filter);
            assert_eq!(filter.takes(&pod), expected, "{filter:?}");
        };
        check(true, &|_| ());
        check(false, &|filter| filter.node = Some("node-b".into()));
        check(true, &|filter| filter.namespace = Some("shop".into()));
        check(false, &|filter| filter.namespace = Some("other".into()));
        let label = |key: &str, op: LabelOp| vec![LabelFilter { key: key.into(), op }];
        check(true, &|filter| filter.labels = label("app", LabelOp::Equals("web".into())));
        check(false, &|filter| filter.labels = label("app", LabelOp::NotEquals("web".into())));
        check(true, &|filter| filter.labels = label("tier", LabelOp::NotEquals("web".into())));
        check(false, &|filter| filter.labels = label("tier", LabelOp::Exists));
        check(true, &|filter| filter.labels = label("tier", LabelOp::DoesNotExist));
    }

    #[test]
    fn a_rate_is_a_time_between_requests() {
        assert_eq!(Rate::default().interval(), Duration::from_millis(200));
        assert_eq!(Rate::new(0.5, 0).interval(), Duration::from_secs(2));
        assert_eq!(Rate::new(-1.0, 0).burst(), 1);
    }
}
