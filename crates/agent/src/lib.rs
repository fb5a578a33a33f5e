//! otel-agent: the OpenTelemetry agent that runs once on every node of a Kubernetes cluster.
//!
//! Applications on the node send it OTLP; it adds attributes, batches within a hard memory budget, and hands on. This
//! library is the program in reading order: a room uses only rooms further down.

pub mod cli;

pub mod agent;

pub mod config;

pub mod receivers;

pub mod processors;

pub mod exporters;

pub mod extensions;

pub mod component;

pub mod pipeline;

pub mod kubernetes;

pub mod telemetry;

pub mod net;

pub mod settings;
