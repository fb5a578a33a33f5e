//! `attributes`: changes attributes of spans, log records and data points.

use wire::Signal;

use super::actions::{Action, Actions};
use super::matching::{Filter, Match};
use crate::component::{About, Component, Status};
use crate::pipeline::{Batch, Process, Rejected};
use crate::settings::{Reader, settings};

settings! {
    /// Changes attributes of spans, log records and data points; those of resources and scopes stay as they are.
    pub struct Config {
        /// What to do, in this order.
        required pub actions: Vec<Action>,
        /// Only what meets these conditions is changed.
        pub include: Option<Match> = None,
        /// What meets these conditions stays as it is; asked after `include`.
        pub exclude: Option<Match> = None,
    }
    check Config::check
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.actions.is_empty() {
            cx.error_at("actions", "missing required field \"actions\"", "list at least one action");
        }
    }

    /// What is wrong with it in a pipeline of this signal.
    ///
    /// # Errors
    /// The key to blame, and why: a condition that the signal does not have.
    pub fn check_for(&self, signal: Signal) -> Result<(), (&'static str, String)> {
        for (key, conditions) in [("include", &self.include), ("exclude", &self.exclude)] {
            if let Some(Err(what)) = conditions.as_ref().map(|conditions| conditions.check_for(signal)) {
                return Err((key, what));
            }
        }
        Ok(())
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "attributes",
        formerly: None,
        summary: "changes attributes of spans, log records and data points",
        status: Status::Beta,
        signals: &Signal::ALL,
    };
}

/// The processor of one pipeline.
#[derive(Debug)]
pub struct Attributes {
    actions: Actions,
    filter: Filter,
}

impl Attributes {
    /// Makes it ready for a pipeline of this signal.
    ///
    /// # Errors
    /// What is wrong with an action, or a condition that the signal does not have.
    pub fn new(config: &Config, signal: Signal) -> Result<Attributes, String> {
        let filter = Filter::compile(config.include.as_ref(), config.exclude.as_ref(), signal)?;
        Ok(Attributes { actions: Actions::compile(&config.actions)?, filter })
    }
}

impl Process for Attributes {
    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected> {
        let bound = self.actions.bind(&batch.origin);
        let actions = bound.as_ref().unwrap_or(&self.actions);
        let body = wire::edit(batch.signal, &batch.body, wire::Level::Item, &mut |attributes| {
            if self.filter.takes(attributes) {
                actions.apply(attributes);
            }
        });
        batch.with_body(body).map(Some)
    }
}
