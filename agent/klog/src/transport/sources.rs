//! Lines of several sources in one log, each behind a beginning of its own: log shippers', CI
//! runners', terminals'. The beginnings are learnt from lines in which a message is recognised; the
//! lines of each source then are read as if they stood alone in a log.
mod layouts;
mod place;

use std::collections::VecDeque;

use fragwatch_core::model::log_stats::Stats;

use self::{
    layouts::Layouts,
    place::{Place, is_whole_message, likeliest, outermost, place},
};
use crate::{
    line::{LogLine, Origin},
    parse::trace,
    raw_line::RawLine,
    transport::{
        anchor::{self, Anchor},
        escape,
        head::{self, Outer},
        layout::{self, Layout},
        mail,
        messages::Assembler,
        prefix::{LastDate, Prefix},
        several,
    },
};

/// Beginnings in each other that are taken off.
const MAX_DEPTH: u32 = 2;
/// Sources kept apart at a time.
const MAX_SOURCES: usize = 32;
/// Lines that wait for one that shows where the message of the first begins, and bytes in them.
const MAX_HELD: usize = 128;
const MAX_HELD_BYTES: usize = 128 * 1024;
/// What a gap between the lines that were looked at counts as: more than neighbours are apart.
const LEFT_OUT: u64 = 1000;
/// After so many lines without a time and a host a source's beginnings have none.
const SILENT: u32 = 200;
/// A heading's own name is shown by one of these lines below it.
const MAX_BELOW: usize = 16;

/// Takes raw lines, yields messages.
#[derive(Default)]
pub(crate) struct Sources {
    /// How many beginnings were taken off these lines.
    depth: u32,
    /// Lines without a beginning that had to be learnt.
    plain: Assembler,
    open: Vec<Source>,
    layouts: Layouts,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// How many of them were asked what they begin with.
    asked: usize,
    /// Counts what changes how lines are read.
    changes: u64,
    /// The number of the last line.
    last: u64,
    /// Counts the lines without a beginning that were yielded, and those that were left out in between
    /// as `LEFT_OUT`.
    yielded: u64,
    made: u32,
    out: VecDeque<LogLine>,
}

/// A line that waits.
struct Held {
    raw: RawLine,
    /// What was said outside of it about it.
    outer: Outer,
    /// Where its message begins, as of so many changes.
    place: Option<(Place, u64)>,
    /// How many of the lines below it were asked whether they show that.
    asked: usize,
}

struct Source {
    key: String,
    id: u32,
    lines: Sources,
    /// The number of its last line.
    last: u64,
    /// How many lines in a row had a beginning that says neither when nor where.
    silent: u32,
}

impl Source {
    /// What a line's beginning says of when and where. To look for it takes long, and beginnings of one
    /// source are alike.
    fn outer(&mut self, head: &str) -> Outer {
        if self.silent >= SILENT {
            return Outer::default();
        }
        let outer = head::outer(head);
        self.silent = if outer == Outer::default() { self.silent + 1 } else { 0 };
        outer
    }
}

impl Sources {
    /// The next message.
    pub(crate) fn pop(&mut self) -> Option<LogLine> {
        if self.out.is_empty() {
            self.collect();
        }
        self.out.pop_front()
    }

    fn collect(&mut self) {
        self.out.extend(std::iter::from_fn(|| self.plain.pop()).map(|mut line| {
            self.yielded += 1;
            line.nth = self.yielded;
            line
        }));
        for source in &mut self.open {
            let id = source.id;
            self.out.extend(std::iter::from_fn(|| source.lines.pop()).map(|mut line| {
                line.source = if self.depth == 0 { id << 16 | line.source } else { id };
                line
            }));
        }
    }

    /// Whether a message waits for what may follow.
    pub(crate) fn waits(&self) -> bool {
        !self.held.is_empty()
            || self.plain.waits()
            || self.open.iter().any(|source| source.lines.waits())
    }

    /// Takes a line of the log.
    pub(crate) fn push(&mut self, raw: RawLine, stats: &mut Stats) {
        if raw.number != self.last + 1 {
            self.leave(stats);
        }
        self.last = raw.number;
        let raw = match escape::without_colours(&raw.bytes) {
            Some(bytes) => RawLine { bytes, ..raw },
            None => raw,
        };
        match several::parts(&raw.bytes) {
            Some(parts) => {
                for bytes in parts {
                    let part = RawLine { number: raw.number, bytes };
                    self.take(part, Outer::default(), stats);
                }
            }
            None => self.take(raw, Outer::default(), stats),
        }
    }

    fn take(&mut self, raw: RawLine, outer: Outer, stats: &mut Stats) {
        if self.depth == MAX_DEPTH {
            self.plain.push(&raw, outer, stats);
            return;
        }
        self.held_bytes += raw.bytes.len();
        self.held.push_back(Held { raw, outer, place: None, asked: 1 });
        self.settle(false, stats);
    }

    /// The next line does not follow the last one.
    fn leave(&mut self, stats: &mut Stats) {
        self.settle(true, stats);
        self.plain.leave();
        self.collect();
        self.yielded += LEFT_OUT;
        for source in &mut self.open {
            source.lines.leave(stats);
        }
    }

    /// Waits no longer for what may follow.
    pub(crate) fn flush(&mut self, stats: &mut Stats) {
        self.settle(true, stats);
        self.plain.flush();
        for source in &mut self.open {
            source.lines.flush(stats);
        }
    }

    /// No more lines follow.
    pub(crate) fn end(&mut self, stats: &mut Stats) {
        self.settle(true, stats);
        self.plain.end();
        for source in &mut self.open {
            source.lines.end(stats);
        }
    }

