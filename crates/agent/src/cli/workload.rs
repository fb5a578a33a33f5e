//! From a checked configuration to what it asks of its pod: for the manifests, the doctor and whoever else speaks to a cluster.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use cluster::workload::{
    Amount, Batch, HostPath, Limiter, Permission, Pods, Port, Purpose, Scope, Upstream, Variable, Workload,
};

use crate::component::{Needs, Role};
use crate::config::{Loaded, Plan, Request, World, load_in};
use crate::kubernetes::Right;
use crate::processors::k8s_attributes;
use crate::settings::{ComponentId, Endpoint};
use crate::{extensions, processors};

/// What a configuration is loaded for: a container that may be elsewhere.
pub(crate) struct Container<'a> {
    /// The value of an environment variable there; a stand-in where only the cluster knows it.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Its memory limit, in bytes.
    pub(crate) memory_limit: Option<u64>,
}

/// Loads a configuration as that container would. The workload is there when there are no errors; `text` is what goes into the
/// ConfigMap.
pub(crate) fn load(request: &Request, text: &str, container: &Container<'_>) -> (Loaded, Option<Workload>) {
    let asked = RefCell::new(BTreeSet::new());
    let variable = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        (container.variable)(name)
    };
    let loaded = load_in(request, &World { variable: &variable, memory_limit: container.memory_limit });
    let workload = loaded.plan.as_ref().map(|plan| of_plan(plan, text, &asked.borrow()));
    (loaded, workload)
}

/// What a plan asks of its pod. `asked` are the environment variables that were looked at while it was loaded.
pub(crate) fn of_plan(plan: &Plan, text: &str, asked: &BTreeSet<String>) -> Workload {
    let needs = plan.needs();
    let mut permissions: Vec<Permission> = needs.iter().flat_map(|(_, needs)| &needs.rights).map(permission).collect();
    permissions.sort();
    permissions.dedup();
    Workload {
        config: text.to_owned(),
        ports: ports(plan, &needs),
        paths: paths(plan, &needs),
        permissions,
        limiter: plan.processors.values().find_map(limiter),
        batches: plan.processors.iter().filter_map(|(id, config)| batch(id, config)).collect(),
        variables: asked.iter().map(|name| variable(name, plan, text)).collect(),
        upstreams: needs.iter().flat_map(|(path, needs)| needs.upstreams.iter().map(|to| upstream(path, to))).collect(),
        pods: plan.processors.iter().filter_map(|(id, config)| pods(id, config)).collect(),
    }
}

// === ports

fn ports(plan: &Plan, needs: &[(String, Needs)]) -> Vec<Port> {
    let own = plan.telemetry.metrics.endpoints().enumerate();
    let own = own.map(|(index, reader)| {
        port(&reader.endpoint(), format!("service::telemetry::metrics::readers::{index}"), Purpose::Metrics)
    });
    let listed = needs.iter().flat_map(|(path, needs)| {
        needs.listeners.iter().map(move |listener| {
            let key = format!("{path}::{}", listener.key);
            let purpose = purpose(path, listener.key);
            port(&listener.endpoint, key, purpose)
        })
    });
    let mut ports: Vec<Port> = listed.chain(own).collect();
    // What applications send to comes first, then what is asked of the agent.
    ports.sort_by_key(|port| port.purpose);
    let mut names: Vec<String> = Vec::new();
    for port in &mut ports {
        let name = port_name(port.purpose);
        let same = names.iter().filter(|other| **other == name).count();
        names.push(name.to_owned());
        // At most 15 characters, the rule for names of ports.
        port.name = if same == 0 { name.to_owned() } else { format!("{name}-{}", same + 1) };
    }
    ports
}

fn port(endpoint: &Endpoint, key: String, purpose: Purpose) -> Port {
    let address = endpoint.host.parse::<std::net::IpAddr>();
    let loopback = endpoint.host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    Port { name: String::new(), number: endpoint.port, udp: false, purpose, loopback, key }
}

fn purpose(component: &str, key: &str) -> Purpose {
    let (section, id) = component.split_once("::").unwrap_or((component, ""));
    let kind = id.split('/').next().unwrap_or_default();
    match (section, kind) {
        ("receivers", _) if key.contains("grpc") => Purpose::OtlpGrpc,
        ("receivers", _) if key.contains("http") => Purpose::OtlpHttp,
        ("exporters", "prometheus") => Purpose::Prometheus,
        ("extensions", "health_check") => Purpose::Health,
        _ => Purpose::Other,
    }
}

fn port_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::OtlpGrpc => "otlp-grpc",
        Purpose::OtlpHttp => "otlp-http",
        Purpose::Metrics => "metrics",
        Purpose::Prometheus => "prometheus",
        Purpose::Health => "health",
        Purpose::Other => "other",
    }
}

