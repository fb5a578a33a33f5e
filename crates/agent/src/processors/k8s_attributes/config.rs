//! What a person writes: the Collector's keys, its defaults, its checks and its words, and a few keys of our own.

use super::fields::Field;
use super::node::{self, Flaw};
use super::rules::{self, From};
use crate::settings::{GoDuration, Reader, settings, words};

settings! {
    /// Says which pod, deployment, namespace and node data comes from. The pod is found by the address that the data
    /// came from, or by attributes of the resource. Attributes that the sender has set are never overwritten. Put it
    /// first, before `batch`, which forgets the address.
    pub struct Config {
        /// How to log in to the API server: `serviceAccount` (the token that Kubernetes gives to the pod), `kubeConfig`
        /// (the file that `KUBECONFIG` names, or `~/.kube/config`) or, where the API server is not asked, `none`.
        pub auth_type: String = "serviceAccount".to_owned(),
        /// With `auth_type: kubeConfig`: the context to use. The file says which one otherwise.
        pub context: String = String::new(),
        /// The most requests a second to the API server; 0 is 5.
        pub kube_api_qps: f64 = 0.0,
        /// How many requests to the API server may be made at once above that rate; 0 is 10.
        pub kube_api_burst: i64 = 0,
        /// Only sets `k8s.pod.ip`, from the address that the data came from, for a gateway that knows the pods. Nothing
        /// is asked of Kubernetes then.
        pub passthrough: bool = false,
        /// What is added.
        pub extract: Extract = Extract::default(),
        /// Which pods are known. An agent on each node needs those of its own node only.
        pub filter: Filter = Filter::default(),
        /// How the pod is found; the first entry that leads to one counts. Without any entry: the attribute `k8s.pod.ip`,
        /// the attribute `ip`, the address of the connection, and `host.name` if it is an address.
        pub pod_association: Vec<Association> = Vec::new(),
        /// Pods that nothing is added for.
        pub exclude: Exclude = Exclude::default(),
        /// Waits with the start until the pods are known.
        pub wait_for_metadata: bool = false,
        /// How long it waits; after that the start fails. Without `wait_for_metadata` the start goes on at once, and the path
        /// `/ready` of `health_check` says yes when the pods are known, or after this time.
        pub wait_for_metadata_timeout: GoDuration = GoDuration::secs(10),
        /// For how long a pod that ended is still found by its UID, its name and its containers. Its address is given up
        /// at once.
        pub pod_delete_grace_period: GoDuration = GoDuration::secs(120),
        /// Where the pods are read: `api` (the API server), `kubelet` (the node's own, for clusters where thousands of
        /// watches hurt) or `file` (a list, where there is no API). This key is ours.
        pub source: Source = Source::Api,
        /// With `source: kubelet`: where it is and how often it is asked. This key is ours.
        pub kubelet: Kubelet = Kubelet::default(),
        /// With `source: file`: a list of pods as `kubectl get pods -o yaml` prints it. It is read again when it changes.
        /// This key is ours.
        pub pods_file: String = String::new(),
        /// How long data of an address that is not known yet waits for its pod to appear; its sender waits for the
        /// answer meanwhile. 0 does not wait. This key is ours.
        pub new_pod_wait: GoDuration = GoDuration::secs(2),
        /// Knows the pods of all nodes, which an agent on each node must not. For a gateway. This key is ours.
        pub whole_cluster: bool = false,
    }
    ignored {
        "watch_sync_period" => "what changes is watched, and nothing is gone through again every so often",
    }
    check Config::check
}

words! {
    /// Where the pods are read.
    #[derive(Default)]
    pub enum Source {
        /// From the API server.
        #[default]
        Api = "api",
        /// From the kubelet of the node.
        Kubelet = "kubelet",
        /// From a file.
        File = "file",
    }
}

settings! {
    /// What is added.
    pub struct Extract {
        /// The attributes to add; a list replaces the default.
        pub metadata: Vec<String> = Field::DEFAULT.iter().map(|field| field.as_str().to_owned()).collect(),
        /// Labels to add.
        pub labels: Vec<Rule> = Vec::new(),
        /// Annotations to add.
        pub annotations: Vec<Rule> = Vec::new(),
        /// Adds each annotation `resource.opentelemetry.io/NAME` of the pod as `NAME`.
        pub otel_annotations: bool = false,
    }
    ignored {
        "deployment_name_from_replicaset" => "the name of the deployment is always taken from that of its replica set",
    }
    check Extract::check
}

