//! Reads an input in blocks of whole lines and looks for triggers in them. Two threads take turns:
//! while one reads, the other looks at what it has read.
use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    thread,
    time::Duration,
};

use memchr::{memchr, memchr_iter, memrchr};

use crate::{
    raw_line::MAX_LINE,
    read::{
        budget::Budget,
        input::{self, ReadError},
        search::Search,
        source::Source,
        watch::Watch,
    },
};

/// Bytes in a block at most: one fits a core's own cache.
pub(crate) const BLOCK: usize = 256 * 1024;
/// Blocks of each thread that wait to be taken.
const QUEUE: usize = 2;
/// A line longer than `MAX_LINE` fills at least one stretch of this size.
const PROBE: usize = MAX_LINE / 2;

/// Whole lines, and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Each line with its newline, and no longer than `MAX_LINE` without.
    pub(crate) bytes: Vec<u8>,
    /// How many lines there are.
    pub(crate) lines: u64,
    /// Where triggers stand: in order, one for each line that has any.
    pub(crate) triggers: Vec<usize>,
    /// Bytes of the input that it was made of.
    pub(crate) size: u64,
    /// Lines that were longer than a line may be.
    pub(crate) cut_lines: u64,
    /// Bytes of them that were left out.
    pub(crate) cut_bytes: u64,
}

/// What there is to take.
pub(crate) enum Taken {
    Block(Block),
    Failed(ReadError),
    Quiet,
    End,
}

/// The blocks of an input, in order.
pub(crate) struct Blocks {
    workers: Vec<Worker>,
    /// Whose block is the next.
    turn: usize,
    /// Why there are no more; reported after the last block.
    failed: Option<ReadError>,
    tail_lost: Arc<AtomicBool>,
}

/// What a thread yields, and takes back to be filled again.
struct Worker {
    filled: Receiver<(Block, Option<ReadError>)>,
    used: SyncSender<Block>,
}

impl Blocks {
    /// Begins to read. The threads end with the input, or when this is dropped and the read that
    /// is waited for returns.
    pub(crate) fn read(source: impl Read + Send + 'static) -> Self {
        let watch = Watch::new(&Budget::unlimited());
        let tail_lost = Arc::clone(&watch.lost);
        let (to_first, of_first) = mpsc::channel();
        let (to_second, of_second) = mpsc::channel();
        let unopened = Reading {
            unopened: Some((Box::new(source), watch)),
            source: Box::new(io::empty()),
            rest: Vec::new(),
        };
        // It waits there: the other end was made a moment ago.
        let _ = to_first.send(unopened);
        let rings = [(of_first, to_second), (of_second, to_first)];
        let workers = rings.map(|(mine, next)| {
            let (out, filled) = mpsc::sync_channel(QUEUE);
            let (used, reuse) = mpsc::sync_channel(QUEUE);
            thread::spawn(move || Turns { mine, next, out, reuse }.take_all());
            Worker { filled, used }
        });
        Self { workers: workers.into(), turn: 0, failed: None, tail_lost }
    }

    /// The next block; waits for at most that time, or as long as it takes. After a failure comes
    /// the end.
    pub(crate) fn take(&mut self, timeout: Option<Duration>) -> Taken {
        if let Some(failed) = self.failed.take() {
            return Taken::Failed(failed);
        }
        let worker = &self.workers[self.turn];
        let got = match timeout {
            Some(timeout) => worker.filled.recv_timeout(timeout),
            None => worker.filled.recv().map_err(RecvTimeoutError::from),
        };
        match got {
            Ok((block, failed)) => {
                self.turn = (self.turn + 1) % self.workers.len();
                self.failed = failed;
                Taken::Block(block)
            }
            Err(RecvTimeoutError::Timeout) => Taken::Quiet,
            Err(RecvTimeoutError::Disconnected) => Taken::End,
        }
    }

    /// Gives a block back, to be filled again.
    pub(crate) fn give_back(&self, block: Block) {
        // If the thread has enough of them, or has ended, this one is freed.
        let _ = self.workers[self.turn].used.try_send(block);
    }

    /// Whether compressed data ended too early, or was damaged.
    pub(crate) fn tail_lost(&self) -> bool {
        self.tail_lost.load(Ordering::Relaxed)
    }
}

