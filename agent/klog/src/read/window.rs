//! Cuts out the lines around triggers. What lies far from a trigger is counted, and no line of it is
//! looked at.
use std::{collections::VecDeque, iter};

use memchr::{memchr, memrchr};

use crate::{
    raw_line::RawLine,
    read::blocks::{BLOCK, Block, newlines},
};

/// Lines yielded before a trigger.
const BEFORE: u64 = 200;
/// Lines yielded after the last trigger. The parts of the kernel's reports that are longer, which
/// are lists of processes, end with a trigger of their own.
const AFTER: u64 = 500;
/// Lines that journalctl's export format has for each message.
const EXPORT_LINES: u64 = 25;
/// No more than these bytes before a trigger's line are yielded, however few lines they are.
const HISTORY: usize = 128 * 1024;

/// Takes blocks, yields the lines near triggers.
pub(crate) struct Window {
    /// Blocks with lines that may still be yielded.
    past: VecDeque<Block>,
    /// Bytes in them.
    past_bytes: usize,
    /// The number of the next line.
    line: u64,
    /// Lines before this number were yielded, or never will be.
    yielded: u64,
    /// Lines before this number are yielded.
    open_until: u64,
    /// How much more than a line a message is.
    factor: u64,
    out: VecDeque<RawLine>,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            past: VecDeque::new(),
            past_bytes: 0,
            line: 1,
            yielded: 1,
            open_until: 0,
            factor: 1,
            out: VecDeque::new(),
        }
    }

    /// The next line.
    pub(crate) fn pop(&mut self) -> Option<RawLine> {
        self.out.pop_front()
    }

    /// Takes a block; returns one that is of no use any more.
    pub(crate) fn push(&mut self, block: Block) -> Option<Block> {
        let bytes = &block.bytes;
        if self.line == 1 && bytes.starts_with(b"__CURSOR=") {
            self.factor = EXPORT_LINES;
        }
        let end = self.line + block.lines;
        let mut triggers = block.triggers.iter().copied().peekable();
        let mut at = 0;
        while at < bytes.len() {
            if self.line < self.open_until {
                // Every line of a block has its newline.
                let length = memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at);
                if triggers.next_if(|trigger| *trigger < at + length).is_some() {
                    self.open_until = self.line + 1 + AFTER * self.factor;
                }
                let bytes = bytes[at..at + length].to_vec();
                self.out.push_back(RawLine { number: self.line, bytes });
                at += length + 1;
                self.line += 1;
                self.yielded = self.line;
            } else if let Some(&trigger) = triggers.peek() {
                let before = memrchr(b'\n', &bytes[at..trigger]);
                let start = before.map_or(at, |newline| at + newline + 1);
                self.line += newlines(&bytes[at..start]);
                self.yield_before(&bytes[..start]);
                self.open_until = self.line + 1;
                at = start;
            } else {
                break;
            }
        }
        self.line = end;
        self.keep(block)
    }

    /// Yields lines before the next one that were not yielded: the last ones of what its block has
    /// before it and of the blocks before that.
    fn yield_before(&mut self, same_block: &[u8]) {
        let wanted = (BEFORE * self.factor).min(self.line - self.yielded) as usize;
        let mut room = HISTORY;
        let mut found = Vec::new();
        let past = self.past.iter().rev().map(|block| block.bytes.as_slice());
        'blocks: for mut bytes in iter::once(same_block).chain(past) {
            while let [before @ .., _newline] = bytes {
                let start = memrchr(b'\n', before).map_or(0, |newline| newline + 1);
                let size = bytes.len() - start;
                if found.len() == wanted || size > room {
                    break 'blocks;
                }
                room -= size;
                found.push(before[start..].to_vec());
                bytes = &bytes[..start];
            }
        }
        let first = self.line - found.len() as u64;
        let lines = (first..).zip(found.into_iter().rev());
        self.out.extend(lines.map(|(number, bytes)| RawLine { number, bytes }));
        self.yielded = self.line;
    }

    /// Keeps a block for the triggers after it.
    fn keep(&mut self, mut block: Block) -> Option<Block> {
        self.past_bytes += block.bytes.len();
        // Many small ones would take the room of as many large ones.
        match self.past.back_mut() {
            Some(last) if last.bytes.len() + block.bytes.len() <= BLOCK => {
                last.bytes.append(&mut block.bytes);
                return Some(block);
            }
            _ => self.past.push_back(block),
        }
        let first = self.past.front()?.bytes.len();
        if self.past_bytes - first < HISTORY {
            return None;
        }
        self.past_bytes -= first;
        self.past.pop_front()
    }
}
