use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use super::super::disk::Disk;

#[derive(Debug, Default, Clone)]
pub(super) struct SimFile {
    pub(super) bytes: Vec<u8>,
    /// So much of it survives a power failure for certain.
    pub(super) synced: usize,
    /// Its name does.
    named: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) files: BTreeMap<u64, SimFile>,
    /// Removed, but perhaps not for good.
    removed: BTreeMap<u64, SimFile>,
    /// Bytes until the disk takes no more; the write that does not fit is torn.
    pub(super) room: Option<usize>,
    /// The disk answers nothing but errors.
    pub(super) dead: bool,
    /// Files can be made and written, but not their names for good.
    pub(super) keeps_no_names: bool,
    pub(super) set_aside: Vec<u64>,
    /// Operations until the process ends; a write is torn.
    pub(super) crash_in: Option<usize>,
    pub(super) crashed: bool,
}

/// Clones are the same disk.
#[derive(Debug, Default, Clone)]
pub(super) struct Sim(pub(super) Rc<RefCell<State>>);

impl Sim {
    /// The power fails: of what was not synced, each file keeps a part, and what it keeps may be zeros.
    pub(super) fn power_failure(&self, mut random: impl FnMut(usize) -> usize) {
        let mut state = self.0.borrow_mut();
        let removed = std::mem::take(&mut state.removed);
        for (id, file) in removed {
            if random(3) == 0 && file.named {
                state.files.entry(id).or_insert(file);
            }
        }
        state.files.retain(|_, file| file.named || random(2) == 0);
        for file in state.files.values_mut() {
            let unsynced = file.bytes.len() - file.synced;
            if unsynced > 0 {
                file.bytes.truncate(file.synced + random(unsynced + 1));
                if random(3) == 0 {
                    let from = file.synced + random(file.bytes.len() - file.synced + 1);
                    file.bytes[from..].fill(0);
                }
            }
        }
        state.settle();
    }

    /// The process is killed: what was written is there.
    pub(super) fn killed(&self) {
        let mut state = self.0.borrow_mut();
        state.removed.clear();
        state.begin();
    }
}

impl State {
    /// After a failure everything that is there is there for good.
    fn settle(&mut self) {
        for file in self.files.values_mut() {
            (file.synced, file.named) = (file.bytes.len(), true);
        }
        self.begin();
    }

    /// Another process finds a disk that works.
    fn begin(&mut self) {
        (self.room, self.dead, self.crash_in, self.crashed) = (None, false, None, false);
    }

    fn alive(&mut self) -> io::Result<()> {
        match &mut self.crash_in {
            Some(0) => (self.dead, self.crashed) = (true, true),
            Some(operations) => *operations -= 1,
            None => {}
        }
        if self.dead { Err(io::Error::other("the disk is dead")) } else { Ok(()) }
    }

    fn file(&mut self, id: u64) -> io::Result<&mut SimFile> {
        self.files.get_mut(&id).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Disk for Sim {
    fn list(&mut self) -> io::Result<BTreeMap<u64, u64>> {
        Ok(self.0.borrow().files.iter().map(|(id, file)| (*id, file.bytes.len() as u64)).collect())
    }

    fn create(&mut self, id: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.alive()?;
        if state.room == Some(0) {
            return Err(ErrorKind::StorageFull.into());
        }
        assert!(!state.files.contains_key(&id), "a segment is made once");
        state.files.insert(id, SimFile::default());
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.alive()?;
        if state.keeps_no_names {
            return Err(io::Error::other("the folder cannot be synced"));
        }
        state.files.values_mut().for_each(|file| file.named = true);
        Ok(())
    }

    fn append(&mut self, id: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let bytes = parts.concat();
        if state.crash_in == Some(0) && !state.crashed {
            state.file(id)?.bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
        }
        state.alive()?;
        let fits = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        state.room = state.room.map(|room| room - fits);
        state.file(id)?.bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&mut self, id: u64, length: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.alive()?;
        let file = state.file(id)?;
        file.bytes.truncate(usize::try_from(length).unwrap());
        file.synced = file.synced.min(file.bytes.len());
        Ok(())
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.alive()?;
        let file = state.file(id)?;
        file.synced = file.bytes.len();
        Ok(())
    }

    fn read(&mut self, id: u64, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut state = self.0.borrow_mut();
        let file = state.file(id)?;
        let from = usize::try_from(from).unwrap().min(file.bytes.len());
        let end = from.saturating_add(length).min(file.bytes.len());
        Ok(file.bytes[from..end].to_vec())
    }

    fn remove(&mut self, id: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.alive()?;
        if let Some(file) = state.files.remove(&id) {
            state.removed.insert(id, file);
        }
        Ok(())
    }

    fn set_aside(&mut self, id: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.files.remove(&id).ok_or(ErrorKind::NotFound)?;
        state.set_aside.push(id);
        Ok(())
    }
}
