//! What is deployed to, and found in, a Kubernetes cluster. It knows nothing of the data path: what a configuration needs
//! of its pod is handed to it as plain values, so that everything here can be read, tested and compiled without the agent.

/// What a load costs, and how to deploy for it: `otel-agent plan`.
pub mod sizing;

/// What a configuration asks of the pod that it runs in.
pub mod workload;

/// What a person may choose about a deployment.
pub mod values;

/// The objects of a deployment.
pub mod manifests;

/// `--output helm`: a chart with a template for each object.
pub mod chart;

/// `--output kustomize`: a base and overlays.
pub mod kustomize;

/// A folder of files that the program has made.
pub mod folder;

/// What is wrong with what was chosen.
pub mod problem;

mod nearest;

/// What was seen of a cluster.
pub mod snapshot;

/// What is wrong with the agent there, and what mends it.
pub mod doctor;

/// From a collector to an agent on each node: `otel-agent migrate`.
pub mod migration;
