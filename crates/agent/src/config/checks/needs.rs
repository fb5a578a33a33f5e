//! What components need does not clash: ports, authenticators, memory.

use crate::component::{ExtensionNeed, Listener, Needs};
use crate::config::World;
use crate::config::checks::place_of;
use crate::config::plan::Plan;
use crate::config::written::Config;
use crate::extensions;
use crate::settings::{Endpoint, Problems};

/// Checks the needs of everything that will be run.
pub(in crate::config) fn check(config: &Config, plan: &Plan, world: &World<'_>, problems: &mut Problems) {
    let needs = plan.needs();
    check_ports(config, plan, &needs, problems);
    for (path, needs) in &needs {
        for need in &needs.extensions {
            check_extension(config, path, need, problems);
        }
        check_memory(config, path, needs, world, problems);
    }
}

fn check_ports(config: &Config, plan: &Plan, needs: &[(String, Needs)], problems: &mut Problems) {
    let own = plan.telemetry.metrics.endpoints();
    let own = own.map(|own| ("service::telemetry::metrics", Listener::tcp(&own.endpoint(), "readers")));
    let of_component = |(path, needs): &'_ (String, Needs)| {
        needs.listeners.iter().map(|listener| (path.clone(), listener.clone())).collect::<Vec<_>>()
    };
    let all = own.map(|(path, listener)| (path.to_owned(), listener)).chain(needs.iter().flat_map(of_component));
    let mut taken: Vec<(String, Listener)> = Vec::new();
    for (component, listener) in all {
        let clash = taken.iter().find(|(_, other)| {
            other.transport == listener.transport && other.endpoint.clashes_with(&listener.endpoint)
        });
        if let Some((other, at)) = clash {
            let path = format!("{component}::{}", listener.key);
            let what = format!("port {} is already taken by {other} ({})", listener.endpoint.port, at.endpoint);
            let remedy = format!("give one of them another port, for instance {}", one_up(&listener.endpoint));
            problems.error(&path, place_of(&config.tree, &path), what, remedy);
        }
        taken.push((component, listener));
    }
}

fn one_up(endpoint: &Endpoint) -> Endpoint {
    Endpoint { port: endpoint.port.wrapping_add(1).max(1024), host: endpoint.host.clone() }
}

fn check_extension(config: &Config, component: &str, need: &ExtensionNeed, problems: &mut Problems) {
    let path = format!("{component}::{}", need.key);
    let place = place_of(&config.tree, &path);
    let id = &need.id;
    let role = need.role.as_str();
    let Some(written) = config.extensions.get(id) else {
        let known = config.extensions.keys().map(ToString::to_string).collect::<Vec<_>>();
        let remedy = match crate::settings::nearest(&id.to_string(), known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `{id}:` under `extensions:` and to `service::extensions`"),
        };
        problems.error(&path, place, format!("references extension \"{id}\" which is not configured"), remedy);
        return;
    };
    if !config.service.extensions.contains(id) {
        let what = format!("the extension \"{id}\" is not started");
        problems.error(&path, place, what, format!("add it to `service::extensions: [{id}]`"));
    }
    let offers = written.config.as_ref().map(extensions::Config::offers);
    if offers.is_some_and(|offers| !offers.contains(&need.role)) {
        problems.error(&path, place, format!("requested extension \"{id}\" is not a {role}"), "name another one");
    }
}

fn check_memory(config: &Config, component: &str, needs: &Needs, world: &World<'_>, problems: &mut Problems) {
    let (Some(limit), Some(container)) = (needs.memory_limit, world.memory_limit) else { return };
    if limit < container {
        return;
    }
    let mib = |bytes: u64| bytes >> 20;
    let path = format!("{component}::limit_mib");
    let what = format!(
        "the limit of {} MiB is not below the container's memory limit of {} MiB: the kernel kills the agent before \
         the limiter refuses anything",
        mib(limit),
        mib(container),
    );
    let remedy = format!("write `limit_mib: {}` (80 %), or raise the container's limit", mib(container) * 8 / 10);
    problems.warning(&path, place_of(&config.tree, &path), what, remedy);
}
