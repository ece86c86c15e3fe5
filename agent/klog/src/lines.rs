//! Reads a log of any length in constant memory and yields the lines that stand near a trigger.
use std::{
    io::Read,
    time::{Duration, Instant},
};

use fragwatch_core::model::log_stats::Stats;

use crate::{
    line::LogLine,
    read::{
        blocks::{Block, Blocks, Taken},
        input::ReadError,
        window::Window,
    },
    transport::sources::Sources,
};

/// Adds what one block held.
fn count(stats: &mut Stats, block: &Block) {
    let bytes = &block.bytes;
    let sample = Stats::SAMPLE.saturating_sub(stats.bytes).min(bytes.len() as u64) as usize;
    let odd = |byte: &&u8| **byte < 0x20 && !matches!(**byte, b'\n' | b'\r' | b'\t' | 0x1b);
    stats.odd_bytes += bytes[..sample].iter().filter(odd).count() as u32;
    stats.bytes += block.size;
    stats.lines += block.lines;
    stats.cut_lines += block.cut_lines;
    stats.cut_bytes += block.cut_bytes;
}

/// What [`Lines::next_timeout`] got.
#[derive(Debug)]
pub enum Next {
    /// A line.
    Line(LogLine),
    /// The log could not be read any further. [`Next::End`] comes next.
    Failed(ReadError),
    /// No line came in that time; more may come.
    Quiet,
    /// There is no more.
    End,
}

/// How long a line that may go on in the next one is held back when nothing follows it.
const HOLD: Duration = Duration::from_millis(200);

/// The lines of a log that stand near a trigger phrase, in order.
pub struct Lines {
    blocks: Blocks,
    window: Window,
    sources: Sources,
    stats: Stats,
    /// Since when a message waits for what may follow it.
    held: Option<Instant>,
    /// Whether there is anything left to read.
    over: bool,
    /// Why not; reported after the lines that were read.
    error: Option<ReadError>,
}

impl Lines {
    /// Reads from a file, a pipe or memory, in a thread of its own. The iterator waits with a line
    /// for the next one if that could go on with it, however long that takes: it is for files.
    /// [`Self::next_timeout`] is for streams.
    pub fn new(input: impl Read + Send + 'static) -> Self {
        Self {
            blocks: Blocks::read(input),
            window: Window::new(),
            sources: Sources::default(),
            stats: Stats::default(),
            held: None,
            over: false,
            error: None,
        }
    }

    /// As [`Iterator::next`], but waits no longer than that: a caller that has gathered an incident
    /// notices that the stream fell quiet and reports it. A line is yielded as soon as it is there,
    /// or, if the next one could go on with it, after 200 ms in which none came.
    pub fn next_timeout(&mut self, timeout: Duration) -> Next {
        self.wait(Instant::now().checked_add(timeout))
    }

    /// What was read so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Next {
        loop {
            if let Some(line) = self.sources.pop() {
                return Next::Line(line);
            }
            if let Some(raw) = self.window.pop() {
                self.held = None;
                self.sources.push(raw, &mut self.stats);
                continue;
            }
            if self.over {
                return self.error.take().map_or(Next::End, Next::Failed);
            }
            let release = (deadline.is_some() && self.sources.waits())
                .then(|| *self.held.get_or_insert_with(Instant::now) + HOLD);
            let until = deadline.into_iter().chain(release).min();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match self.blocks.take(left) {
                Taken::Block(block) => {
                    count(&mut self.stats, &block);
                    if let Some(used) = self.window.push(block) {
                        self.blocks.give_back(used);
                    }
                }
                Taken::Quiet if release.is_some() && release == until => {
                    self.sources.flush(&mut self.stats);
                }
                Taken::Quiet => return Next::Quiet,
                Taken::Failed(error) => {
                    self.error = Some(error);
                    self.end();
                }
                Taken::End => self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.over = true;
        self.stats.compressed_tail_lost = self.blocks.tail_lost();
        self.sources.end(&mut self.stats);
    }
}

impl Iterator for Lines {
    type Item = Result<LogLine, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.wait(None) {
            Next::Line(line) => Some(Ok(line)),
            Next::Failed(error) => Some(Err(error)),
            // Without a deadline there is no quiet.
            Next::Quiet | Next::End => None,
        }
    }
}

#[cfg(test)]
mod tests;
