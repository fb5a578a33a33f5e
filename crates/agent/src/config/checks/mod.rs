//! What is checked across components. Each check is one file and reports into the same list.

/// Everything that is named is configured, and fits where it is named.
pub(super) mod references;

/// Processors stand in an order that works.
pub(super) mod order;

/// Ports, authenticators and memory do not stand in each other's way.
pub(super) mod needs;

/// Limits for pods have somebody who knows the pods.
pub(super) mod limits;

/// What is taken from the environment is there.
pub(super) mod environment;

/// What is configured is used.
pub(super) mod unused;

use crate::settings::setting::place_below;
use crate::settings::{Node, Place};

/// The place of a path in the tree that the configuration was read from; its beginning for what is not written.
fn place_of(tree: &Node, path: &str) -> Place {
    place_below(tree, tree.place, path)
}
