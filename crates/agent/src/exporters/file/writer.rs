//! One open file, and its turn to a new one when it is full.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::rotation::{self, Settings};

/// A file that records are added to, each as a whole or not at all.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    length: u64,
    rotation: Option<Settings>,
}

impl Writer {
    /// Opens the file. It is emptied, unless it is to be added to or is rotated.
    pub(super) fn open(path: &Path, append: bool, rotation: Option<Settings>) -> io::Result<Writer> {
        let file = open(path)?;
        if !append && rotation.is_none() {
            file.set_len(0)?;
        }
        let length = file.metadata()?.len();
        if let Some(settings) = &rotation {
            rotation::remove_old(path, settings);
        }
        Ok(Writer { path: path.to_owned(), file, length, rotation })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a record. What a failure leaves of it is taken out again, so that the next one starts where it should.
    pub(super) fn write(&mut self, record: &[u8]) -> io::Result<()> {
        self.turn_if_full(record.len() as u64)?;
        if let Err(error) = self.file.write_all(record) {
            // If this fails too there is nothing more to be done, and the first error says why.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += record.len() as u64;
        Ok(())
    }

    fn turn_if_full(&mut self, more: u64) -> io::Result<()> {
        let Some(settings) = &self.rotation else { return Ok(()) };
        if self.length == 0 || self.length + more <= settings.max_bytes() {
            return Ok(());
        }
        match std::fs::rename(&self.path, rotation::backup_path(&self.path, settings)) {
            // Someone took it away, or the opening below failed last time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        self.file = open(&self.path)?;
        self.length = 0;
        rotation::remove_old(&self.path, settings);
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
