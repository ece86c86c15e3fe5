//! A file system in memory that fails, fills up, and loses what was not synced.
use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc};

use super::{
    Lane,
    budget::cost,
    file_system::{AppendFile, FileSystem},
};

/// A source of numbers that repeats with its seed (xorshift64*).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end.max(1)
    }
}

/// How the machine or the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// kill -9: the kernel has what was written.
    Process,
    /// The power fails: the disk has what was synced, and any part of the rest.
    Machine,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
    /// What is behind this is never on disk, although later syncs succeed: one failed, and the kernel
    /// takes what it could not write as written.
    broken: Option<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Add(String, usize),
    Remove(String),
    Rename(String, String),
}

impl Change {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, content) => drop(names.insert(name, content)),
            Self::Remove(name) => drop(names.remove(&name)),
            Self::Rename(from, to) => {
                if let Some(content) = names.remove(&from) {
                    names.insert(to, content);
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Names {
    now: BTreeMap<String, usize>,
    synced: BTreeMap<String, usize>,
    /// What changed since the last sync, in order.
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Model {
    contents: Vec<Content>,
    names: [Names; 3],
    random: Random,
    /// Operations until the end; `None` for no end.
    left: Option<u64>,
    ended: bool,
    /// Of 1000 operations, so many fail.
    faults: u64,
    read_only: bool,
    capacity: u64,
    /// The most that all files cost at a time.
    peak: u64,
}

/// The file system.
#[derive(Clone, Debug)]
pub(super) struct FakeDisk(Rc<RefCell<Model>>);

/// A file that is open.
#[derive(Debug)]
pub(super) struct FakeFile {
    disk: FakeDisk,
    content: usize,
}

impl FakeDisk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Model {
            contents: Vec::new(),
            names: <[Names; 3]>::default(),
            random: Random::new(seed),
            left: None,
            ended: false,
            faults: 0,
            read_only: false,
            capacity: 1 << 40,
            peak: 0,
        })))
    }

    /// The process is killed in the middle of the operation after so many more.
    pub(super) fn end_after(&self, operations: u64) {
        self.0.borrow_mut().left = Some(operations);
    }

    pub(super) fn ended(&self) -> bool {
        self.0.borrow().ended
    }

    pub(super) fn set_faults(&self, of_1000: u64) {
        self.0.borrow_mut().faults = of_1000;
    }

    pub(super) fn set_read_only(&self, read_only: bool) {
        self.0.borrow_mut().read_only = read_only;
    }

    pub(super) fn set_capacity(&self, capacity: u64) {
        self.0.borrow_mut().capacity = capacity;
    }

    /// Deletes all files, and leaves those that are open without a name.
    pub(super) fn vanish(&self) {
        self.0.borrow_mut().names = <[Names; 3]>::default();
    }

    /// The most that all files cost at a time.
    pub(super) fn peak(&self) -> u64 {
        self.0.borrow().peak
    }

    pub(super) fn cost(&self) -> u64 {
        self.0.borrow().cost()
    }

    /// What the next process finds.
    pub(super) fn restart(&self, end: End) {
        let mut model = self.0.borrow_mut();
        model.left = None;
        model.ended = false;
        if end == End::Process {
            return;
        }
        let Model { contents, names, random, .. } = &mut *model;
        for names in names {
            let kept = random.below(names.changes.len() as u64 + 1) as usize;
            let mut found = std::mem::take(&mut names.synced);
            for change in names.changes.drain(..).take(kept) {
                change.apply(&mut found);
            }
            names.synced.clone_from(&found);
            names.now = found;
        }
        for content in contents {
            let unsynced = content.bytes.len() - content.synced.min(content.bytes.len());
            let kept = content.bytes.len() - unsynced + random.below(unsynced as u64 + 1) as usize;
            let kept = kept.min(content.broken.take().unwrap_or(kept));
            // The length may be on disk without the content.
            if random.below(3) == 0 {
                content.bytes[kept..].fill(0);
            } else {
                content.bytes.truncate(kept);
            }
            content.synced = content.bytes.len();
        }
    }

    /// Flips a bit of a file that is there.
    pub(super) fn damage(&self) {
        let mut model = self.0.borrow_mut();
        let lane = model.random.below(3) as usize;
        let count = model.names[lane].now.len() as u64;
        let nth = model.random.below(count) as usize;
        let Some(content) = model.names[lane].now.values().nth(nth).copied() else { return };
        let length = model.contents[content].bytes.len() as u64;
        let (at, bit) = (model.random.below(length) as usize, model.random.below(8));
        if let Some(byte) = model.contents[content].bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }
}

