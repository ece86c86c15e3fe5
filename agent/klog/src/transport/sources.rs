//! Lines of several sources in one log, each behind a beginning of its own: log shippers', CI
//! runners', terminals'. The beginnings are learnt from lines in which a message is recognised; the
//! lines of each source then become messages as if they stood alone in a log.
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
        head::{self, Head},
        layout::{self, Layout},
        mail,
        messages::Assembler,
        prefix::{LastDate, Prefix},
    },
};

/// Sources kept apart at a time.
const MAX_SOURCES: usize = 32;
/// Lines that wait for one that shows where the message of the first begins.
const MAX_HELD: usize = 16;
/// Takes raw lines, yields messages.
#[derive(Default)]
pub(crate) struct Sources {
    /// Lines without a beginning that had to be learnt.
    plain: Assembler,
    open: Vec<Source>,
    layouts: Layouts,
    held: VecDeque<RawLine>,
    /// Where the message of the first of these may begin, if that was asked before.
    unclear: Option<Vec<usize>>,
    /// How many of them were looked at for that.
    looked_at: usize,
    /// The number of the last line.
    last: u64,
    made: u32,
    out: VecDeque<LogLine>,
}

struct Source {
    key: String,
    id: u32,
    messages: Assembler,
    /// The number of its last line.
    last: u64,
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
        self.out.extend(std::iter::from_fn(|| self.plain.pop()));
        for source in &mut self.open {
            self.out.extend(std::iter::from_fn(|| source.messages.pop()).map(|mut line| {
                line.source = source.id;
                line
            }));
        }
    }

    /// Whether a message waits for what may follow.
    pub(crate) fn waits(&self) -> bool {
        !self.held.is_empty()
            || self.plain.waits()
            || self.open.iter().any(|source| source.messages.waits())
    }

    /// Takes a line.
    pub(crate) fn push(&mut self, raw: RawLine, stats: &mut Stats) {
        if raw.number != self.last + 1 {
            self.settle(true, stats);
            self.plain.leave();
            for source in &mut self.open {
                source.messages.leave();
            }
        }
        self.last = raw.number;
        self.held.push_back(raw);
        self.settle(false, stats);
    }

    /// Waits no longer for what may follow.
    pub(crate) fn flush(&mut self, stats: &mut Stats) {
        self.settle(true, stats);
        self.plain.flush();
        for source in &mut self.open {
            source.messages.flush();
        }
    }

    /// No more lines follow.
    pub(crate) fn end(&mut self, stats: &mut Stats) {
        self.settle(true, stats);
        self.plain.end();
        for source in &mut self.open {
            source.messages.end();
        }
    }

    /// Hands lines on as long as it is clear where their messages begin, or all of them.
    fn settle(&mut self, all: bool, stats: &mut Stats) {
        while let Some(raw) = self.held.front() {
            let text = String::from_utf8_lossy(&raw.bytes);
            let place = match self.unclear.take() {
                Some(places) => Place::Unclear(places),
                None => place(&text, raw.number, &self.layouts),
            };
            let at = match place {
                Place::Plain => 0,
                Place::Behind(at) => at,
                Place::Unclear(places) => match self.shown_by_others(&text, &places) {
                    Some(at) => at,
                    None if !all && self.held.len() < MAX_HELD => {
                        self.looked_at = self.held.len();
                        self.unclear = Some(places);
                        return;
                    }
                    None => likeliest(&text, &places),
                },
            };
            self.looked_at = 1;
            let head = (at > 0).then(|| head::take(&text, at));
            let Some(raw) = self.held.pop_front() else { return };
            match head {
                Some(head) => self.push_behind(raw.number, head, stats),
                None => self.plain.push(&raw, None, stats),
            }
        }
    }

    /// The place at which lines after this one, in which messages are recognised, show its message
    /// to begin.
    fn shown_by_others(&self, text: &str, places: &[usize]) -> Option<usize> {
        let layouts: Vec<Option<Layout>> =
            places.iter().map(|&at| (at > 0).then(|| Layout::of(&text[..at])).flatten()).collect();
        self.held.iter().skip(self.looked_at.max(1)).find_map(|raw| {
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
            let layout = Layout::of(&other[..end])?;
            let same = |own: &Option<Layout>| own.as_ref().is_some_and(|own| own.is_like(&layout));
            layouts.iter().position(same).map(|index| places[index])
        })
    }

    /// Takes a line whose message stands behind a beginning.
    fn push_behind(&mut self, number: u64, head: Head, stats: &mut Stats) {
        self.layouts.learn(&head.text, number);
        let source = self.source(&head.text);
        source.last = number;
        let raw = RawLine { number, bytes: head.message.into_bytes() };
        source.messages.push(&raw, Some(head.outer), stats);
    }

    fn source(&mut self, head: &str) -> &mut Source {
        let key = layout::source(head);
        let known = self.open.iter().position(|source| source.key == key);
        let index = known.unwrap_or_else(|| {
            if self.open.len() == MAX_SOURCES {
                self.end_oldest();
            }
            self.made = self.made.wrapping_add(1).max(1);
            let messages = Assembler::default();
            self.open.push(Source { key, id: self.made, messages, last: 0 });
            self.open.len() - 1
        });
        &mut self.open[index]
    }

    /// Makes room for another source.
    fn end_oldest(&mut self) {
        let oldest = self.open.iter().enumerate().min_by_key(|(_, source)| source.last);
        let Some((index, _)) = oldest else { return };
        self.open[index].messages.end();
        self.collect();
        self.open.remove(index);
    }
}

#[cfg(test)]
mod tests;
