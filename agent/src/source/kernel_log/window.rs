//! Finds trigger phrases in blocks of bytes, and cuts out the lines around them. What lies far from
//! a trigger is counted, and no line of it is looked at.
use std::collections::VecDeque;

use aho_corasick::{AhoCorasick, Span, packed};
use memchr::{memchr, memchr_iter, memrchr};

use super::{reader::Stats, trigger::TRIGGERS};

/// Lines yielded before a trigger.
const BEFORE: u64 = 200;
/// Lines yielded after the last trigger. The parts of the kernel's reports that are longer, which
/// are lists of processes, end with a trigger of their own.
const AFTER: u64 = 500;
/// Lines that journalctl's export format has for each message.
const EXPORT_LINES: u64 = 25;
/// No more than these bytes before a trigger's line are yielded, however few lines they are.
const HISTORY: usize = 128 * 1024;
/// Bytes kept of a line. rsyslog and journald keep less of a message.
pub(super) const MAX_LINE: usize = 64 * 1024;
/// How much may have been looked at before the buffer is moved up.
const COMPACT: usize = 1024 * 1024;
/// A line longer than `MAX_LINE` fills at least one stretch of this size.
const PROBE: usize = MAX_LINE / 2;

/// A line as it stands in the log, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawLine {
    /// Counts from 1.
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

/// Looks for any trigger.
enum Searcher {
    /// With vector instructions.
    Packed(packed::Searcher),
    /// On CPUs that have none.
    Automaton(AhoCorasick),
}

impl Searcher {
    fn new() -> Self {
        match packed::Searcher::new(TRIGGERS) {
            Some(packed) => Self::Packed(packed),
            #[expect(clippy::expect_used, reason = "a handful of short constants")]
            None => Self::Automaton(AhoCorasick::new(TRIGGERS).expect("it is small enough")),
        }
    }

    /// Where the first trigger begins and ends.
    fn find(&self, bytes: &[u8]) -> Option<Span> {
        match self {
            Self::Packed(searcher) => searcher.find(bytes).map(|m| m.span()),
            Self::Automaton(searcher) => searcher.find(bytes).map(|m| m.span()),
        }
    }
}

