//! Extensions: what stands beside the pipelines (health, authenticators). A closed enum.

/// Says over HTTP whether the agent takes data.
pub mod health_check;

/// A token in a header.
pub mod bearertokenauth;

/// User name and password.
pub mod basicauth;

/// Keeps data on disk until it is sent.
pub mod file_storage;

mod reloaded;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;

use crate::component::components;
use crate::net::auth::{Authenticate, Credentials};
use crate::settings::ComponentId;

components! {
    /// The settings of an extension.
    pub enum Config "extension" {
        HealthCheck(health_check::Config),
        BearerTokenAuth(bearertokenauth::Config),
        BasicAuth(basicauth::Config),
        FileStorage(file_storage::Config),
    }
    not_yet {
        "zpages" => "remove it; the agent's own metrics and logs say what it does",
        "pprof" => "remove it; there is no Go runtime to profile",
        "healthcheckv2" => "use `health_check`",
        "memory_limiter" => "use the `memory_limiter` processor; it refuses before a body is read",
        "ack" => "remove it",
        "cgroup_runtime" => "remove it; threads follow the cgroup's CPU quota by themselves",
        "cgroupruntime" => "remove it; threads follow the cgroup's CPU quota by themselves",
        "headers_setter" => "write fixed `headers` at the exporter",
        "http_forwarder" => "remove it",
        "oauth2client" => "use `bearertokenauth` with a token file that something else renews",
        "oidc" => "use `bearertokenauth` or mTLS (`client_ca_file`)",
        "host_observer" => "remove it",
        "k8s_observer" => "remove it",
        "k8s_leader_elector" => "remove it",
        "opamp" => "remove it; a changed configuration file is loaded by `--watch-config` or SIGHUP",
        "memory_ballast" => "remove it; there is no garbage collector here",
    }
}

/// The authenticators that other components call by id.
#[derive(Default, Clone)]
pub struct Authenticators {
    servers: HashMap<ComponentId, Arc<dyn Authenticate>>,
    clients: HashMap<ComponentId, Arc<dyn Credentials>>,
}

impl Authenticators {
    /// Opens those of the listed extensions that are authenticators.
    ///
    /// # Errors
    ///
    /// A file cannot be read or used.
    pub fn open<'a>(extensions: impl IntoIterator<Item = (&'a ComponentId, &'a Config)>) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for (id, config) in extensions {
            all.add(id, config).with_context(|| format!("extension {id}"))?;
        }
        Ok(all)
    }

    fn add(&mut self, id: &ComponentId, config: &Config) -> anyhow::Result<()> {
        match config {
            Config::HealthCheck(_) | Config::FileStorage(_) => {}
            Config::BearerTokenAuth(config) => {
                let token = Arc::new(bearertokenauth::BearerToken::open(config)?);
                self.servers.insert(id.clone(), token.clone());
                self.clients.insert(id.clone(), token);
            }
            Config::BasicAuth(config) => {
                if let Some(list) = config.htpasswd.on() {
                    self.servers.insert(id.clone(), Arc::new(basicauth::BasicAuth::open(list)?));
                }
                if let Some(client) = config.client_auth.on() {
                    self.clients.insert(id.clone(), Arc::new(basicauth::BasicCredentials::open(client)?));
                }
            }
        }
        Ok(())
    }

    /// What checks the senders of a receiver that names this id.
    #[must_use]
    pub fn server(&self, id: &ComponentId) -> Option<Arc<dyn Authenticate>> {
        self.servers.get(id).cloned()
    }

    /// What says who we are for an exporter that names this id.
    #[must_use]
    pub fn client(&self, id: &ComponentId) -> Option<Arc<dyn Credentials>> {
        self.clients.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::read_text;

    #[test]
    fn authenticators_are_found_by_id_and_by_what_they_can_do() {
        let id = |text: &str| ComponentId::parse(text).unwrap();
        let token = Config::BearerTokenAuth(Box::new(read_text("token: abc").unwrap()));
        let server = Config::BasicAuth(Box::new(read_text("htpasswd: {inline: 'a:b'}").unwrap()));
        let (token_id, server_id, health_id) = (id("bearertokenauth"), id("basicauth/server"), id("health_check"));
        let health = Config::HealthCheck(Box::default());
        let all = Authenticators::open([(&token_id, &token), (&server_id, &server), (&health_id, &health)]).unwrap();
        assert!(all.server(&token_id).is_some() && all.client(&token_id).is_some());
        assert!(all.server(&server_id).is_some() && all.client(&server_id).is_none());
        assert!(all.server(&health_id).is_none());
    }
}
