//! `otel-agent healthcheck`: asks a running agent whether it takes data. For exec probes, which the image has no shell for.

use std::process::ExitCode;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::timeout;

use super::{Sources, applet, run};
use crate::config::{self, Loaded};
use crate::extensions;
use crate::net::get::{self, Error, Url};
use crate::settings::Endpoint;

/// `otel-agent healthcheck`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to ask [default: http://localhost:13133]
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "set"])]
    endpoint: Option<String>,
    /// Give up after this long; less than the probe's timeoutSeconds
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = run::duration)]
    timeout: Duration,
    #[command(flatten)]
    sources: Sources,
}

/// What is shown of an answer.
const SHOWN: usize = 300;

const DEFAULT: &str = "http://localhost:13133";

/// Asks, prints one line, and returns the exit code: 0 if the agent takes data.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let outcome = target(arguments).and_then(|url| applet::block_on(ask(&url, arguments.timeout))?);
    match outcome {
        Ok(line) => {
            anstream::println!("{line}");
            ExitCode::SUCCESS
        }
        Err(line) => {
            anstream::eprintln!("not healthy: {line}");
            ExitCode::FAILURE
        }
    }
}

fn target(arguments: &Arguments) -> Result<Url, String> {
    if let Some(endpoint) = &arguments.endpoint {
        return Url::parse(endpoint);
    }
    let request = arguments.sources.request();
    if request.configs.is_empty() && request.sets.is_empty() {
        return Url::parse(DEFAULT);
    }
    configured(&config::load(&request))
}

/// Where the configuration has its health check. Errors elsewhere in it do not matter: the agent goes on with the one it
/// has when a new one is bad, and must not be killed by its probe for that.
fn configured(loaded: &Loaded) -> Result<Url, String> {
    let named = loaded.config.service.extensions.iter();
    let mut configs = named.filter_map(|id| loaded.config.extensions.get(id)?.config.as_ref());
    let found = configs.find_map(|config| match config {
        extensions::Config::HealthCheck(config) => Some(config),
        _ => None,
    });
    let Some(found) = found else {
        if loaded.problems.any_errors() {
            return Url::parse(DEFAULT);
        }
        return Err("the configuration has no health_check among service::extensions, so there is nothing to ask; \
                    add it, or say where with --endpoint"
            .to_owned());
    };
    Url::parse(&format!("http://{}{}", reachable(&found.endpoint), found.path))
}

/// What to dial for what is listened on.
fn reachable(endpoint: &Endpoint) -> Endpoint {
    if endpoint.is_everywhere() { Endpoint::localhost(endpoint.port) } else { endpoint.clone() }
}

async fn ask(url: &Url, patience: Duration) -> Result<String, String> {
    let asking = async {
        let mut answer = get::get(url, &HeaderMap::new(), &mut |_| ()).await?;
        let text = answer.beginning(SHOWN).await?;
        Ok::<_, Error>((answer.head.status, text))
    };
    let answered = timeout(patience, asking).await.map_err(|_| format!("{url}: no answer within {patience:?}"))?;
    let (status, text) = answered.map_err(|error| format!("{url}: {error}{}", hint(&error)))?;
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if status.is_success() {
        Ok(format!("healthy: {url} answered {}: {text}", status.as_u16()))
    } else {
        Err(format!("{url} answered {status}: {text}"))
    }
}

fn hint(error: &Error) -> &'static str {
    match error {
        Error::Connect(_) => "; the agent does not run, or has no health_check there (see --endpoint and --config)",
        Error::Resolve(_) | Error::Exchange(..) => "",
    }
}
