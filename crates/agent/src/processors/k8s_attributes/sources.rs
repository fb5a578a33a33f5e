//! From the settings to what is asked of Kubernetes: where the pods come from, what has to be known of them, and which
//! rights that takes. Nothing is fetched, and no right is asked for, that no key needs.

use super::config::{Config, Selector, Source};
use super::fields::{Field, Fields};
use super::node::{self, Flaw};
use super::rules::{From, Kind, Rules};
use crate::kubernetes::{
    self, Auth, Feed, FieldFilter, Filter, Interest, Keys, KubeletSettings, LabelFilter, LabelOp, ObjectInterest, Rate,
};

/// Labels that `service.name` and `service.version` come from.
pub(super) const NAME_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app.kubernetes.io/instance"];
/// See [`NAME_LABELS`].
pub(super) const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// Variables with the address of the node.
const NODE_ADDRESSES: [&str; 3] = ["KUBE_NODE_IP", "K8S_NODE_IP", "NODE_IP"];

/// Where the pods come from; `None` if nothing is asked of Kubernetes.
///
/// # Errors
/// There is no name of the node.
pub(super) fn source(
    config: &Config,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<kubernetes::Source>, Flaw> {
    if config.passthrough {
        return Ok(None);
    }
    let node = node::of(config, variable)?;
    let feed = match config.source {
        Source::Api => Feed::Api { auth: auth(config), rate: rate(config) },
        Source::Kubelet => Feed::Kubelet(kubelet(config, node.as_deref(), variable)?),
        Source::File => Feed::File(config.pods_file.clone().into()),
    };
    let filter = Filter {
        node,
        namespace: Some(config.filter.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        labels: config.filter.labels.iter().map(label).collect(),
        fields: config.filter.fields.iter().map(field).collect(),
    };
    Ok(Some(kubernetes::Source { feed, filter, grace: config.pod_delete_grace_period.to_std() }))
}

fn auth(config: &Config) -> Auth {
    match config.auth_type.as_str() {
        "kubeConfig" => {
            Auth::KubeConfig { context: Some(config.context.clone()).filter(|context| !context.is_empty()) }
        }
        _ => Auth::ServiceAccount,
    }
}

fn rate(config: &Config) -> Rate {
    let qps = if config.kube_api_qps > 0.0 { config.kube_api_qps } else { 5.0 };
    let burst = u32::try_from(config.kube_api_burst).ok().filter(|burst| *burst > 0);
    Rate::new(qps, burst.unwrap_or(10))
}

fn kubelet(
    config: &Config,
    node: Option<&str>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<KubeletSettings, Flaw> {
    let settings = &config.kubelet;
    let file = |path: &str| (!path.is_empty()).then(|| path.into());
    let address = || NODE_ADDRESSES.iter().find_map(|name| variable(name)).filter(|address| !address.is_empty());
    let host = || address().or_else(|| node.map(str::to_owned));
    let endpoint = match settings.endpoint.as_str() {
        "" => host().map(|host| {
            if host.contains(':') { format!("https://[{host}]:10250") } else { format!("https://{host}:10250") }
        }),
        written => Some(written.to_owned()),
    };
    let nowhere = || Flaw {
        at: "kubelet::endpoint",
        what: "it is not said where the kubelet is".to_owned(),
        remedy: "add to the agent's container `env: [{name: KUBE_NODE_IP, valueFrom: {fieldRef: {fieldPath: \
                 status.hostIP}}}]`, or write `kubelet: {endpoint: \"https://…:10250\"}`"
            .to_owned(),
        only_here: true,
    };
    Ok(KubeletSettings {
        endpoint: endpoint.ok_or_else(nowhere)?,
        ca_file: file(&settings.ca_file),
        insecure_skip_verify: settings.insecure_skip_verify,
        token_file: file(&settings.token_file),
        poll_interval: settings.poll_interval.to_std(),
    })
}

fn label(selector: &Selector) -> LabelFilter {
    let value = || selector.value.clone();
    let op = match selector.op.as_str() {
        "not-equals" => LabelOp::NotEquals(value()),
        "exists" => LabelOp::Exists,
        "does-not-exist" => LabelOp::DoesNotExist,
        _ => LabelOp::Equals(value()),
    };
    LabelFilter { key: selector.key.clone(), op }
}

fn field(selector: &Selector) -> FieldFilter {
    FieldFilter { key: selector.key.clone(), value: selector.value.clone(), equals: selector.op != "not-equals" }
}

/// What has to be known of the pods and of what they belong to.
pub(super) fn interest(fields: Fields, rules: &Rules) -> Interest {
    let mut pod_labels = rules.keys(Kind::Label, From::Pod);
    if fields.has(Field::ServiceName) {
        pod_labels = pod_labels.and(Keys::exact(NAME_LABELS));
    }
    if fields.has(Field::ServiceVersion) {
        pod_labels = pod_labels.and(Keys::exact([VERSION_LABEL]));
    }
    let object = |from: From, uid: bool| {
        (uid || rules.have(from)).then(|| ObjectInterest {
            labels: rules.keys(Kind::Label, from),
            annotations: rules.keys(Kind::Annotation, from),
            uid,
        })
    };
    // Which deployment a replica set is of, and which cron job a job is of, is only known of the object itself.
    let deployments_by_uid = fields.has(Field::DeploymentUid) || rules.have(From::Deployment);
    let cron_jobs_by_uid = fields.has(Field::CronJobUid) || rules.have(From::CronJob);
    Interest {
        pod_labels,
        pod_annotations: rules.keys(Kind::Annotation, From::Pod),
        namespaces: object(From::Namespace, false),
        nodes: object(From::Node, fields.has(Field::NodeUid)),
        replicasets: object(From::ReplicaSet, deployments_by_uid),
        deployments: object(From::Deployment, false),
        statefulsets: object(From::StatefulSet, false),
        daemonsets: object(From::DaemonSet, false),
        jobs: object(From::Job, cron_jobs_by_uid),
        cronjobs: object(From::CronJob, false),
        cluster_uid: fields.has(Field::ClusterUid),
    }
}
