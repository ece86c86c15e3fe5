//! The files in a tar archive.
//!
//! A thread reads the archive and passes the content of each file through a pipe, because the parts
//! of an archive can only be read in their order.
use std::{
    io::{self, PipeWriter, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use fragwatch_core::model::left_out::LeftOut;
use tar::EntryType;

use super::Item;
use crate::read::{source::Source, watch::Watch};

/// Bytes of headers before a file: long names, extended attributes.
const MAX_HEADERS: u64 = 1 << 20;
/// Bytes passed on at a time.
const CHUNK: usize = 64 * 1024;
/// Size of a header.
pub(super) const HEADER: usize = 512;
/// Where a header's checksum stands, in octal digits.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Whether a file that begins so is a tar archive: its first header's checksum is right.
pub(super) fn is_tar(sample: &[u8]) -> bool {
    let Some(header) = sample.get(..HEADER) else { return false };
    let digits: Vec<u8> = header[CHECKSUM].iter().copied().filter(u8::is_ascii_digit).collect();
    let stated = std::str::from_utf8(&digits).ok().and_then(|n| u32::from_str_radix(n, 8).ok());
    let sum = |range: &[u8]| range.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    // The checksum itself counts as blanks.
    let blanks = CHECKSUM.len() as u32 * u32::from(b' ');
    stated == Some(sum(&header[..CHECKSUM.start]) + blanks + sum(&header[CHECKSUM.end..]))
}

/// The files in an archive, in order.
pub(super) struct Archive {
    items: Receiver<Item>,
}

impl Archive {
    /// `name` is where the archive is.
    pub(super) fn new(name: &str, source: Source, watch: Watch) -> Self {
        // No item is made before the one before it was taken.
        let (out, items) = mpsc::sync_channel(0);
        let name = name.to_owned();
        thread::spawn(move || {
            let reading = Reading { name, watch, out };
            reading.all(source);
        });
        Self { items }
    }
}

impl Iterator for Archive {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.items.recv().ok()
    }
}

struct Reading {
    name: String,
    watch: Watch,
    out: SyncSender<Item>,
}

/// Nothing is taken any more.
struct Stopped;

impl Reading {
    fn all(&self, source: Source) {
        let mut end = match self.files(source) {
            Ok(()) => false,
            Err(Failure::Stopped(Stopped)) => return,
            Err(Failure::Archive) => true,
        };
        end |= self.watch.lost.load(Ordering::Relaxed);
        if end {
            let _ = self.out.send(Item::LeftOut(LeftOut::Damaged, self.name.clone()));
        }
    }

    fn files(&self, source: Source) -> Result<(), Failure> {
        let room = Arc::new(AtomicU64::new(MAX_HEADERS));
        let mut archive = tar::Archive::new(Headers { source, room: Arc::clone(&room) });
        let mut entries = archive.entries()?;
        loop {
            room.store(MAX_HEADERS, Ordering::Relaxed);
            let Some(entry) = entries.next() else { return Ok(()) };
            let mut entry = entry?;
            room.store(u64::MAX, Ordering::Relaxed);
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = format!("{}:{}", self.name, path.trim_start_matches("./"));
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    self.file(name, &mut entry)?;
                }
                EntryType::Link | EntryType::Symlink => self.left_out(LeftOut::Link, name)?,
                EntryType::Char | EntryType::Block | EntryType::Fifo => {
                    self.left_out(LeftOut::Special, name)?;
                }
                _ => self.out.send(Item::Nothing(name)).map_err(|_| Stopped)?,
            }
            // Of what was not read the next header must not be searched with its limit.
            let mut rest = self.watch.budget.limit(&mut entry);
            io::copy(&mut rest, &mut io::sink())?;
        }
    }

    fn left_out(&self, reason: LeftOut, name: String) -> Result<(), Stopped> {
        self.out.send(Item::LeftOut(reason, name)).map_err(|_| Stopped)
    }

    /// Passes on what is in a file, as long as it is read.
    fn file(&self, name: String, entry: &mut impl Read) -> Result<(), Failure> {
        let (reader, writer) = io::pipe()?;
        self.out.send(Item::File(name, Box::new(reader))).map_err(|_| Stopped)?;
        pass(&mut self.watch.budget.limit(entry), writer)
    }
}

/// Copies what is in a file, as long as it is read.
fn pass(entry: &mut impl Read, mut writer: PipeWriter) -> Result<(), Failure> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = match entry.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if writer.write_all(&chunk[..n]).is_err() {
            // The reader has seen enough of it.
            return Ok(());
        }
    }
}

/// Why an archive is not read any further.
enum Failure {
    /// It can't be.
    Archive,
    Stopped(Stopped),
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Archive
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

/// An archive of which no more than so many bytes can be read: what stands before a file is read
/// into memory.
struct Headers {
    source: Source,
    room: Arc<AtomicU64>,
}

impl Read for Headers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room.load(Ordering::Relaxed);
        if room == 0 {
            return Err(io::Error::other("its headers are too long"));
        }
        let length = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.source.read(&mut buffer[..length])?;
        if room != u64::MAX {
            self.room.store(room - n as u64, Ordering::Relaxed);
        }
        Ok(n)
    }
}
