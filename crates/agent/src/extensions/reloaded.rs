//! A value read from a file that may be replaced while the agent runs, as Kubernetes replaces mounted secrets.
//!
//! The file is read again when the value is asked for and the last look is some seconds old; its bytes are compared, not
//! its time. A file that has become unreadable or wrong leaves the value as it is and is told in the log once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tracing::{info, warn};

/// How long a value may be older than its file. The kubelet itself takes up to a minute.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A value and the file it comes from.
pub(super) struct Reloaded<T> {
    path: PathBuf,
    parse: fn(&str) -> anyhow::Result<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    text: String,
    looked: Instant,
    failing: bool,
}

impl<T> Reloaded<T> {
    /// Reads the file for the first time.
    ///
    /// # Errors
    ///
    /// The file cannot be read or understood.
    pub(super) fn open(path: &Path, parse: fn(&str) -> anyhow::Result<T>) -> anyhow::Result<Self> {
        let (text, value) = read(path, parse)?;
        let state = State { value: Arc::new(value), text, looked: Instant::now(), failing: false };
        Ok(Self { path: path.to_owned(), parse, state: Mutex::new(state) })
    }

    /// The value of now.
    pub(super) fn get(&self) -> Arc<T> {
        self.get_at(Instant::now())
    }

    fn get_at(&self, now: Instant) -> Arc<T> {
        // The value is whole whatever happened to the holder of the lock.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(state.looked) >= LOOK_EVERY {
            state.looked = now;
            self.look(&mut state);
        }
        Arc::clone(&state.value)
    }

    fn look(&self, state: &mut State<T>) {
        let path = self.path.display();
        match read(&self.path, self.parse) {
            Ok((text, _)) if text == state.text => state.failing = false,
            Ok((text, value)) => {
                (state.value, state.text, state.failing) = (Arc::new(value), text, false);
                info!(%path, "Read a file again that had changed.");
            }
            Err(error) => {
                if !state.failing {
                    warn!(%path, error = format!("{error:#}"), "Cannot read a file again; its last content stays in use.");
                }
                state.failing = true;
            }
        }
    }
}

fn read<T>(path: &Path, parse: fn(&str) -> anyhow::Result<T>) -> anyhow::Result<(String, T)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value = parse(&text).with_context(|| format!("cannot use {}", path.display()))?;
    Ok((text, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::logs::capture;

    #[test]
    fn a_changed_file_is_read_again_and_a_missing_one_leaves_the_value() {
        let logs = capture::start();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1").unwrap();
        let value = Reloaded::open(file.path(), |text| Ok(text.parse::<u32>()?)).unwrap();
        let later = |seconds| *value.get_at(Instant::now() + Duration::from_secs(seconds));
        std::fs::write(file.path(), "2").unwrap();
        assert_eq!(later(0), 1, "looks only each five seconds");
        assert_eq!(later(6), 2);
        std::fs::write(file.path(), "nonsense").unwrap();
        assert_eq!((later(12), later(18)), (2, 2));
        std::fs::remove_file(file.path()).unwrap();
        assert_eq!(later(24), 2);
        assert_eq!(logs.text().matches("Cannot read a file again").count(), 1, "{}", logs.text());
        assert!(!logs.text().contains("nonsense"), "what is in the file may be secret");
    }

    #[test]
    fn a_file_that_is_missing_at_the_start_is_an_error_that_names_it() {
        let error = Reloaded::open(Path::new("/nonexistent/token"), |text| Ok(text.to_owned())).err().unwrap();
        assert!(error.to_string().contains("/nonexistent/token"));
    }
}