impl Model {
    fn cost(&self) -> u64 {
        let all = self.names.iter().flat_map(|names| names.now.values());
        all.map(|content| cost(self.contents[*content].bytes.len() as u64)).sum()
    }

    /// What comes before each operation: the end, or an error.
    fn begin(&mut self) -> io::Result<()> {
        if self.ended {
            return Err(io::Error::other("the process is gone"));
        }
        match &mut self.left {
            Some(0) => {
                self.ended = true;
                return Err(io::Error::other("killed"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if self.random.below(1000) < self.faults {
            let number = [libc::EIO, libc::ENOSPC][self.random.below(2) as usize];
            return Err(io::Error::from_raw_os_error(number));
        }
        Ok(())
    }

    fn begin_change(&mut self) -> io::Result<()> {
        self.begin()?;
        if self.read_only { Err(io::Error::from_raw_os_error(libc::EROFS)) } else { Ok(()) }
    }

    fn change(&mut self, lane: Lane, change: Change) {
        let names = &mut self.names[lane as usize];
        change.clone().apply(&mut names.now);
        names.changes.push(change);
        self.peak = self.peak.max(self.cost());
    }

    fn find(&self, lane: Lane, name: &str) -> io::Result<usize> {
        let found = self.names[lane as usize].now.get(name).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl FileSystem for FakeDisk {
    type File = FakeFile;

    fn make_directories(&self) -> io::Result<()> {
        self.0.borrow_mut().begin_change()
    }

    fn list(&self, lane: Lane) -> io::Result<Vec<(String, u64)>> {
        let model = self.0.borrow();
        let names = model.names[lane as usize].now.iter();
        let size = |content: &usize| model.contents[*content].bytes.len() as u64;
        Ok(names.map(|(name, content)| (name.clone(), size(content))).collect())
    }

    fn read(&self, lane: Lane, name: &str) -> io::Result<Vec<u8>> {
        let model = self.0.borrow();
        Ok(model.contents[model.find(lane, name)?].bytes.clone())
    }

    fn create(&self, lane: Lane, name: &str) -> io::Result<FakeFile> {
        let mut model = self.0.borrow_mut();
        let result = model.begin_change();
        // Killed in it, it may have happened.
        if result.is_err() && !(model.ended && model.random.below(2) == 0) {
            return Err(result.err().unwrap_or_else(|| io::Error::other("no error")));
        }
        if model.find(lane, name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = model.contents.len();
        model.contents.push(Content::default());
        model.change(lane, Change::Add(name.to_owned(), content));
        result.map(|()| FakeFile { disk: self.clone(), content })
    }

    fn truncate(&self, lane: Lane, name: &str, size: u64) -> io::Result<()> {
        let mut model = self.0.borrow_mut();
        model.begin_change()?;
        let content = model.find(lane, name)?;
        model.contents[content].bytes.truncate(size as usize);
        Ok(())
    }

    fn rename(&self, lane: Lane, from: &str, to: &str) -> io::Result<()> {
        let mut model = self.0.borrow_mut();
        model.begin_change()?;
        model.find(lane, from)?;
        model.change(lane, Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, lane: Lane, name: &str) -> io::Result<()> {
        let mut model = self.0.borrow_mut();
        model.begin_change()?;
        model.find(lane, name)?;
        model.change(lane, Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self, lane: Lane) -> io::Result<()> {
        let mut model = self.0.borrow_mut();
        model.begin()?;
        let names = &mut model.names[lane as usize];
        names.synced.clone_from(&names.now);
        names.changes.clear();
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        let mut model = self.0.borrow_mut();
        model.begin()?;
        Ok(model.capacity.saturating_sub(model.cost()))
    }
}

impl AppendFile for FakeFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut model = self.disk.0.borrow_mut();
        if model.ended {
            return model.begin();
        }
        let result = model.begin_change();
        let room = model.capacity.saturating_sub(model.cost());
        let part = if result.is_err() { model.random.below(bytes.len() as u64) } else { room };
        let kept = if model.read_only { 0 } else { bytes.len().min(part as usize) };
        model.contents[self.content].bytes.extend_from_slice(&bytes[..kept]);
        model.peak = model.peak.max(model.cost());
        result?;
        if kept < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        let mut model = self.disk.0.borrow_mut();
        model.begin_change()?;
        model.contents[self.content].bytes.truncate(size as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut model = self.disk.0.borrow_mut();
        let result = model.begin();
        let named = model.names.iter().any(|n| n.now.values().any(|c| *c == self.content));
        let content = &mut model.contents[self.content];
        if result.is_ok() {
            content.synced = content.bytes.len();
        } else {
            content.broken.get_or_insert(content.synced);
        }
        result?;
        if named { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}
