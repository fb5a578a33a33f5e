//! `otel-agent doctor`: what is wrong with the agent in a cluster, and the commands that mend it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use cluster::doctor::{Chosen, Context, Limiter, Listener, NotByUid, Pipeline, Report, Understood, diagnose};
use cluster::snapshot::connect::Access;
use cluster::snapshot::pods::Container;
use cluster::snapshot::{self, Options, Right};

use super::report;
use crate::component::Needs;
use crate::config::{Plan, Request, World, load_in};
use crate::processors;
use crate::settings::{ComponentId, GoDuration, Severity};

/// `otel-agent doctor`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The kubeconfig file; KUBECONFIG or ~/.kube/config when left out, and in a pod its service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Only agents of this namespace
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// What the agent's DaemonSet or Deployment is called; found by label, name and image when left out
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How the report is written
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
    /// Only these findings or families, by name (see docs/reference/doctor.md)
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Not these findings or families
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// So many pods of an agent are asked for their metrics, health and log; those in trouble first
    #[arg(long, value_name = "NUMBER", default_value_t = Options::default().sample)]
    sample: usize,
    /// Looking takes no longer than this
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = GoDuration::parse(text).map_err(|error| error.to_string())?;
    parsed.positive().ok_or_else(|| "must be greater than zero".to_owned())
}

/// Wrong arguments, as clap has it.
const WRONG_ARGUMENTS: u8 = 2;
/// It could not be looked.
const COULD_NOT_LOOK: u8 = 3;

/// Looks, tells, and returns 0 if nothing is wrong, 1 if something is, 3 if it could not be looked.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let chosen = Chosen { only: arguments.only.clone(), skip: arguments.skip.clone() };
    let unknown = chosen.unknown();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        let known = "docs/reference/doctor.md lists them";
        report::error(&anyhow::anyhow!(
            "--only and --skip take the ids of findings and families; there is no {unknown} ({known})"
        ));
        return ExitCode::from(WRONG_ARGUMENTS);
    }
    let report = match look(arguments, &chosen) {
        Ok(report) => report,
        Err(error) => {
            report::error(&error);
            return ExitCode::from(COULD_NOT_LOOK);
        }
    };
    let text = match arguments.output {
        Output::Text => report.text(),
        Output::Json => report.json(),
    };
    // Whoever closed the pipe has read enough; the exit code still tells.
    let _closed = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(report.exit_code())
}

fn look(arguments: &Arguments, chosen: &Chosen) -> anyhow::Result<Report> {
    let access = Access { kubeconfig: arguments.kubeconfig.clone(), context: arguments.context.clone() };
    let options =
        Options { namespace: arguments.namespace.clone(), name: arguments.name.clone(), sample: arguments.sample };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let snapshot = runtime.block_on(async {
        let client = access.client()?;
        let needs = |text: &str, container: &Container| understand(text, container).needs;
        let reading = Box::pin(snapshot::read(client, &options, &needs));
        let read = tokio::time::timeout(arguments.timeout, reading).await;
        read.with_context(|| format!("looking took longer than {:?} (--timeout)", arguments.timeout))?
    })?;
    let context = Context { kubectl: access.kubectl(), understand: &understand };
    Ok(diagnose(&snapshot, &context, chosen))
}

/// By which senders name their pod where their address does not.
const POD_UID: &str = "k8s.pod.uid";

/// The name under which the text is handed to the loader, as `env:` does with texts that are no files.
const TEXT: &str = "the ConfigMap";

/// What a configuration asks for, by this program's own rules, in a container with that environment and memory limit.
fn understand(text: &str, container: &Container) -> Understood {
    let (here, node_variables) = with_the_node_named(text);
    let variable = |name: &str| match name {
        TEXT => Some(here.clone()),
        name => {
            let env = container.env.iter().find(|env| env.name == name)?;
            // What only the cluster knows is there, and has some value.
            Some(if env.value_from.is_some() { "from-the-cluster".to_owned() } else { env.value.clone() })
        }
    };
    let memory_limit = container.resources.limits.get("memory").map(|limit| limit.whole());
    let request = Request { configs: vec![format!("env:{TEXT}")], sets: Vec::new() };
    let loaded = load_in(&request, &World { variable: &variable, memory_limit });
    let errors = loaded.problems.iter().filter(|problem| problem.severity == Severity::Error).map(|problem| {
        let remedy = if problem.remedy.is_empty() { String::new() } else { format!(" ({})", problem.remedy) };
        match problem.place.line {
            0 => format!("{}: {}{remedy}", problem.path, problem.what),
            line => format!("line {line}, {}: {}{remedy}", problem.path, problem.what),
        }
    });
    let understood = Understood { errors: errors.collect(), node_variables, ..Understood::default() };
    match &loaded.plan {
        Some(plan) => what_it_asks(plan, understood),
        None => understood,
    }
}

