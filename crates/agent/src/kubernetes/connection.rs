//! A client for the API server or a kubelet: who we are, how often it may be asked, and what is counted of it.

mod observed;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use http::Uri;
use kube::client::ClientBuilder;
use kube::config::Kubeconfig;
use kube::{Client, Config};
use tokio::time::Instant;

use super::directory::Shared;
use super::source::{Auth, KubeletSettings, Rate};
use observed::{Gate, Observe};

/// Where Kubernetes puts what a pod's service account takes.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// For one connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A refused token is read again at most this often.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// A client that is made anew when the server no longer knows us. Its tokens and authorities are read from their files
/// about once a minute (kube does that).
pub(super) struct Connection {
    peer: Peer,
    shared: Arc<Shared>,
    gate: Arc<Gate>,
    client: Mutex<(Client, Instant)>,
}

/// Whom it talks to, and as whom.
pub(super) enum Peer {
    /// The API server.
    Api(Auth),
    /// The node's kubelet.
    Kubelet(KubeletSettings),
    /// The API server of a kubeconfig.
    #[cfg(test)]
    Config(PathBuf),
    /// What a test plays.
    #[cfg(test)]
    Played(super::feed::played::Server),
}

impl Connection {
    /// Connects nothing yet.
    ///
    /// # Errors
    /// There is no service account or kubeconfig, or it cannot be used.
    pub(super) fn open(peer: Peer, rate: Rate, shared: &Arc<Shared>) -> anyhow::Result<Self> {
        let gate = Arc::new(Gate::new(rate));
        let client = client(&peer, &gate, shared)?;
        Ok(Self { peer, shared: Arc::clone(shared), gate, client: Mutex::new((client, Instant::now())) })
    }

    /// The client of now.
    pub(super) fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The server does not know us: token, certificate and kubeconfig are read again.
    pub(super) fn renew(&self) {
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1.elapsed() < RENEW_EVERY {
            return;
        }
        current.1 = Instant::now();
        match client(&self.peer, &self.gate, &self.shared) {
            Ok(client) => current.0 = client,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "The credentials for Kubernetes cannot be read again; the old ones stay in use.");
            }
        }
    }

    /// How long the server asked us to stay away.
    pub(super) fn away(&self) -> Duration {
        self.gate.away()
    }
}

fn client(peer: &Peer, gate: &Arc<Gate>, shared: &Arc<Shared>) -> anyhow::Result<Client> {
    let observe = Observe::new(Arc::clone(gate), Arc::clone(shared));
    let mut config = match peer {
        Peer::Api(Auth::ServiceAccount) => in_cluster()?,
        Peer::Api(Auth::KubeConfig { context }) => kubeconfig(context.as_deref())?,
        #[cfg(test)]
        Peer::Config(path) => from_kubeconfig(Kubeconfig::read_from(path)?, "of the test", None)?,
        Peer::Kubelet(settings) => kubelet(settings)?,
        #[cfg(test)]
        Peer::Played(server) => {
            server.met();
            return Ok(ClientBuilder::new(server.clone(), "default").with_layer(&observe).build());
        }
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // It would hide up to 15 attempts from the counters and from our own back-off.
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).context("cannot make a client for Kubernetes")?;
    Ok(builder.with_layer(&observe).build())
}

fn in_cluster() -> anyhow::Result<Config> {
    if ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"].iter().any(|name| std::env::var_os(name).is_none()) {
        bail!(
            "unable to load k8s config, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined: \
             the agent does not run in a pod. Set `auth_type: kubeConfig` to use a kubeconfig file, or \
             `source: file` with a list of pods in `pods_file`"
        );
    }
    Config::incluster().with_context(|| {
        format!(
            "cannot use the pod's service account: is {SERVICE_ACCOUNT} mounted (`automountServiceAccountToken: true`)?"
        )
    })
}

fn kubeconfig(context: Option<&str>) -> anyhow::Result<Config> {
    let place = std::env::var("KUBECONFIG").unwrap_or_else(|_| "~/.kube/config".to_owned());
    let file = Kubeconfig::read()
        .with_context(|| format!("cannot read the kubeconfig {place} (set KUBECONFIG to use another file)"))?;
    from_kubeconfig(file, &place, context)
}

fn from_kubeconfig(mut file: Kubeconfig, place: &str, context: Option<&str>) -> anyhow::Result<Config> {
    if let Some(context) = context {
        if !file.contexts.iter().any(|known| known.name == context) {
            let known: Vec<&str> = file.contexts.iter().map(|context| context.name.as_str()).collect();
            return Err(anyhow!("the kubeconfig {place} has no context `{context}`; it has: {}", known.join(", ")));
        }
        file.current_context = Some(context.to_owned());
    }
    Config::try_from(file).with_context(|| format!("cannot use the kubeconfig {place}"))
}

fn kubelet(settings: &KubeletSettings) -> anyhow::Result<Config> {
    let endpoint: Uri =
        settings.endpoint.parse().with_context(|| format!("the kubelet's address `{}`", settings.endpoint))?;
    let mut config = Config::new(endpoint);
    let mounted = |name: &str| Some(Path::new(SERVICE_ACCOUNT).join(name)).filter(|path| path.exists());
    let token: Option<PathBuf> = settings.token_file.clone().or_else(|| mounted("token"));
    config.auth_info.token_file = token.map(|path| path.display().to_string());
    config.accept_invalid_certs = settings.insecure_skip_verify;
    config.root_cert_file = settings.ca_file.clone().or_else(|| mounted("ca.crt"));
    // It answers at once or not at all; nothing is watched.
    config.read_timeout = Some(Duration::from_secs(30));
    Ok(config)
}

#[cfg(test)]
mod tests;