// === folders

fn paths(plan: &Plan, needs: &[(String, Needs)]) -> Vec<HostPath> {
    let journals: Vec<String> = plan
        .extensions
        .iter()
        .filter(|(_, config)| is_storage(config))
        .map(|(id, _)| format!("extensions::{id}"))
        .collect();
    let listed = needs.iter().flat_map(|(component, needs)| {
        let exclusive = journals.contains(component);
        needs.paths.iter().map(move |path| HostPath {
            // Exporters name a file; what is mounted is a folder.
            path: if exclusive { path.path.display().to_string() } else { folder_of(&path.path) },
            writes: path.writes,
            exclusive,
            key: format!("{component}::{}", path.key),
        })
    });
    let logs = plan.telemetry.logs.output_paths.iter().filter(|path| !matches!(path.as_str(), "stdout" | "stderr"));
    let logs = logs.map(|path| HostPath {
        path: folder_of(Path::new(path)),
        writes: true,
        exclusive: false,
        key: "service::telemetry::logs::output_paths".to_owned(),
    });
    listed.chain(logs).collect()
}

fn is_storage(config: &extensions::Config) -> bool {
    config.offers().contains(&Role::Storage)
}

fn folder_of(file: &Path) -> String {
    file.parent().map(|folder| folder.display().to_string()).unwrap_or_default()
}

// === the rest

fn permission(right: &Right) -> Permission {
    Permission {
        group: right.group.to_owned(),
        resource: right.resource.to_owned(),
        verbs: right.verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        name: right.name.map(str::to_owned),
        namespace: right.namespace.clone(),
        why: right.why.to_owned(),
    }
}

fn limiter(config: &processors::Config) -> Option<Limiter> {
    let processors::Config::MemoryLimiter(config) = config else { return None };
    let (mib, percent) = (|mib: u32| Amount::Mib(mib.into()), |percent: u32| Amount::Percent(percent.into()));
    // Without a spike limit it is a fifth of the hard one.
    Some(if config.limit_mib > 0 {
        let spike = if config.spike_limit_mib == 0 { config.limit_mib / 5 } else { config.spike_limit_mib };
        Limiter { hard: mib(config.limit_mib), spike: mib(spike) }
    } else {
        let spike = if config.spike_limit_percentage == 0 {
            config.limit_percentage / 5
        } else {
            config.spike_limit_percentage
        };
        Limiter { hard: percent(config.limit_percentage), spike: percent(spike) }
    })
}

fn batch(id: &ComponentId, config: &processors::Config) -> Option<Batch> {
    let processors::Config::Batch(config) = config else { return None };
    Some(Batch { id: id.to_string(), timeout: config.timeout.to_std(), size: config.send_batch_size })
}

fn upstream(exporter: &str, to: &crate::component::Upstream) -> Upstream {
    let scheme = match (to.grpc, to.tls) {
        (true, false) => "grpc",
        (true, true) => "grpcs",
        (false, false) => "http",
        (false, true) => "https",
    };
    Upstream { exporter: exporter.to_owned(), scheme: scheme.to_owned(), host: to.host.clone(), port: to.port }
}

/// A variable is needed when it is written without a default, or when it names the node.
fn variable(name: &str, plan: &Plan, text: &str) -> Variable {
    let bare =
        [format!("${{env:{name}}}"), format!("${{{name}}}")].iter().any(|written| text.contains(written.as_str()));
    let names_node = plan.processors.values().any(|config| match config {
        processors::Config::K8sAttributes(config) => config.filter.node_from_env_var == name,
        _ => false,
    });
    Variable { name: name.to_owned(), optional: !(bare || names_node) }
}

fn pods(id: &ComponentId, config: &processors::Config) -> Option<Pods> {
    let processors::Config::K8sAttributes(config) = config else { return None };
    let filter = &config.filter;
    let variable = Some(filter.node_from_env_var.clone()).filter(|name| !name.is_empty());
    let scope = match config.source {
        _ if config.passthrough => Scope::Nobody,
        k8s_attributes::config::Source::Api if config.whole_cluster => Scope::Cluster,
        k8s_attributes::config::Source::Api => match (&variable, &filter.node) {
            (Some(_), _) => Scope::Node { variable },
            (None, Some(_)) => Scope::Node { variable: None },
            (None, None) if filter.namespace.is_empty() && filter.labels.is_empty() && filter.fields.is_empty() => {
                Scope::Node { variable: Some("K8S_NODE_NAME".to_owned()) }
            }
            (None, None) => Scope::Cluster,
        },
        _ => Scope::Elsewhere,
    };
    Some(Pods { processor: format!("processors::{id}"), scope, kubeconfig: config.auth_type == "kubeConfig" })
}
