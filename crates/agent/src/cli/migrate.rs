//! `otel-agent migrate`: from a collector that is deployed to an agent on each node. Without `--apply` it changes nothing.

/// What the agent knows of configurations.
mod support;

/// The objects of the agent, rendered with the configuration that was carried over.
mod beside;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use cluster::manifests::{Object, yaml};
use cluster::migration::{Objects, Report, Target, apply, examine, live};
use cluster::snapshot::connect::Access;
use cluster::values::Profile;

/// The arguments of `migrate`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  otel-agent migrate                                     find the collector, say what would be done\n  \
    otel-agent migrate --from otel/collector --apply agent\n  otel-agent migrate --from otel/collector --apply applications \
    --application shop/checkout\n  otel-agent migrate --from otel/collector --apply delete-old\n  otel-agent migrate --file \
    collector.yaml --manifests-to agent.yaml   from files, without a cluster"
)]
pub(crate) struct Arguments {
    /// The old collector: namespace/name of a Deployment, DaemonSet, StatefulSet or OpenTelemetryCollector [default: the only one]
    #[arg(long, value_name = "NAMESPACE/NAME")]
    from: Option<String>,
    /// Files with its objects instead of a cluster; `-` is standard input; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kubeconfig", "context", "apply"])]
    file: Vec<String>,
    /// Its configuration, where the objects do not hold it
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Values for the agent's manifests, as of `otel-agent manifests`
    #[arg(long, value_name = "FILE")]
    values: Option<String>,
    /// How large the agents are: low, default or high
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// The image of the agents
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The namespace of the agents [default: open-telemetry]
    #[arg(long, value_name = "NAMESPACE")]
    agent_namespace: Option<String>,
    /// Writes the agent's manifests to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    manifests_to: Option<PathBuf>,
    /// How long the flow is looked at; at least as long as the old collector's batches wait
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    watch: f64,
    /// Does one step, and nothing else
    #[arg(long, value_enum, value_name = "STEP")]
    apply: Option<Step>,
    /// With --apply applications: only this one
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "apply")]
    application: Option<String>,
    /// With --apply agent: although parts of the old configuration do not run
    #[arg(long, requires = "apply")]
    accept_gaps: bool,
    /// With --apply agent: takes over fields of objects that are there and that somebody else has set, `kubectl apply` for instance
    #[arg(long, requires = "apply")]
    force_conflicts: bool,
    /// With --apply delete-old: where what is deleted is kept
    #[arg(long, value_name = "FILE", default_value = "otel-agent-migrate-undo.yaml", requires = "apply")]
    undo_file: PathBuf,
    /// A kubeconfig file [default: KUBECONFIG, ~/.kube/config, or the pod's service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// How the report is written
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// Put the agent beside the old collector
    Agent,
    /// Let the applications send to the agent
    Applications,
    /// Delete the old collector
    DeleteOld,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Reports, or does one step. Exit code 1 if it could not.
pub(crate) fn main(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            super::report::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !(arguments.watch.is_finite() && (1.0..=600.0).contains(&arguments.watch)) {
        bail!("--watch is 1 to 600 seconds, not {}", arguments.watch);
    }
    if arguments.application.is_some() && arguments.apply != Some(Step::Applications) {
        bail!("--application goes with --apply applications");
    }
    let access = Access { kubeconfig: arguments.kubeconfig.clone(), context: arguments.context.clone() };
    let values = beside::values(arguments)?;
    let target = Target {
        namespace: values.namespace.clone(),
        name: cluster::manifests::NAME.to_owned(),
        kubectl: if arguments.file.is_empty() { access.kubectl() } else { "kubectl".to_owned() },
    };
    if arguments.file.is_empty() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(in_cluster(arguments, &access, values, target));
    }
    let texts =
        arguments.file.iter().map(|file| Ok((file.clone(), text_of(file)?))).collect::<anyhow::Result<Vec<_>>>()?;
    let objects = Objects::from_texts(&texts, &support::read)?;
    let report = examined(arguments, &objects, target)?;
    let rendered = beside::render(&report, values);
    say(arguments, &report)?;
    write_manifests(arguments, rendered)
}

async fn in_cluster(
    arguments: &Arguments,
    access: &Access,
    values: cluster::values::Values,
    target: Target,
) -> anyhow::Result<()> {
    let client = access.client()?;
    let namespace = arguments.from.as_deref().and_then(|from| from.split_once('/')).map(|(namespace, _)| namespace);
    let objects = live::read(&client, namespace).await?;
    let mut report = examined(arguments, &objects, target)?;
    let rendered = beside::render(&report, values);
    if arguments.apply != Some(Step::Agent) {
        let seconds = arguments.watch.max(report.from.longest_batch().min(600.0) + 1.0);
        live::look(&client, &mut report, seconds).await;
    }
    let done = match arguments.apply {
        None => {
            say(arguments, &report)?;
            return write_manifests(arguments, rendered);
        }
        Some(Step::Agent) => {
            let objects: Vec<serde_json::Value> = rendered?.into_iter().map(|object| object.value).collect();
            let choices =
                apply::Choices { accept_gaps: arguments.accept_gaps, force_conflicts: arguments.force_conflicts };
            apply::agent(&client, &report, &objects, choices).await?
        }
        Some(Step::Applications) => apply::applications(&client, &report, arguments.application.as_deref()).await?,
        Some(Step::DeleteOld) => apply::delete_old(&client, &report, &arguments.undo_file).await?,
    };
    let mut text = String::from("Done:\n");
    done.did.iter().for_each(|line| text += &format!("  {line}\n"));
    if !done.undo.is_empty() {
        text += "To undo it:\n";
        done.undo.iter().for_each(|line| text += &format!("  $ {line}\n"));
    }
    print(&text)
}

fn examined(arguments: &Arguments, objects: &Objects, target: Target) -> anyhow::Result<Report> {
    let config = arguments.config.as_ref().map(|file| Ok::<_, anyhow::Error>((text_of(file)?, file))).transpose()?;
    let config = config.as_ref().map(|(text, file)| (text.as_str(), file.as_str()));
    examine(objects, arguments.from.as_deref(), config, target, support::SUPPORT)
}

fn say(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    // Manifests on standard output are for `kubectl apply -f -`: the report goes where it does not disturb.
    let text = match arguments.output {
        Output::Text => report.text(),
        Output::Json => serde_json::to_string_pretty(report)? + "\n",
    };
    if arguments.manifests_to.as_deref().is_some_and(|file| file.as_os_str() == "-") {
        anstream::eprint!("{text}");
        return Ok(());
    }
    print(&text)
}

fn write_manifests(arguments: &Arguments, rendered: anyhow::Result<Vec<Object>>) -> anyhow::Result<()> {
    let Some(file) = &arguments.manifests_to else {
        if let Err(error) = rendered {
            anstream::eprintln!("\nThe agent's manifests cannot be rendered yet: {error:#}");
        }
        return Ok(());
    };
    let text = yaml(&rendered?);
    if file.as_os_str() == "-" {
        return print(&text);
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    if arguments.output == Output::Text {
        print(&format!("\nThe agent's manifests are in {}: kubectl apply -f {0}\n", file.display()))?;
    }
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

fn text_of(file: &str) -> anyhow::Result<String> {
    if file == "-" {
        return std::io::read_to_string(std::io::stdin()).context("cannot read standard input");
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))
}

#[cfg(test)]
mod tests;
