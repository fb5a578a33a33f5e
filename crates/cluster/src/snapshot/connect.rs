//! Whose eyes the cluster is seen with: a kubeconfig's, or those of the pod that this runs in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::config::Kubeconfig;
use kube::{Client, Config};

/// For one connection, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// This file instead of `KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// This context of it instead of the current one.
    pub context: Option<String>,
}

impl Access {
    /// A client for the API server; connects nothing yet.
    ///
    /// # Errors
    /// There is no kubeconfig and no service account, or it cannot be used.
    pub fn client(&self) -> anyhow::Result<Client> {
        let mut config = self.config()?;
        config.connect_timeout = Some(CONNECT_WITHIN);
        // What does not answer is told, and not asked up to 15 times.
        config.default_retry = false;
        Client::try_from(config).context("cannot make a client for the API server")
    }

    /// `kubectl`, with the arguments that make it talk to the same cluster.
    #[must_use]
    pub fn kubectl(&self) -> String {
        let mut command = "kubectl".to_owned();
        if let Some(file) = &self.kubeconfig {
            command += &format!(" --kubeconfig={}", quoted(&file.display().to_string()));
        }
        if let Some(context) = &self.context {
            command += &format!(" --context={}", quoted(context));
        }
        command
    }

    fn config(&self) -> anyhow::Result<Config> {
        if let Some(path) = &self.kubeconfig {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
            return self.of_file(file, &path.display().to_string());
        }
        let place = std::env::var("KUBECONFIG").ok().filter(|place| !place.is_empty());
        let home = std::env::var("HOME").map(|home| Path::new(&home).join(".kube/config")).ok();
        let is_there = place.is_some() || home.is_some_and(|file| file.exists());
        if is_there || self.context.is_some() {
            let place = place.unwrap_or_else(|| "~/.kube/config".to_owned());
            let file = Kubeconfig::read().with_context(|| {
                format!("cannot read the kubeconfig {place} (--kubeconfig or KUBECONFIG name another file)")
            })?;
            return self.of_file(file, &place);
        }
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
            bail!(
                "there is no kubeconfig, and this is no pod: name one with --kubeconfig or KUBECONFIG, or put it at \
                 ~/.kube/config"
            );
        }
        Config::incluster().context("cannot use the service account of this pod (is its token mounted?)")
    }

    fn of_file(&self, mut file: Kubeconfig, place: &str) -> anyhow::Result<Config> {
        if let Some(context) = &self.context {
            if !file.contexts.iter().any(|known| known.name == *context) {
                let known: Vec<&str> = file.contexts.iter().map(|context| context.name.as_str()).collect();
                bail!("the kubeconfig {place} has no context `{context}`; it has: {}", known.join(", "));
            }
            file.current_context = Some(context.clone());
        }
        Config::try_from(file).with_context(|| format!("cannot use the kubeconfig {place}"))
    }
}

/// As one word of a shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_talk_to_the_cluster_that_was_looked_at() {
        assert_eq!(Access::default().kubectl(), "kubectl");
        let access =
            Access { kubeconfig: Some("/home/jane/my clusters.yaml".into()), context: Some("prod-eu".to_owned()) };
        assert_eq!(access.kubectl(), "kubectl --kubeconfig='/home/jane/my clusters.yaml' --context=prod-eu");
    }

    #[test]
    fn a_context_that_is_not_there_is_told_with_those_that_are() {
        let file =
            Kubeconfig::from_yaml("{apiVersion: v1, kind: Config, contexts: [{name: here, context: {cluster: a}}]}");
        let access = Access { context: Some("there".to_owned()), ..Access::default() };
        let error = access.of_file(file.unwrap(), "a.yaml").err().unwrap().to_string();
        assert_eq!(error, "the kubeconfig a.yaml has no context `there`; it has: here");
    }
}
