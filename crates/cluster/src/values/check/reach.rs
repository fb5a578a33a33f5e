//! Whether the agents can be reached: ports, routing, folders.

use super::Check;
use crate::problem::Problem;
use crate::values::{Mode, Routing, StorageType};
use crate::workload::{Port, Purpose};

pub(super) fn check(check: &Check<'_>, problems: &mut Vec<Problem>) {
    ports(check, problems);
    node_ports(check, problems);
    routing(check, problems);
    folders(check, problems);
}

fn ports(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let ports = &check.workload.ports;
    if !ports.iter().any(|port| port.purpose.takes_data()) {
        let remedy = "add a receiver `otlp` with `grpc: {endpoint: \":4317\"}` to a pipeline";
        problems.push(Problem::error(
            "config",
            "nothing can be sent to the agent: it listens on no port for OTLP",
            remedy,
        ));
    }
    for port in ports.iter().filter(|port| port.number == 0) {
        let what = format!("`{}` has port 0: any number, which no Service can know", port.key);
        problems.push(Problem::error("config", what, "give it a number"));
    }
    for port in ports.iter().filter(|port| port.loopback) {
        problems.push(loopback(port));
    }
    if !ports.iter().any(|port| port.purpose == Purpose::Health && !port.loopback) {
        let what = "there is no health page that probes reach; they only see that a port is open";
        let remedy = "add the extension `health_check: {endpoint: \":13133\"}` to `service::extensions`";
        problems.push(Problem::warning("config", what, remedy));
    }
}

fn loopback(port: &Port) -> Problem {
    let remedy = format!("write `:{}`, which is every address of the pod", port.number);
    match port.purpose {
        Purpose::OtlpGrpc | Purpose::OtlpHttp => {
            let what = format!("`{}` listens on localhost: no other pod reaches it", port.key);
            Problem::error("config", what, remedy)
        }
        Purpose::Metrics => {
            let what = format!("`{}` is localhost: nobody can fetch the agent's metrics", port.key);
            let remedy = "write `readers: [{pull: {exporter: {prometheus: {host: \"\", port: 8888}}}}]`";
            Problem::warning("config", what, remedy)
        }
        Purpose::Prometheus | Purpose::Health | Purpose::Other => Problem::warning(
            "config",
            format!("`{}` is localhost: nobody outside of the pod reaches it", port.key),
            remedy,
        ),
    }
}

/// Ports that every node has in use already.
const OF_THE_NODE: [(u16, &str); 5] = [
    (10248, "the kubelet"),
    (10249, "kube-proxy"),
    (10250, "the kubelet"),
    (10255, "the kubelet"),
    (10256, "kube-proxy"),
];
/// Below it, a process that is not root cannot listen in the node's network.
const UNPRIVILEGED: u16 = 1024;

fn node_ports(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let values = check.values;
    let on_node = |port: &&Port| {
        values.host_network || (values.routing() == Some(Routing::HostPort) && port.purpose.takes_data())
    };
    for port in check.workload.ports.iter().filter(on_node) {
        let number = port.number;
        if let Some((_, owner)) = OF_THE_NODE.iter().find(|(taken, _)| *taken == number) {
            let what = format!("port {number} of `{}` is that of {owner} on every node", port.key);
            problems.push(Problem::error("config", what, "choose another number"));
        } else if number < UNPRIVILEGED && values.host_network {
            let what =
                format!("port {number} of `{}` takes root in the node's network, and the agent is not root", port.key);
            problems.push(Problem::error("config", what, "choose a number above 1023"));
        }
    }
    if values.host_network && values.network_policy.enabled {
        let what = "a NetworkPolicy has no effect on pods in the node's network";
        problems.push(Problem::error(
            "networkPolicy.enabled",
            what,
            "leave out one of `--host-network` and `--network-policy`",
        ));
    }
}

/// Since when traffic may prefer its own node.
const PREFERS_NODE: u32 = 35;

fn routing(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let values = check.values;
    match values.routing {
        Some(routing) if values.mode == Mode::Deployment => {
            let what = format!(
                "routing `{}` is about the agent of the own node, and a deployment has none on most nodes",
                routing.as_str()
            );
            problems.push(Problem::error("routing", what, "leave out `--routing`; traffic goes to any of the agents"));
        }
        Some(Routing::PreferLocal) if !values.has_kubernetes(PREFERS_NODE) => {
            let what = format!(
                "routing `prefer-local` needs Kubernetes 1.{PREFERS_NODE}, the cluster has {}",
                values.kubernetes_version
            );
            problems.push(Problem::error("routing", what, "use `--routing local`"));
        }
        Some(Routing::PreferLocal) if values.kubernetes_version.is_empty() => {
            let what = format!(
                "routing `prefer-local` needs Kubernetes 1.{PREFERS_NODE}; an older one sends to agents of any node"
            );
            problems.push(Problem::note("routing", what, "add `--kubernetes-version`, and it is checked"));
        }
        _ => {}
    }
    if values.host_network && values.routing == Some(Routing::HostPort) {
        let what = "with hostNetwork every port is one of the node already";
        problems.push(Problem::warning("routing", what, "leave out `--routing host-port`"));
    }
}

/// The root file system cannot be written to, so what is written needs a volume.
fn folders(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let cx = crate::manifests::folders_without_volume(check.workload, check.values);
    if check.values.storage.r#type != StorageType::None {
        return;
    }
    for folder in cx {
        let key = check.workload.paths.iter().find(|path| path.path == folder).map_or("", |path| path.key.as_str());
        let what =
            format!("`{key}` uses the folder {folder}, which no volume holds; the container's own files are read-only");
        let remedy = "add `--storage hostPath` (survives the pod), `--storage emptyDir` (survives the process), or `extraVolumes`";
        problems.push(Problem::error("storage", what, remedy));
    }
}
