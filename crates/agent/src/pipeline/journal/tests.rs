/// A disk in memory that fails when it is told to, and forgets what was not synced.
mod sim;

/// What is found after a crash at any point.
mod store;

/// The format.
mod format;

/// The journal with its thread, and what tickets do to it.
mod journal;
