//! Where the plain text goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use anyhow::Context;

/// Standard output, standard error and files, all written alike.
#[derive(Debug)]
pub(super) struct Output(Vec<Sink>);

#[derive(Debug)]
enum Sink {
    Stdout,
    Stderr,
    File(String, File),
}

impl Output {
    /// Opens the files; what they hold stays.
    pub(super) fn open(paths: &[String]) -> anyhow::Result<Output> {
        let open = |path: &String| match path.as_str() {
            "stdout" => Ok(Sink::Stdout),
            "stderr" => Ok(Sink::Stderr),
            _ => {
                let path = path.strip_prefix("file://").unwrap_or(path);
                let file = OpenOptions::new().create(true).append(true).open(path);
                file.map(|file| Sink::File(path.to_owned(), file)).with_context(|| format!("cannot open {path}"))
            }
        };
        paths.iter().map(open).collect::<anyhow::Result<_>>().map(Output)
    }

    /// Writes everywhere; the first error counts.
    pub(super) fn write(&mut self, text: &[u8]) -> anyhow::Result<()> {
        let results: Vec<_> = self.0.iter_mut().map(|sink| sink.write(text)).collect();
        results.into_iter().collect()
    }
}

impl Sink {
    fn write(&mut self, text: &[u8]) -> anyhow::Result<()> {
        match self {
            Sink::Stdout => flushed(&mut io::stdout().lock(), text).context("cannot write to standard output"),
            Sink::Stderr => flushed(&mut io::stderr().lock(), text).context("cannot write to standard error"),
            Sink::File(path, file) => flushed(file, text).with_context(|| format!("cannot write to {path}")),
        }
    }
}

fn flushed(to: &mut impl Write, text: &[u8]) -> io::Result<()> {
    to.write_all(text)?;
    to.flush()
}
