//! What is wrong with the choices, taken together with the configuration: all of it, each with what to do.

mod access;
mod gateway;
mod memory;
mod monitoring;
mod placement;
mod reach;
mod settings;

use super::Values;
use crate::problem::Problem;
use crate::workload::Workload;

/// What every check reads.
pub(super) struct Check<'a> {
    pub(super) values: &'a Values,
    pub(super) workload: &'a Workload,
}

impl Values {
    /// Everything that is wrong with the choices, for this configuration.
    #[must_use]
    pub fn problems(&self, workload: &Workload) -> Vec<Problem> {
        let check = Check { values: self, workload };
        let mut problems = Vec::new();
        settings::check(&check, &mut problems);
        access::check(&check, &mut problems);
        reach::check(&check, &mut problems);
        placement::check(&check, &mut problems);
        memory::check(&check, &mut problems);
        gateway::check(&check, &mut problems);
        monitoring::check(&check, &mut problems);
        problems
    }
}
