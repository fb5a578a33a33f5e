//! Keys and components that the agent's own loader refuses: they are taken off, each with its reason.

use serde_json::Value;

use super::Support;
use super::carry::{Carrying, SECTIONS, State};

impl Carrying<'_> {
    /// Takes off each key that the agent's loader refuses, until it refuses nothing.
    pub(super) fn take_off_what_is_refused(&mut self, support: Support<'_>, variables: &[(String, String)]) {
        // Each round takes something off; a configuration has less to take off than this.
        for _ in 0..50 {
            if self.pipelines().next().is_none() {
                return;
            }
            let Ok(text) = serde_saphyr::to_string(&self.config) else { return };
            let wrong = (support.errors)(&text, variables);
            let mut helped = false;
            for wrong in &wrong {
                helped |= self.take_off(&wrong.path, &wrong.what, &wrong.remedy);
            }
            if wrong.is_empty() {
                return;
            }
            if !helped {
                for wrong in wrong {
                    self.say(&wrong.path, State::LeftOut, wrong.what, wrong.remedy);
                }
                self.config.insert("service".to_owned(), Value::Null);
                return;
            }
            self.prune();
        }
    }

    /// Takes off what stands at a path. `false` if there is nothing that may go.
    fn take_off(&mut self, path: &str, what: &str, remedy: &str) -> bool {
        let keys: Vec<&str> = path.split("::").collect();
        match keys.as_slice() {
            [section, id] if SECTIONS.iter().any(|(known, _)| known == section) => {
                if self.component(section, id).is_none() {
                    return false;
                }
                self.say(path, State::LeftOut, what, remedy);
                self.remove(section, id);
                true
            }
            [section, id, below @ ..] if SECTIONS.iter().any(|(known, _)| known == section) => {
                let component = self.config.get_mut(*section).and_then(|components| components.get_mut(*id));
                let gone = component.is_some_and(|component| remove_at(component, below));
                // What is missing cannot be taken off: the component goes as a whole.
                if !gone {
                    return self.take_off(
                        &format!("{section}::{id}"),
                        &format!("{}: {what}", below.join("::")),
                        remedy,
                    );
                }
                self.say(path, State::LeftOut, what, remedy);
                true
            }
            ["service", "telemetry", below @ ..] if !below.is_empty() => {
                let telemetry = self.config.get_mut("service").and_then(|service| service.get_mut("telemetry"));
                let gone = telemetry.is_some_and(|telemetry| remove_at(telemetry, below));
                if gone {
                    self.say(path, State::Changed, format!("taken off: {what}"), remedy);
                }
                gone
            }
            [section] if !SECTIONS.iter().any(|(known, _)| known == section) && *section != "service" => {
                let gone = self.config.shift_remove(*section).is_some();
                if gone {
                    self.say(path, State::LeftOut, what, remedy);
                }
                gone
            }
            _ => false,
        }
    }
}

/// Removes a key below a value. `false` if it is not there.
fn remove_at(value: &mut Value, keys: &[&str]) -> bool {
    match keys {
        [] => false,
        [last] => match value {
            Value::Object(map) => map.shift_remove(*last).is_some(),
            Value::Array(list) => {
                last.parse().ok().filter(|at: &usize| *at < list.len()).map(|at| list.remove(at)).is_some()
            }
            _ => false,
        },
        [first, rest @ ..] => {
            let below = match value {
                Value::Object(map) => map.get_mut(*first),
                Value::Array(list) => first.parse().ok().and_then(|at: usize| list.get_mut(at)),
                _ => None,
            };
            below.is_some_and(|below| remove_at(below, rest))
        }
    }
}
