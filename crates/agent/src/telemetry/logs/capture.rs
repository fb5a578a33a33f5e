//! Catches what a test's thread logs.
//!
//! ```ignore
//! let logs = capture::start();
//! do_something();
//! assert!(logs.text().contains("Sender failed"));
//! ```

use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;

use super::{Logs, Options, Output};

/// Catches until dropped. Only lines of this thread are seen, so an async test must run on the current thread.
pub struct Capture {
    logs: Logs,
    buffer: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

/// Starts catching at level `debug`, without sampling.
#[must_use]
pub fn start() -> Capture {
    start_with(Options { level: tracing::level_filters::LevelFilter::DEBUG, sampling: None, ..Options::default() })
}

/// Starts catching with other options; the outputs are replaced.
#[must_use]
pub fn start_with(options: Options) -> Capture {
    let buffer = Arc::default();
    let outputs = vec![Output::Memory(Arc::clone(&buffer))];
    let logs = Logs::new(&Options { outputs, ..options }).unwrap();
    let guard = tracing::subscriber::set_default(logs.subscriber());
    Capture { logs, buffer, _guard: guard }
}

impl Capture {
    /// All lines so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.buffer.lock().unwrap().clone()).unwrap()
    }

    /// The log behind it.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }
}
