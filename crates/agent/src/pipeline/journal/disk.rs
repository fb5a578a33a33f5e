//! Where segments are: files of a directory, or something in their place in tests.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Numbered files that are written at their end.
pub(super) trait Disk {
    /// The segments that there are, with their lengths.
    fn list(&mut self) -> io::Result<BTreeMap<u64, u64>>;

    /// A new, empty segment.
    fn create(&mut self, id: u64) -> io::Result<()>;

    /// Segments that were created are there after a power failure.
    fn sync_names(&mut self) -> io::Result<()>;

    /// Writes at the end of a segment that this process has created. After an error some of it may be there. It is an error
    /// if somebody has removed the segment.
    fn append(&mut self, id: u64, parts: &[&[u8]]) -> io::Result<()>;

    /// Shortens a segment.
    fn truncate(&mut self, id: u64, length: u64) -> io::Result<()>;

    /// What was written survives a power failure.
    fn sync(&mut self, id: u64) -> io::Result<()>;

    /// Bytes of a segment; fewer at its end.
    fn read(&mut self, id: u64, from: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Removes a segment, if it is there.
    fn remove(&mut self, id: u64) -> io::Result<()>;

    /// Puts a segment that cannot be read where it is not found again, for a person to look at.
    fn set_aside(&mut self, id: u64) -> io::Result<()>;
}

/// A directory. It belongs to one process at a time.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
    open: Option<(u64, File)>,
}

const PREFIX: &str = "journal-";
const SUFFIX: &str = ".seg";
const LOCK: &str = "journal.lock";
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Folder {
    /// Takes a directory into use.
    ///
    /// # Errors
    /// It cannot be written, or another process uses it still after `patience`.
    pub(super) fn open(path: &Path, patience: Duration) -> io::Result<Folder> {
        let lock = private().create(true).truncate(false).write(true).open(path.join(LOCK))?;
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
                Err(std::fs::TryLockError::WouldBlock) if started.elapsed() >= patience => {
                    let what = format!("it is still in use by another process after {patience:?}");
                    return Err(io::Error::new(ErrorKind::ResourceBusy, what));
                }
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOOK_EVERY),
            }
        }
        Ok(Folder { path: path.to_owned(), _lock: lock, open: None })
    }

    fn file(&self, id: u64) -> PathBuf {
        self.path.join(file_name(id))
    }

    fn open_for_writing(&mut self, id: u64) -> io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != id) {
            self.open = Some((id, private().append(true).open(self.file(id))?));
        }
        self.open.as_mut().map(|(_, file)| file).ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }
}

fn file_name(id: u64) -> String {
    format!("{PREFIX}{id:016x}{SUFFIX}")
}

fn removed(id: u64) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("somebody has removed the file {}", file_name(id)))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Telemetry is nobody else's business.
    options.mode(0o600);
    options
}

impl Disk for Folder {
    fn list(&mut self) -> io::Result<BTreeMap<u64, u64>> {
        let mut segments = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
            if let Some(id) = id.and_then(|id| u64::from_str_radix(id, 16).ok()) {
                segments.insert(id, entry.metadata()?.len());
            }
        }
        Ok(segments)
    }

    fn create(&mut self, id: u64) -> io::Result<()> {
        let file = private().create_new(true).append(true).open(self.file(id))?;
        self.open = Some((id, file));
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn append(&mut self, id: u64, parts: &[&[u8]]) -> io::Result<()> {
        let file = self.open_for_writing(id)?;
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        IoSlice::advance_slices(&mut slices, 0); // empty ones go
        while !slices.is_empty() {
            match file.write_vectored(slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // What is written to a file without a name is gone with this process.
        if file.metadata()?.nlink() == 0 { Err(removed(id)) } else { Ok(()) }
    }

    fn truncate(&mut self, id: u64, length: u64) -> io::Result<()> {
        let file = self.open_for_writing(id)?;
        // It never makes a file longer.
        if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        self.open_for_writing(id)?.sync_data()
    }

    fn read(&mut self, id: u64, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = File::open(self.file(id))?;
        let there = usize::try_from(file.metadata()?.len().saturating_sub(from)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(there)];
        file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    fn remove(&mut self, id: u64) -> io::Result<()> {
        self.open.take_if(|(open, _)| *open == id);
        match std::fs::remove_file(self.file(id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn set_aside(&mut self, id: u64) -> io::Result<()> {
        let file = self.file(id);
        std::fs::rename(&file, file.with_extension("damaged"))
    }
}
