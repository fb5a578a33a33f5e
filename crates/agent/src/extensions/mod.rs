//! Extensions: what stands beside the pipelines (health, authenticators). A closed enum.