/// Takes blocks, yields the lines near triggers.
pub(super) struct Window {
    searcher: Searcher,
    /// Lines that were looked at and may still be yielded, then what wasn't looked at.
    buffer: Vec<u8>,
    /// Where `buffer` begins in the input.
    base: u64,
    /// Lines before this place, in `buffer`, were yielded.
    yielded: usize,
    /// Lines before this place were looked at.
    scanned: usize,
    /// The number of the line that begins at `scanned`.
    line: u64,
    /// There is no newline between `scanned` and here.
    searched: usize,
    /// Bytes of the last line that were dropped, if it is longer than a line may be.
    dropped: Option<u64>,
    /// Lines before this number are yielded.
    open_until: u64,
    /// How much more than a line a message is.
    factor: u64,
    out: VecDeque<RawLine>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            searcher: Searcher::new(),
            buffer: Vec::new(),
            base: 0,
            yielded: 0,
            scanned: 0,
            line: 1,
            searched: 0,
            dropped: None,
            open_until: 0,
            factor: 1,
            out: VecDeque::new(),
        }
    }

    /// The next line.
    pub(super) fn pop(&mut self) -> Option<RawLine> {
        self.out.pop_front()
    }

    /// Takes a block.
    pub(super) fn push(&mut self, mut block: &[u8], stats: &mut Stats) {
        stats.bytes += block.len() as u64;
        if let Some(dropped) = &mut self.dropped {
            let end = memchr(b'\n', block);
            *dropped += end.unwrap_or(block.len()) as u64;
            let Some(end) = end else { return };
            block = &block[end..];
            self.end_of_long_line(stats);
        }
        self.buffer.extend_from_slice(block);
        if let Some(newline) = memrchr(b'\n', &self.buffer[self.searched..]) {
            self.look_at(self.searched + newline + 1, stats);
        }
        let tail = self.buffer.len() - self.scanned;
        if tail > MAX_LINE {
            self.dropped = Some((tail - MAX_LINE) as u64);
            self.buffer.truncate(self.scanned + MAX_LINE);
        }
        self.searched = self.buffer.len();
        self.compact();
    }

    /// The input is over: what is left is a line.
    pub(super) fn end(&mut self, stats: &mut Stats) {
        self.end_of_long_line(stats);
        if self.buffer.len() > self.scanned {
            self.buffer.push(b'\n');
            self.look_at(self.buffer.len(), stats);
        }
    }

    fn end_of_long_line(&mut self, stats: &mut Stats) {
        if let Some(dropped) = self.dropped.take() {
            stats.cut_lines += 1;
            stats.cut_bytes += dropped;
        }
    }

    /// Looks at the whole lines from `scanned` on.
    fn look_at(&mut self, end: usize, stats: &mut Stats) {
        if self.base == 0 && self.scanned == 0 && self.buffer.starts_with(b"__CURSOR=") {
            self.factor = EXPORT_LINES;
        }
        self.count_long_lines(end, stats);
        let first = self.line;
        while self.scanned < end {
            if self.line < self.open_until {
                self.yield_line(end);
            } else {
                self.find_trigger(end);
            }
        }
        stats.lines += self.line - first;
    }

    /// Yields the line at `scanned`. A trigger in it keeps the window open.
    fn yield_line(&mut self, end: usize) {
        let rest = &self.buffer[self.scanned..end];
        // `end` is behind a newline.
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        let bytes = &rest[..length.min(MAX_LINE)];
        if self.searcher.find(bytes).is_some() {
            self.open_until = self.line + 1 + AFTER * self.factor;
        }
        self.out.push_back(RawLine { number: self.line, bytes: bytes.to_vec() });
        self.scanned += length + 1;
        self.yielded = self.scanned;
        self.line += 1;
    }

    /// Goes on to the line with the next trigger, yields those before it, and opens the window.
    fn find_trigger(&mut self, end: usize) {
        let rest = &self.buffer[self.scanned..end];
        let Some(found) = self.searcher.find(rest) else {
            self.line += newlines(rest);
            self.scanned = end;
            return;
        };
        let start = memrchr(b'\n', &rest[..found.start]).map_or(0, |newline| newline + 1);
        self.line += newlines(&rest[..start]);
        if found.end - start > MAX_LINE {
            // Behind the part of the line that is kept.
            let length = memchr(b'\n', &rest[found.end..]).unwrap_or(rest.len() - found.end);
            self.line += 1;
            self.scanned += found.end + length + 1;
            return;
        }
        self.scanned += start;
        self.yield_before();
        self.open_until = self.line + 1;
    }

    /// Yields lines before `scanned` that were looked at and not yielded.
    fn yield_before(&mut self) {
        let floor = self.yielded.max(self.scanned.saturating_sub(HISTORY));
        let mut start = self.scanned;
        let mut lines = 0;
        while lines < BEFORE * self.factor && start > floor {
            // Without the newline that ends the line before `start`.
            match memrchr(b'\n', &self.buffer[floor..start - 1]) {
                Some(newline) => start = floor + newline + 1,
                None if self.begins_line(floor) => start = floor,
                None => break,
            }
            lines += 1;
        }
        let mut number = self.line - lines;
        let mut at = start;
        while at < self.scanned {
            let rest = &self.buffer[at..self.scanned];
            let length = memchr(b'\n', rest).unwrap_or(rest.len());
            let bytes = rest[..length.min(MAX_LINE)].to_vec();
            self.out.push_back(RawLine { number, bytes });
            number += 1;
            at += length + 1;
        }
        self.yielded = self.scanned;
    }

    /// Whether a line begins at a place in the buffer.
    fn begins_line(&self, at: usize) -> bool {
        match at.checked_sub(1) {
            Some(before) => self.buffer[before] == b'\n',
            None => self.base == 0,
        }
    }

    /// Counts lines that are longer than a line may be. One stretch in hundreds has no newline in
    /// its first bytes, so this costs next to nothing.
    fn count_long_lines(&self, end: usize, stats: &mut Stats) {
        let whole = &self.buffer[self.scanned..end];
        let mut at = 0;
        while at + PROBE < whole.len() {
            if memchr(b'\n', &whole[at..at + PROBE]).is_some() {
                at += PROBE;
                continue;
            }
            let start = memrchr(b'\n', &whole[..at]).map_or(0, |newline| newline + 1);
            let length = memchr(b'\n', &whole[start..]).unwrap_or(whole.len() - start);
            if length > MAX_LINE {
                stats.cut_lines += 1;
                stats.cut_bytes += (length - MAX_LINE) as u64;
            }
            at = start + length;
        }
    }

    /// Forgets what can't be yielded any more.
    fn compact(&mut self) {
        // One byte more, to see whether a line begins there.
        let floor = self.yielded.max(self.scanned.saturating_sub(HISTORY));
        let keep = floor.saturating_sub(1);
        if keep > COMPACT {
            self.buffer.drain(..keep);
            self.base += keep as u64;
            self.yielded = self.yielded.saturating_sub(keep);
            self.scanned -= keep;
            self.searched -= keep;
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}