    /// Hands lines on as long as it is clear where their messages begin, or all of them.
    fn settle(&mut self, all: bool, stats: &mut Stats) {
        while !self.held.is_empty() {
            let full = all || self.held.len() >= MAX_HELD || self.held_bytes > MAX_HELD_BYTES;
            let at = match self.place(0) {
                Place::Plain => 0,
                Place::Behind(at) => at,
                Place::Unclear(places) => match self.shown_below(&places) {
                    Some(at) => at,
                    None if !full && self.held.len() < MAX_BELOW => return,
                    None => likeliest(&String::from_utf8_lossy(&self.held[0].raw.bytes), &places),
                },
                Place::Unknown => match self.shown_by_neighbours() {
                    Some(at) => at,
                    None if !full => return,
                    None => 0,
                },
            };
            let Some(Held { raw, outer, .. }) = self.held.pop_front() else { return };
            self.held_bytes -= raw.bytes.len();
            self.asked = self.asked.saturating_sub(1);
            if at == 0 {
                self.plain.push(&raw, outer, stats);
            } else {
                self.take_behind(&raw, at, outer, stats);
            }
        }
    }

    /// Where the message of a line that waits begins.
    fn place(&mut self, index: usize) -> Place {
        let Held { raw, place: known, .. } = &mut self.held[index];
        match known {
            Some((place, at)) if *at == self.changes || matches!(place, Place::Plain) => {
                place.clone()
            }
            _ => {
                let text = String::from_utf8_lossy(&raw.bytes);
                let place = place(&text, raw.number, &self.layouts);
                *known = Some((place.clone(), self.changes));
                place
            }
        }
    }

    /// Where the message of the first line begins, if lines below it begin alike and show that.
    fn shown_by_neighbours(&mut self) -> Option<usize> {
        self.asked = self.asked.max(1);
        while self.asked < self.held.len() {
            let index = self.asked;
            self.asked += 1;
            let Place::Behind(at) = self.place(index) else { continue };
            let raw = &self.held[index].raw;
            let text = String::from_utf8_lossy(&raw.bytes);
            let head = &text[..at];
            if self.layouts.learn(head, &layout::source(head), raw.number) {
                self.changes += 1;
                if let Place::Behind(at) = self.place(0) {
                    return Some(at);
                }
            }
        }
        None
    }

    /// The one of these places at which lines below the first, in which messages are recognised, show
    /// its message to begin.
    fn shown_below(&mut self, places: &[usize]) -> Option<usize> {
        let held = self.held.len();
        let first = self.held.front_mut()?;
        let asked = std::mem::replace(&mut first.asked, held);
        let text = String::from_utf8_lossy(&first.raw.bytes);
        let begin = |&at: &usize| Some((Layout::of(&text[..at])?, layout::source(&text[..at])));
        let begins: Vec<Option<(Layout, String)>> = places.iter().map(begin).collect();
        self.held.iter().take(MAX_BELOW).skip(asked).find_map(|Held { raw, .. }| {
            let other = String::from_utf8_lossy(&raw.bytes);
            let (quote, line) = mail::unquote(&other);
            let (prefix, rest) = Prefix::take(line, &mut LastDate::default());
            let Some(Anchor::At(at)) = anchor::find(rest) else { return None };
            if matches!(prefix.origin, Origin::Program { .. }) {
                return None;
            }
            if trace::without_marks(&rest[..at]).is_empty() || is_whole_message(rest) {
                return places.contains(&0).then_some(0);
            }
            let end = outermost(&other, quote.len(), other.len() - rest.len() + at);
            let (layout, key) = (Layout::of(&other[..end])?, layout::source(&other[..end]));
            let same = |own: &Option<(Layout, String)>| {
                own.as_ref().is_some_and(|(own, of)| own.is_like(&layout) && *of == key)
            };
            begins.iter().position(same).map(|index| places[index])
        })
    }

    /// Takes a line whose message stands behind a beginning.
    fn take_behind(&mut self, raw: &RawLine, at: usize, outer: Outer, stats: &mut Stats) {
        let line = String::from_utf8_lossy(&raw.bytes);
        let (head, message) = head::split(&line, at);
        let bytes = message.into_owned().into_bytes();
        if layout::is_markup(head) {
            return self.plain.push(&RawLine { number: raw.number, bytes }, outer, stats);
        }
        let index = self.source(head);
        let source = &mut self.open[index];
        self.changes += u64::from(self.layouts.learn(head, &source.key, raw.number));
        source.last = raw.number;
        let own = source.outer(head);
        source.lines.take(RawLine { number: raw.number, bytes }, own.or(outer), stats);
    }

    /// The place of the source of a line that begins so.
    fn source(&mut self, head: &str) -> usize {
        let known = self.open.iter().position(|source| layout::is_of_source(head, &source.key));
        known.unwrap_or_else(|| {
            if self.open.len() == MAX_SOURCES {
                self.end_oldest();
            }
            // It takes 16 bits of a line's source.
            self.made = self.made % 0xffff + 1;
            let lines = Sources { depth: self.depth + 1, ..Self::default() };
            let key = layout::source(head);
            self.open.push(Source { key, id: self.made, lines, last: 0, silent: 0 });
            self.open.len() - 1
        })
    }

    /// Makes room for another source.
    fn end_oldest(&mut self) {
        let oldest = self.open.iter().enumerate().min_by_key(|(_, source)| source.last);
        let Some((index, _)) = oldest else { return };
        self.open[index].lines.end(&mut Stats::default());
        self.collect();
        self.open.remove(index);
    }
}

#[cfg(test)]
mod tests;
