//! One open file, and its turn to a new one when it is full.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::record::Record;
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
    pub(super) fn write(&mut self, record: &Record) -> io::Result<()> {
        self.turn_if_full(record)?;
        match written(record, &self.file) {
            Ok(bytes) => self.length += bytes,
            Err(error) => {
                // If this fails too there is nothing more to be done, and the first error says why.
                let _ = self.file.set_len(self.length);
                return Err(error);
            }
        }
        Ok(())
    }

    fn turn_if_full(&mut self, record: &Record) -> io::Result<()> {
        let Some(settings) = self.rotation.as_ref().filter(|_| self.length > 0) else { return Ok(()) };
        if self.length + written(record, io::sink())? <= settings.max_bytes() {
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

/// Writes a record, and counts its bytes.
fn written(record: &Record, to: impl Write) -> io::Result<u64> {
    let mut counted = Counted { to, bytes: 0 };
    let mut buffered = BufWriter::new(&mut counted);
    record.write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    Ok(counted.bytes)
}

struct Counted<W> {
    to: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.to.write(bytes)?;
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
