//! The agent's own metrics, logs and figures of its process.
