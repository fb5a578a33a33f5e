//! What a check looks at when it looks at one agent, and the commands that are about that agent.

use super::{Context, Finding};
use crate::snapshot::{Agent, Snapshot};

/// One agent in the cluster.
pub(super) struct Seeing<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) context: &'a Context<'a>,
    pub(super) agent: &'a Agent,
}

impl Seeing<'_> {
    /// A command of `kubectl` in the agent's namespace.
    pub(super) fn kubectl(&self, command: &str) -> String {
        self.context.kubectl_for(self.agent, command)
    }
}

/// What `of_agent` finds, for each of the agents.
pub(super) fn at_each_agent(
    snapshot: &Snapshot,
    context: &Context<'_>,
    of_agent: fn(&Seeing<'_>) -> Vec<Finding>,
) -> Vec<Finding> {
    snapshot.agents.iter().flat_map(|agent| of_agent(&Seeing { snapshot, context, agent })).collect()
}
