//! The agent beside the old collector, by server-side apply. What somebody else has written into objects of its name is found
//! before anything is changed, and is taken over only when that was asked for.

use anyhow::{Context as _, bail};
use http::Method;
use kube::Client;
use serde_json::Value;

use super::conflict::{Conflict, conflicts, refusal};
use super::defaults::with_defaults;
use super::{Done, path_of, reference, send, so_far, told};
use crate::migration::Report;
use crate::migration::live::get;
use crate::migration::objects::{name, text};

/// Who the API server is told to be the owner of the fields.
const MANAGER: &str = "otel-agent";

/// What was chosen for the step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices {
    /// Although parts of the old configuration do not run.
    pub accept_gaps: bool,
    /// Although fields of objects that are there have other owners: they are taken over.
    pub force_conflicts: bool,
}

/// Puts the agent beside the old collector.
///
/// # Errors
/// There are gaps that were not accepted, or fields with other owners that shall not be taken over: nothing is changed then. Or the API
/// server refused an object: those before it are there then, and named.
pub async fn agent(client: &Client, report: &Report, objects: &[Value], choices: Choices) -> anyhow::Result<Done> {
    without_gaps(report, choices)?;
    let objects: Vec<Value> = objects.iter().cloned().map(with_defaults).collect();
    let mut there = Vec::new();
    let mut owned = Vec::new();
    for object in &objects {
        let path = path_of(object)?;
        let is_there = get(client, &path).await.is_ok();
        there.push(is_there);
        if is_there {
            let url = format!("{path}?fieldManager={MANAGER}&dryRun=All");
            // Whatever else is wrong is told when it is applied: not every webhook can be asked without being used.
            if let Err(error) = apply(client, &url, object).await? {
                let of_others = conflicts(&error);
                owned.extend((!of_others.is_empty()).then(|| (reference(object), of_others)));
            }
        }
    }
    if !owned.is_empty() && !choices.force_conflicts {
        bail!(refusal(&owned, report));
    }
    let mut done = Done::default();
    let mut created = Vec::new();
    for (object, is_there) in objects.iter().zip(there) {
        let force = if choices.force_conflicts { "&force=true" } else { "" };
        let url = format!("{}?fieldManager={MANAGER}{force}", path_of(object)?);
        let what = format!("{} {}", text(object, "/kind"), name(object));
        if let Err(error) = apply(client, &url, object).await? {
            let refused = format!("{what} was refused; {}", so_far(&done.did));
            return Err(told(&error)).with_context(|| refused);
        }
        let taken = owned.iter().filter(|(own, _)| *own == reference(object)).flat_map(|(_, conflicts)| conflicts);
        let taken: Vec<String> = taken.map(Conflict::to_string).collect();
        let taken = if taken.is_empty() { String::new() } else { format!(", taken over from {}", taken.join("; ")) };
        done.did.push(format!("{what} {}{taken}", if is_there { "brought up to date" } else { "created" }));
        if !is_there {
            created.push(reference(object));
        }
    }
    let (kubectl, namespace) = (&report.target.kubectl, &report.target.namespace);
    done.undo = created.iter().rev().map(|reference| format!("{kubectl} delete {reference}")).collect();
    done.did.push(format!("next: {kubectl} rollout status daemonset/{} -n {namespace}", report.target.name));
    Ok(done)
}

fn without_gaps(report: &Report, choices: Choices) -> anyhow::Result<()> {
    let gaps: Vec<&str> = report.configuration.gaps().map(|gap| gap.path.as_str()).collect();
    if report.configuration.text.is_empty() {
        bail!("no pipeline of the old configuration runs here; nothing was changed");
    }
    if !gaps.is_empty() && !choices.accept_gaps {
        bail!(
            "{} of the old configuration would not run in the agent: {}. Nothing was changed; read what the report (the same command \
             without --apply) says of {}, and add --accept-gaps when the agent shall do without",
            if gaps.len() == 1 { "a part" } else { "parts" },
            gaps.join(", "),
            if gaps.len() == 1 { "it" } else { "each" },
        );
    }
    Ok(())
}

async fn apply(client: &Client, url: &str, object: &Value) -> anyhow::Result<Result<Value, kube::Error>> {
    send(client, Method::PATCH, url, "application/apply-patch+yaml", object).await
}
