//! What components take from the environment is there: the name of the node.

use crate::config::World;
use crate::config::checks::place_of;
use crate::config::written::Config;
use crate::processors;
use crate::settings::Problems;

/// Checks what is written against the environment variables of the world that it is loaded in.
pub(in crate::config) fn check(config: &Config, world: &World<'_>, problems: &mut Problems) {
    for (id, written) in &config.processors {
        let Some(processors::Config::K8sAttributes(settings)) = &written.config else { continue };
        let Some(flaw) = settings.node_flaw(world.variable) else { continue };
        let path = format!("processors::{id}::{}", flaw.at);
        let place = place_of(&config.tree, &path);
        if flaw.only_here {
            // Where it is checked need not be where it runs; the start looks again and fails.
            problems.warning(&path, place, flaw.what, flaw.remedy);
        } else {
            problems.error(&path, place, flaw.what, flaw.remedy);
        }
    }
}
