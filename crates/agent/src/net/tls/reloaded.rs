//! A TLS configuration that follows the files it is made from.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

/// What makes it: the texts that stand in the files now, and a configuration from texts.
pub(super) trait Make: Send + Sync {
    /// The texts, to tell whether anything changed. Times of files would not do: a Secret's files are links.
    type Texts: PartialEq + Send;
    /// What is made of them.
    type Config: Send + Sync;

    /// How often the files are looked at again; none: never.
    fn interval(&self) -> Option<Duration>;

    /// Reads the files.
    fn read(&self) -> anyhow::Result<Self::Texts>;

    /// Makes the configuration.
    fn build(&self, texts: &Self::Texts) -> anyhow::Result<Self::Config>;
}

/// The configuration in force.
pub(super) struct Reloaded<M: Make> {
    make: M,
    config: ArcSwap<M::Config>,
    looked: Mutex<Looked<M::Texts>>,
}

/// When the files were last looked at, and what stood in them.
struct Looked<T> {
    at: Instant,
    texts: T,
}

impl<M: Make> Reloaded<M> {
    pub(super) fn new(make: M) -> anyhow::Result<Self> {
        let texts = make.read()?;
        let config = ArcSwap::from_pointee(make.build(&texts)?);
        Ok(Self { make, config, looked: Mutex::new(Looked { at: Instant::now(), texts }) })
    }

    pub(super) fn make(&self) -> &M {
        &self.make
    }

    /// The configuration for a new connection. Reads the files again if it is time. What is broken is told, and the old
    /// ones stay: half of a renewal may be on the disk.
    pub(super) fn current(&self) -> Arc<M::Config> {
        if let Some(interval) = self.make.interval() {
            self.look_again(interval);
        }
        self.config.load_full()
    }

    fn look_again(&self, interval: Duration) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.at.elapsed() < interval {
            return;
        }
        looked.at = Instant::now();
        match self.changed(&looked.texts) {
            Ok(None) => {}
            Ok(Some((texts, config))) => {
                tracing::info!("TLS files changed, they are used for new connections");
                looked.texts = texts;
                self.config.store(Arc::new(config));
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "TLS files cannot be read again, the old ones stay in use");
            }
        }
    }

    fn changed(&self, before: &M::Texts) -> anyhow::Result<Option<(M::Texts, M::Config)>> {
        let texts = self.make.read()?;
        if texts == *before {
            return Ok(None);
        }
        let config = self.make.build(&texts)?;
        Ok(Some((texts, config)))
    }
}