settings! {
    /// A label or an annotation to add.
    pub struct Rule {
        /// The attribute to set. With `key_regex` it may hold `$1` or `$name`, written as `$$1` in a file. Without it:
        /// `k8s.pod.label.KEY`, `k8s.namespace.annotation.KEY` and so on.
        pub tag_name: String = String::new(),
        /// The key of the label or annotation.
        pub key: String = String::new(),
        /// A regular expression for keys, which must match the whole key. Either this or `key`.
        pub key_regex: String = String::new(),
        /// Whose: `pod` (as when it is left out), `namespace`, `node`, `deployment`, `replicaset`, `statefulset`,
        /// `daemonset`, `job` or `cronjob`.
        pub from: String = String::new(),
    }
    removed {
        "regex" => "add the whole value and take the part of it with the `attributes` processor and `action: extract`",
    }
    check Rule::check
}

settings! {
    /// Which pods are known.
    pub struct Filter {
        /// Those of this node.
        pub node: Option<String> = None,
        /// Those of the node that this environment variable names. Kubernetes sets it with
        /// `valueFrom: {fieldRef: {fieldPath: spec.nodeName}}`. Without any filter the agent looks at `KUBE_NODE_NAME`,
        /// `K8S_NODE_NAME` and `NODE_NAME`.
        pub node_from_env_var: String = String::new(),
        /// Those of this namespace; a Role is enough then.
        pub namespace: String = String::new(),
        /// Those with these fields; `op` is `equals` or `not-equals`.
        pub fields: Vec<Selector> = Vec::new(),
        /// Those with these labels; `op` is `equals`, `not-equals`, `exists` or `does-not-exist`.
        pub labels: Vec<Selector> = Vec::new(),
    }
    check Filter::check
}

settings! {
    /// A condition on a label or field.
    pub struct Selector {
        /// The label or field.
        pub key: String = String::new(),
        /// The value to compare with.
        pub value: String = String::new(),
        /// How to compare; `equals` when it is left out.
        pub op: String = String::new(),
    }
}

settings! {
    /// One way to find the pod.
    pub struct Association {
        /// What must be there and agree, at most four.
        pub sources: Vec<AssociationSource> = Vec::new(),
    }
    removed {
        "from" => "write `sources: [{from: …}]`",
        "name" => "write `sources: [{from: resource_attribute, name: …}]`",
    }
}

settings! {
    /// A fact by which a pod is found.
    pub struct AssociationSource {
        /// `connection` (the address that the data came from) or `resource_attribute`.
        pub from: String = String::new(),
        /// With `resource_attribute`: which.
        pub name: String = String::new(),
    }
}

settings! {
    /// Pods that nothing is added for.
    pub struct Exclude {
        /// Regular expressions for names of pods, which may match anywhere in the name. An empty list is the default.
        pub pods: Vec<ExcludedPod> = ["jaeger-agent", "jaeger-collector"].map(|name| ExcludedPod { name: name.to_owned() }).into(),
    }
    check Exclude::check
}

settings! {
    /// Names of pods.
    pub struct ExcludedPod {
        /// The regular expression.
        pub name: String = String::new(),
    }
}

settings! {
    /// The kubelet of the node.
    pub struct Kubelet {
        /// Where it serves: `https://HOST:10250`. Without it `KUBE_NODE_IP`, `K8S_NODE_IP` or `NODE_IP` is its address,
        /// or else the name of the node.
        pub endpoint: String = String::new(),
        /// A file with the certificates that its own is checked with. Without it those of the service account.
        pub ca_file: String = String::new(),
        /// Takes any certificate; kubelets often sign their own.
        pub insecure_skip_verify: bool = false,
        /// A file with the token to show. Without it that of the service account.
        pub token_file: String = String::new(),
        /// How long to wait before its pods are read again.
        pub poll_interval: GoDuration = GoDuration::secs(10),
    }
    check Kubelet::check
}

/// The most sources of one association.
const MOST_SOURCES: usize = 4;

/// Attributes that a pod is found by without being extracted.
const KNOWN_SOURCES: [&str; 6] =
    ["k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.pod.ip", "host.name", "container.id"];