/// One of the threads.
struct Turns {
    /// What is to be read comes here when it is this one's turn; it doesn't come after the end.
    mine: Receiver<Reading>,
    next: Sender<Reading>,
    out: SyncSender<(Block, Option<ReadError>)>,
    reuse: Receiver<Block>,
}

impl Turns {
    fn take_all(&self) {
        while let Ok(mut reading) = self.mine.recv() {
            let mut block = self.reuse.try_recv().unwrap_or_default();
            let continues = reading.fill(&mut block);
            let (over, failed) = match continues {
                Ok(continues) => (!continues, None),
                Err(error) => (true, Some(error)),
            };
            if !over {
                // If the other thread has ended, blocks are taken no more.
                let _ = self.next.send(reading);
            }
            block.look();
            if self.out.send((block, failed)).is_err() || over {
                return;
            }
        }
    }
}

/// An input as far as it has been read. Whose turn it is has it.
struct Reading {
    /// To be opened by who has the first turn: it may have to wait for the first bytes.
    unopened: Option<(Source, Watch)>,
    source: Source,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl Reading {
    /// Fills a block with the lines that one read ends, so that what a pipe has is there at once.
    /// Whether there may be more.
    fn fill(&mut self, block: &mut Block) -> Result<bool, ReadError> {
        (block.cut_lines, block.cut_bytes) = (0, 0);
        let bytes = &mut block.bytes;
        bytes.resize(BLOCK, 0);
        let mut filled = self.rest.len();
        bytes[..filled].copy_from_slice(&self.rest);
        self.rest.clear();
        let continues = loop {
            // So far it is one line.
            if filled > MAX_LINE {
                block.cut_bytes += (filled - MAX_LINE) as u64;
                filled = MAX_LINE;
            }
            let n = match self.read(&mut bytes[filled..]) {
                Ok(0) => break Ok(false),
                Ok(n) => n,
                Err(error) => break Err(error),
            };
            let new = filled;
            filled += n;
            if block.cut_bytes > 0 {
                let dropped = memchr(b'\n', &bytes[new..filled]).unwrap_or(n);
                block.cut_bytes += dropped as u64;
                bytes.copy_within(new + dropped..filled, new);
                filled -= dropped;
            }
            if let Some(newline) = memrchr(b'\n', &bytes[new..filled]) {
                let end = new + newline + 1;
                self.rest.extend_from_slice(&bytes[end..filled]);
                filled = end;
                break Ok(true);
            }
        };
        bytes.truncate(filled);
        block.cut_lines = u64::from(block.cut_bytes > 0);
        block.size = filled as u64 + block.cut_bytes;
        // What is left at the end is a line too.
        if bytes.last().is_some_and(|byte| *byte != b'\n') {
            bytes.push(b'\n');
        }
        continues
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        if let Some((source, watch)) = self.unopened.take() {
            self.source = input::open(source, &watch, 0)?;
        }
        loop {
            match self.source.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(ReadError::Io),
            }
        }
    }
}

impl Block {
    /// Looks at the bytes.
    fn look(&mut self) {
        let search = Search::get();
        self.cut_long_lines();
        self.lines = newlines(&self.bytes);
        self.triggers.clear();
        let mut at = 0;
        while let Some(trigger) = search.find(&self.bytes, at) {
            self.triggers.push(trigger);
            at = self.bytes.len();
            if let Some(newline) = memchr(b'\n', &self.bytes[trigger..]) {
                at = trigger + newline + 1;
            }
        }
    }

    /// Cuts lines that are longer than a line may be, so that what is kept of them is the same
    /// whatever block they came in. One stretch in hundreds has no newline in its first bytes, so
    /// this costs next to nothing.
    fn cut_long_lines(&mut self) {
        let bytes = &mut self.bytes;
        let mut at = 0;
        while at + PROBE < bytes.len() {
            if memchr(b'\n', &bytes[at..at + PROBE]).is_some() {
                at += PROBE;
                continue;
            }
            let start = memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
            let length = memchr(b'\n', &bytes[start..]).unwrap_or(bytes.len() - start);
            let kept = length.min(MAX_LINE);
            if length > kept {
                self.cut_lines += 1;
                self.cut_bytes += (length - kept) as u64;
                bytes.drain(start + kept..start + length);
            }
            at = start + kept;
        }
    }
}

/// How many newlines there are.
pub(crate) fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}