fn what_it_asks(plan: &Plan, understood: Understood) -> Understood {
    let needs = plan.needs();
    let ids = |ids: &[ComponentId]| ids.iter().map(ToString::to_string).collect();
    let pipelines = plan.pipelines.iter().map(|pipeline| Pipeline {
        name: pipeline.id.to_string(),
        receivers: ids(&pipeline.receivers),
        processors: ids(&pipeline.processors),
    });
    let adding_pods = || {
        plan.processors.iter().filter_map(|(id, config)| match config {
            processors::Config::K8sAttributes(config) => Some((id, config)),
            _ => None,
        })
    };
    let passthrough = adding_pods().filter(|(_, config)| config.passthrough);
    let not_by_uid = adding_pods().filter(|(_, config)| !config.passthrough && !config.finds_by(POD_UID));
    let not_by_uid = not_by_uid
        .map(|(id, config)| NotByUid { processor: id.to_string(), is_listed: !config.pod_association.is_empty() });
    Understood {
        needs: needs.iter().flat_map(|(_, needs)| &needs.rights).map(right).collect(),
        pipelines: pipelines.collect(),
        passthrough: passthrough.map(|(id, _)| id.to_string()).collect(),
        not_by_uid: not_by_uid.collect(),
        loopback: loopback(plan, &needs),
        limiter: plan.processors.values().find_map(limiter),
        batch_items: plan.processors.values().filter_map(batch_items).max(),
        ..understood
    }
}

fn right(right: &crate::kubernetes::Right) -> Right {
    Right {
        group: right.group.to_owned(),
        resource: right.resource.to_owned(),
        verbs: right.verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        namespace: right.namespace.clone(),
        name: right.name.map(str::to_owned),
    }
}

/// What is for others to fetch, and listens on loopback.
fn loopback(plan: &Plan, needs: &[(String, Needs)]) -> Vec<Listener> {
    let own = plan.telemetry.metrics.endpoints().map(|reader| Listener {
        what: "own metrics".to_owned(),
        key: "service::telemetry::metrics".to_owned(),
        address: reader.endpoint().to_string(),
    });
    let exporters = needs.iter().filter(|(path, _)| path.starts_with("exporters::"));
    let exporters = exporters.flat_map(|(path, needs)| {
        needs.listeners.iter().map(move |listener| Listener {
            what: path.replace("::", " "),
            key: format!("{path}::{}", listener.key),
            address: listener.endpoint.to_string(),
        })
    });
    own.chain(exporters).filter(|listener| is_loopback(&listener.address)).collect()
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn limiter(config: &processors::Config) -> Option<Limiter> {
    let processors::Config::MemoryLimiter(config) = config else { return None };
    Some(match config.limit_mib {
        0 => Limiter::Percentage(config.limit_percentage.into()),
        mib => Limiter::Mib(mib.into()),
    })
}

fn batch_items(config: &processors::Config) -> Option<u64> {
    let processors::Config::Batch(config) = config else { return None };
    Some(config.send_batch_size.into())
}

/// The configuration with the variable of the node's name in place of the node, and these variables. They are looked up in the
/// environment of the process, which here is not that of the container; whether the container has them is a check of its own.
fn with_the_node_named(text: &str) -> (String, Vec<String>) {
    let pattern = r#"node_from_env_var:\s*["']?([A-Za-z_][A-Za-z0-9_]*)["']?"#;
    let Ok(pattern) = regex::Regex::new(pattern) else { return (text.to_owned(), Vec::new()) };
    let variables = pattern.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str().to_owned()));
    (pattern.replace_all(text, "node: $1").into_owned(), variables.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_that_of_the_container() {
        let text = "processors: {k8s_attributes: {filter: {node_from_env_var: \"MY_NODE\"}}}";
        let (here, variables) = with_the_node_named(text);
        assert_eq!(here, "processors: {k8s_attributes: {filter: {node: MY_NODE}}}");
        assert_eq!(variables, ["MY_NODE"]);
    }

    #[test]
    fn a_configuration_that_does_not_look_at_the_senders_uid_is_told() {
        let asked = |association: &str| {
            let text = format!(
                "receivers: {{otlp: {{protocols: {{grpc: }}}}}}\nprocessors: {{k8s_attributes/a: {{{association}}}}}\n\
                 exporters: {{debug: }}\nservice: {{pipelines: {{logs: {{receivers: [otlp], processors: [k8s_attributes/a], \
                 exporters: [debug]}}}}}}\n"
            );
            let understood = understand(&text, &Container::default());
            assert!(understood.errors.is_empty(), "{:?}", understood.errors);
            understood.not_by_uid.iter().map(|one| (one.processor.clone(), one.is_listed)).collect::<Vec<_>>()
        };
        let one = |is_listed| [("k8s_attributes/a".to_owned(), is_listed)];
        let (uid, ip) = ("{from: resource_attribute, name: k8s.pod.uid}", "{from: connection}");
        assert_eq!(asked(""), one(false));
        assert_eq!(asked(&format!("pod_association: [{{sources: [{ip}]}}]")), one(true));
        // Both have to agree, so that an address that hides the sender is in the way.
        assert_eq!(asked(&format!("pod_association: [{{sources: [{uid}, {ip}]}}]")), one(true));
        assert_eq!(asked(&format!("pod_association: [{{sources: [{ip}]}}, {{sources: [{uid}]}}]")), []);
        assert_eq!(asked("passthrough: true"), []);
    }
}
