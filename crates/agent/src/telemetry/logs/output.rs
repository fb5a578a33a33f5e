//! Where log lines go: standard error, standard output, files.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::Active;
use super::line::Line;

/// One place that lines are written to.
#[derive(Debug, Clone)]
pub enum Output {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// Appended to a file, which is created when it is missing.
    File(PathBuf),
    /// Kept in memory, for tests.
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>),
}

impl Output {
    /// As the configuration names it: `stderr`, `stdout`, or a path, with or without `file://`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            path => Self::File(PathBuf::from(path.strip_prefix("file://").unwrap_or(path))),
        }
    }
}

/// The open outputs.
pub(super) struct Outputs {
    lines: Vec<Open>,
    /// An output that fails is told once until it works again.
    failing: bool,
}

struct Open {
    sink: Sink,
    colour: bool,
}

enum Sink {
    Stderr,
    Stdout,
    File(File),
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>),
}

impl Outputs {
    pub(super) fn open(outputs: &[Output]) -> anyhow::Result<Self> {
        let lines = outputs.iter().map(Open::new).collect::<anyhow::Result<_>>()?;
        Ok(Self { lines, failing: false })
    }

    /// Writes the line everywhere. A log that cannot be written must not stop the agent; standard error is told.
    pub(super) fn write(&mut self, line: &Line, active: &Active) {
        let mut failure = None;
        for output in &mut self.lines {
            let text = line.encode(active, output.colour);
            if let Err(error) = output.sink.write(text.as_bytes()) {
                failure = Some(error);
            }
        }
        if let Some(error) = failure.as_ref().filter(|_| !self.failing) {
            let _ = writeln!(std::io::stderr(), "cannot write the log: {error}");
        }
        self.failing = failure.is_some();
    }
}

impl Open {
    fn new(output: &Output) -> anyhow::Result<Self> {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(match output {
            Output::Stderr => Self { sink: Sink::Stderr, colour: wanted && std::io::stderr().is_terminal() },
            Output::Stdout => Self { sink: Sink::Stdout, colour: wanted && std::io::stdout().is_terminal() },
            Output::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let file = file.with_context(|| format!("cannot open the log file {}", path.display()))?;
                Self { sink: Sink::File(file), colour: false }
            }
            #[cfg(test)]
            Output::Memory(buffer) => Self { sink: Sink::Memory(buffer.clone()), colour: false },
        })
    }
}

impl Sink {
    /// One call for the whole line, so that lines of several writers do not mix.
    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        match self {
            Sink::Stderr => std::io::stderr().lock().write_all(text),
            Sink::Stdout => {
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(text)?;
                stdout.flush()
            }
            Sink::File(file) => file.write_all(text),
            #[cfg(test)]
            Sink::Memory(buffer) => {
                buffer.lock().unwrap().extend_from_slice(text);
                Ok(())
            }
        }
    }
}