const LABEL_OPS: [&str; 5] = ["", "equals", "not-equals", "exists", "does-not-exist"];
const FIELD_OPS: [&str; 3] = ["", "equals", "not-equals"];

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        self.check_access(cx);
        self.check_source(cx);
        self.check_associations(cx);
        for (key, value) in
            [("new_pod_wait", self.new_pod_wait), ("pod_delete_grace_period", self.pod_delete_grace_period)]
        {
            if value.is_negative() {
                cx.error_at(key, format!("{key} must be greater than or equal to 0"), "remove it, for the default");
            }
        }
    }

    /// What is wrong with the node that it is told to look at, where these are the environment variables.
    #[must_use]
    pub fn node_flaw(&self, variable: &dyn Fn(&str) -> Option<String>) -> Option<Flaw> {
        node::of(self, variable).err()
    }

    fn check_access(&self, cx: &mut Reader<'_>) {
        match self.auth_type.as_str() {
            "serviceAccount" | "kubeConfig" => {}
            "none" if self.passthrough || self.source != Source::Api => {}
            "none" => cx.error_at(
                "auth_type",
                "`auth_type: none` asks the API server without saying who asks, and no API server tells strangers about pods",
                "remove it (the service account is the default), or write `auth_type: kubeConfig`",
            ),
            "tls" => cx.error_at(
                "auth_type",
                "the Collector has the `auth_type` `tls` in its list and no keys for it; neither has otel-agent",
                "put the client certificate into a kubeconfig file and write `auth_type: kubeConfig`",
            ),
            other => {
                let remedy = match crate::settings::nearest(other, ["serviceAccount", "kubeConfig", "none"]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write `serviceAccount`, `kubeConfig` or `none`".to_owned(),
                };
                cx.error_at("auth_type", format!("invalid authType for kubernetes: {other}"), remedy);
            }
        }
        if self.kube_api_qps < 0.0 {
            cx.error_at("kube_api_qps", "kube_api_qps must be greater than 0", "remove it; 5 is enough");
        }
        if self.kube_api_burst < 0 {
            cx.error_at("kube_api_burst", "kube_api_burst must be greater than 0", "remove it; 10 is enough");
        }
    }

    fn check_source(&self, cx: &mut Reader<'_>) {
        match (self.source, self.pods_file.is_empty()) {
            (Source::File, true) if !self.passthrough => {
                let remedy = "add `pods_file: …`; `kubectl get pods -A -o yaml` writes such a file";
                cx.error_at("source", "`source: file` needs `pods_file`", remedy);
            }
            (Source::Api | Source::Kubelet, false) => {
                let what = "`pods_file` has no effect without `source: file`";
                cx.error_at("pods_file", what, "add `source: file`, or remove `pods_file`");
            }
            _ => {}
        }
        if self.source != Source::Kubelet && self.kubelet != Kubelet::default() {
            let what = "`kubelet` has no effect without `source: kubelet`";
            cx.error_at("kubelet", what, "add `source: kubelet`, or remove `kubelet`");
        }
        if self.source == Source::Kubelet && self.whole_cluster {
            let what = "a kubelet knows the pods of its node only";
            cx.error_at("whole_cluster", what, "remove `whole_cluster`, or write `source: api`");
        }
    }

    /// Whether a pod is found by this attribute of the sender alone.
    pub(crate) fn finds_by(&self, attribute: &str) -> bool {
        self.pod_association.iter().any(|association| match association.sources.as_slice() {
            [only] => only.from == "resource_attribute" && only.name == attribute,
            _ => false,
        })
    }

    fn check_associations(&self, cx: &mut Reader<'_>) {
        let mut seen = Vec::new();
        for (index, association) in self.pod_association.iter().enumerate() {
            let at = format!("pod_association::{index}");
            let sources = &association.sources;
            if sources.is_empty() {
                let remedy = "write `sources: [{from: connection}]`, or remove the entry";
                cx.error_at(&at, "an association without sources finds nothing", remedy);
            }
            if sources.len() > MOST_SOURCES {
                let what = format!("too many association sources. limit is {MOST_SOURCES}");
                cx.error_at(&format!("{at}::sources"), what, "keep those that tell pods apart");
            }
            for (number, source) in sources.iter().enumerate() {
                self.check_association_source(source, &format!("{at}::sources::{number}"), cx);
            }
            let key = association.key();
            if seen.contains(&key) {
                cx.error_at(&at, format!("duplicate pod association: {key}"), "remove one of them");
            }
            seen.push(key);
        }
    }

    fn check_association_source(&self, source: &AssociationSource, at: &str, cx: &mut Reader<'_>) {
        match (source.from.as_str(), source.name.as_str()) {
            ("connection", _) => {}
            ("resource_attribute", "") => {
                cx.error_at(at, "`resource_attribute` needs a `name`", "add `name: k8s.pod.uid`, for instance");
            }
            ("resource_attribute", name) => {
                let extract = &self.extract;
                let by_rule = !extract.labels.is_empty() || !extract.annotations.is_empty() || extract.otel_annotations;
                let listed = extract.metadata.iter().any(|field| field == name);
                if !KNOWN_SOURCES.contains(&name) && !listed && !by_rule {
                    let what = format!("no pod is ever found by `{name}`, because that is not extracted");
                    cx.warning_at(at, what, format!("add `{name}` to `extract::metadata`, or remove the source"));
                }
            }
            (other, _) => {
                let what = format!("a pod is not found by `{other}`");
                cx.error_at(at, what, "write `connection` or `resource_attribute`");
            }
        }
    }
}

