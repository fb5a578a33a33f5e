//! Who the agents are in the cluster, and where they are reached: what belongs to others there as often as to the agent.

use std::collections::BTreeMap;

use super::Values;
use super::macros::values;

values! {
    /// The account of the agents.
    pub struct ServiceAccount {
        /// Whether it is rendered. If not, one of that name has to be there.
        pub create: bool = true,
        /// Its name. When it is empty: `otel-agent`, or the account `default` of the namespace where none is rendered.
        pub name: String = String::new(),
        /// Its annotations, by which clouds give rights of their own to it.
        pub annotations: BTreeMap<String, String> = BTreeMap::new(),
    }
}

values! {
    /// What the account may do.
    pub struct Rbac {
        /// Whether roles and bindings with what the configuration needs are rendered. If not, somebody else has to give these rights.
        pub create: bool = true,
    }
}

values! {
    /// The Service that applications send to.
    pub struct Service {
        /// Whether it is rendered.
        pub enabled: bool = true,
        /// Its annotations.
        pub annotations: BTreeMap<String, String> = BTreeMap::new(),
    }
}

impl Values {
    /// The name of the agents' account.
    #[must_use]
    pub fn account(&self) -> &str {
        match self.service_account.name.as_str() {
            "" if self.service_account.create => crate::manifests::NAME,
            "" => "default",
            name => name,
        }
    }
}
