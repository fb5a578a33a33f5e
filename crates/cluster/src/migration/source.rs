//! Where the configuration of the old collector is: what its `--config` leads to.

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::found::Found;
use super::objects::{Objects, list, text};

/// The text of the configuration, where it is from, and the ConfigMap that it is in.
pub(super) fn configuration(
    objects: &Objects,
    found: &Found,
    object: &Value,
) -> anyhow::Result<(String, String, Option<String>)> {
    if found.kind == "OpenTelemetryCollector" {
        let place = format!("OpenTelemetryCollector {}/{}, spec.config", found.namespace, found.name);
        return match object.pointer("/spec/config") {
            Some(Value::String(text)) => Ok((text.clone(), place, None)),
            Some(config @ Value::Object(_)) => Ok((config.to_string(), place, None)),
            _ => bail!("{place} is not there"),
        };
    }
    let container = found.container().ok_or_else(|| anyhow!("{} has no container", found.reference()))?;
    let arguments: Vec<&str> =
        list(container, "/command").iter().chain(list(container, "/args")).filter_map(Value::as_str).collect();
    let mut sources = Vec::new();
    for (at, argument) in arguments.iter().enumerate() {
        match argument.strip_prefix("--config") {
            Some("") => sources.extend(arguments.get(at + 1).copied()),
            Some(value) => sources.extend(value.strip_prefix('=')),
            None => {}
        }
    }
    let source = match sources.as_slice() {
        [] => "/etc/otelcol/config.yaml",
        [one] => one,
        several => bail!(
            "{} merges several configurations ({}); write the merged one to a file with `otelcol print-config` and give it with \
             --config FILE",
            found.reference(),
            several.join(", ")
        ),
    };
    if let Some(variable) = source.strip_prefix("env:") {
        let value = list(container, "/env").iter().find(|env| text(env, "/name") == variable);
        let value = value.and_then(|env| env.get("value")).and_then(Value::as_str);
        let place = format!("{}, environment variable {variable}", found.reference());
        return value
            .map(|value| (value.to_owned(), place.clone(), None))
            .ok_or_else(|| anyhow!("{place} is not written there; give the configuration with --config FILE"));
    }
    if let Some(inline) = source.strip_prefix("yaml:") {
        return Ok((inline.to_owned(), format!("{}, --config", found.reference()), None));
    }
    let path = source.strip_prefix("file:").unwrap_or(source);
    let (config_map, key) = mounted(found, container, path).ok_or_else(|| {
        anyhow!(
            "{}: {path} is not mounted from a ConfigMap; give the configuration with --config FILE",
            found.reference()
        )
    })?;
    let place = format!("ConfigMap {}/{config_map}", found.namespace);
    let map = objects.one("ConfigMap", &found.namespace, &config_map);
    let data = map.and_then(|map| map.pointer("/data")).and_then(Value::as_object).ok_or_else(|| {
        anyhow!("{place}, which holds the configuration, was not read; add it with --file, or give the configuration with --config FILE")
    })?;
    let only = || data.iter().next().filter(|_| data.len() == 1);
    let (key, text) = data.get_key_value(&key).or_else(only).ok_or_else(|| anyhow!("{place} has no key {key}"))?;
    Ok((text.as_str().unwrap_or_default().to_owned(), format!("{place}, key {key}"), Some(config_map)))
}

/// The ConfigMap that a path of a container is mounted from, and the key.
fn mounted(found: &Found, container: &Value, path: &str) -> Option<(String, String)> {
    list(container, "/volumeMounts").iter().find_map(|mount| {
        let rest = path.strip_prefix(text(mount, "/mountPath").trim_end_matches('/'))?;
        let sub_path = text(mount, "/subPath");
        let file = if rest.is_empty() && !sub_path.is_empty() { sub_path } else { rest.strip_prefix('/')? };
        let volumes = list(&found.template, "/spec/volumes");
        let volume = volumes.iter().find(|volume| text(volume, "/name") == text(mount, "/name"))?;
        let config_map = text(volume, "/configMap/name");
        let item = list(volume, "/configMap/items").iter().find(|item| text(item, "/path") == file);
        let key = item.map_or(file, |item| text(item, "/key"));
        (!config_map.is_empty()).then(|| (config_map.to_owned(), key.to_owned()))
    })
}