impl Association {
    /// The same for the same sources in any order, as the Collector writes it.
    fn key(&self) -> String {
        let mut parts: Vec<String> =
            self.sources.iter().map(|source| format!("{}/{}", source.from, source.name)).collect();
        parts.sort_unstable();
        parts.join(",")
    }
}

impl Extract {
    fn check(&self, cx: &mut Reader<'_>) {
        for (index, field) in self.metadata.iter().enumerate() {
            let at = format!("metadata::{index}");
            match Field::parse(field) {
                Some(Field::ContainerImageTag) => {
                    let what = "`container.image.tag` is not added: the convention has `container.image.tags`, a list";
                    cx.warning_at(&at, what, "write `container.image.tags`");
                }
                Some(_) => {}
                None => {
                    let known = Field::WORDS.iter().map(|(word, _)| *word);
                    let remedy = match crate::settings::nearest(field, known) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "`extract::labels` and `extract::annotations` add other things".to_owned(),
                    };
                    cx.error_at(&at, format!("\"{field}\" is not a supported metadata field"), remedy);
                }
            }
        }
    }
}

impl Rule {
    fn check(&self, cx: &mut Reader<'_>) {
        if !self.key.is_empty() && !self.key_regex.is_empty() {
            let what = format!(
                "Out of Key or KeyRegex only one option is expected to be configured at a time, currently Key:{} and \
                 KeyRegex:{}",
                self.key, self.key_regex
            );
            cx.error_at("key_regex", what, "keep one of them");
        }
        if self.key.is_empty() && self.key_regex.is_empty() {
            cx.warning("a rule without `key` and `key_regex` adds nothing", "add `key: …`");
        }
        if From::parse(&self.from).is_none() {
            let what = format!(
                "{} is not a valid choice for From. Must be one of: pod, namespace, deployment, replicaset, \
                 statefulset, daemonset, job, cronjob, node",
                self.from
            );
            let remedy = crate::settings::nearest(&self.from, From::WORDS.iter().map(|(word, _)| *word));
            cx.error_at("from", what, remedy.map_or_else(String::new, |near| format!("did you mean `{near}`?")));
        }
        if let Err(error) = rules::pattern(&self.key_regex) {
            let reason = error.to_string();
            let what = format!("error parsing regexp: `{}`", self.key_regex);
            cx.error_at("key_regex", what, reason.lines().last().unwrap_or_default());
        }
    }
}

impl Filter {
    /// Whether it keeps anything out but pods of other nodes.
    pub(super) fn is_narrow(&self) -> bool {
        !self.namespace.is_empty() || !self.fields.is_empty() || !self.labels.is_empty()
    }

    fn check(&self, cx: &mut Reader<'_>) {
        for (list, known, selectors) in
            [("labels", &LABEL_OPS[..], &self.labels), ("fields", &FIELD_OPS[..], &self.fields)]
        {
            for (index, selector) in selectors.iter().enumerate() {
                if !known.contains(&selector.op.as_str()) {
                    // The Collector says "label" of both.
                    let what = format!(
                        "'{}' is not a valid label filter operation for key={}, value={}",
                        selector.op, selector.key, selector.value
                    );
                    let words = known.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", ");
                    cx.error_at(&format!("{list}::{index}::op"), what, format!("write one of {words}"));
                }
                if selector.key.is_empty() {
                    let at = format!("{list}::{index}");
                    cx.error_at(&at, "a condition needs a `key`", "add `key: …`, or remove the condition");
                }
            }
        }
    }
}

impl Exclude {
    fn check(&self, cx: &mut Reader<'_>) {
        for (index, pod) in self.pods.iter().enumerate() {
            if let Err(error) = regex::Regex::new(&pod.name) {
                let at = format!("pods::{index}::name");
                let what = format!("error parsing regexp: `{}`", pod.name);
                cx.error_at(&at, what, error.to_string().lines().last().unwrap_or_default());
            }
        }
    }
}

impl Kubelet {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.poll_interval.positive().is_none() {
            cx.error_at("poll_interval", "poll_interval must be greater than 0", "write `poll_interval: 10s`");
        }
        if !self.endpoint.is_empty() && !self.endpoint.starts_with("https://") {
            let what = format!("`{}` is not the address of a kubelet", self.endpoint);
            cx.error_at("endpoint", what, "write it like `https://10.0.0.5:10250`");
        }
    }
}
