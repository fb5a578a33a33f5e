//! `resource`: changes attributes of resources.

use wire::Signal;

use super::actions::{Action, Actions};
use crate::component::{About, Component, Status};
use crate::pipeline::{Batch, Process, Rejected};
use crate::settings::{Reader, settings};

settings! {
    /// Changes attributes of every resource.
    pub struct Config {
        /// What to do, in this order.
        required pub attributes: Vec<Action>,
    }
    check Config::check
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.attributes.is_empty() {
            cx.error_at("attributes", "missing required field \"attributes\"", "list at least one action");
        }
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "resource",
        formerly: None,
        summary: "changes attributes of resources",
        status: Status::Beta,
        signals: &Signal::ALL,
    };
}

/// The processor.
#[derive(Debug)]
pub struct Resource {
    actions: Actions,
}

impl Resource {
    /// Makes it ready.
    ///
    /// # Errors
    /// What is wrong with an action; reading the settings has found the same.
    pub fn new(config: &Config) -> Result<Resource, String> {
        Ok(Resource { actions: Actions::compile(&config.attributes)? })
    }
}

impl Process for Resource {
    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected> {
        let bound = self.actions.bind(&batch.origin);
        let actions = bound.as_ref().unwrap_or(&self.actions);
        let body = match actions.edits() {
            Some(edits) => wire::splice(batch.signal, &batch.body, edits),
            None => wire::edit(batch.signal, &batch.body, wire::Level::Resource, &mut |attributes| {
                actions.apply(attributes);
            }),
        };
        batch.with_body(body).map(Some)
    }
}
