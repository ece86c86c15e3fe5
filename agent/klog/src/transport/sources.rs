//! Lines of several sources in one log, each behind a beginning of its own: log shippers', CI
//! runners', terminals'. The beginnings are learnt from lines in which a message is recognised; the
//! lines of each source then become messages as if they stood alone in a log.
use std::collections::VecDeque;

use fragwatch_core::model::log_stats::Stats;

use crate::{
    line::{LogLine, Origin},
    parse::{self, Message, trace},
    raw_line::RawLine,
    transport::{
        anchor::{self, Anchor},
        head::{self, Head},
        json,
        layout::{self, Layout},
        mail,
        messages::Assembler,
        payload,
        prefix::{LastDate, Prefix},
    },
};

/// Sources kept apart at a time.
const MAX_SOURCES: usize = 32;
/// Beginnings remembered.
const MAX_LAYOUTS: usize = 32;
/// Lines that wait for one that shows where the message of the first begins.
const MAX_HELD: usize = 16;
/// A beginning is looked for in this many lines after the last that had it.
const NEIGHBOURS: u64 = 300;

/// Takes raw lines, yields messages.
#[derive(Default)]
pub(crate) struct Sources {
    /// Lines without a beginning that had to be learnt.
    plain: Assembler,
    open: Vec<Source>,
    layouts: Vec<Learnt>,
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

struct Learnt {
    layout: Layout,
    /// The source that it was learnt of.
    key: String,
    /// The number of the last line with it.
    last: u64,
}

/// Where the message of a line begins.
enum Place {
    /// Where known transports leave it.
    Plain,
    /// Behind so many bytes.
    Behind(usize),
    /// At one of these bytes, which 0 stands for `Plain` among; the likeliest first.
    Unclear(Vec<usize>),
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
                None => self.place(&text, raw.number),
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

    fn place(&self, text: &str, number: u64) -> Place {
        let (quote, line) = mail::unquote(text);
        if line.trim_start().starts_with(['{', '"']) && json::message(line).is_some() {
            return Place::Plain;
        }
        let (prefix, rest) = Prefix::take(line, &mut LastDate::default());
        if matches!(prefix.origin, Origin::Program { pid: Some(_), .. })
            || matches!(prefix.origin, Origin::Program { .. }) && !wraps_kernel(rest)
        {
            return Place::Plain;
        }
        let known = text.len() - rest.len();
        let ends = self.ends_near(text, number);
        if let Some(end) = with_message(text, &ends) {
            return Place::Behind(end);
        }
        match anchor::find(rest) {
            // Indented, as lines of the kernel's reports are.
            Some(Anchor::At(at)) if trace::without_marks(&rest[..at]).is_empty() => Place::Plain,
            Some(Anchor::At(_)) if is_whole_message(rest) => Place::Plain,
            Some(Anchor::At(at)) if is_own_message(rest, at) => {
                Place::Behind(outermost(text, quote.len(), known + at))
            }
            Some(Anchor::OneOf(places)) if is_own_message(rest, places[0]) => {
                place_of_name(text, &ends, quote.len(), known, &places)
            }
            _ => {
                let unknown = !prefix.names_logger() && !payload::is_program(rest);
                let known_behind = unknown.then(|| anchor::known_prefix(rest)).flatten();
                // One that known transports have taken off already is none.
                let learnt = ends.into_iter().filter(|end| !prefix.any || *end > known).max();
                let behind = known_behind.map(|at| known + at).max(learnt);
                behind.map_or(Place::Plain, Place::Behind)
            }
        }
    }

    /// Where beginnings end that neighbours have too: of the same source, if that is known.
    fn ends_near(&self, text: &str, number: u64) -> Vec<usize> {
        let mut keys: Vec<(usize, String)> = Vec::new();
        let mut ends: Vec<(usize, bool)> = Vec::new();
        for learnt in &self.layouts {
            if number.abs_diff(learnt.last) > NEIGHBOURS {
                continue;
            }
            let Some(end) = learnt.layout.end_in(text) else { continue };
            if !keys.iter().any(|(known, _)| *known == end) {
                keys.push((end, layout::source(&text[..end])));
            }
            let same = keys.iter().any(|(known, key)| *known == end && *key == learnt.key);
            // Another source may have more blanks there.
            let blanks = text[end..].len() - text[end..].trim_start().len();
            ends.push((if same { end } else { end + blanks }, same));
        }
        let known = ends.iter().any(|(_, same)| *same);
        let mut ends: Vec<usize> =
            ends.into_iter().filter(|(_, same)| *same || !known).map(|(end, _)| end).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
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
        self.learn(&head.text, number);
        let source = self.source(&head.text);
        source.last = number;
        let raw = RawLine { number, bytes: head.message.into_bytes() };
        source.messages.push(&raw, Some(head.outer), stats);
    }

    fn learn(&mut self, head: &str, number: u64) {
        let Some(layout) = Layout::of(head) else { return };
        let key = layout::source(head);
        let same = |learnt: &&mut Learnt| learnt.key == key && learnt.layout.is_like(&layout);
        let known = self.layouts.iter_mut().find(same);
        if let Some(learnt) = known {
            learnt.layout.narrow(&layout);
            learnt.last = number;
            return;
        }
        if self.layouts.len() == MAX_LAYOUTS {
            self.layouts.remove(0);
        }
        self.layouts.push(Learnt { layout, key, last: number });
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

/// Where a heading begins that begins with a name.
fn place_of_name(
    text: &str,
    ends: &[usize],
    quote: usize,
    known: usize,
    places: &[usize],
) -> Place {
    let in_line = |at: usize| if at == 0 { 0 } else { outermost(text, quote, known + at) };
    let places: Vec<usize> = places.iter().map(|&at| in_line(at)).collect();
    match (ends.iter().find(|end| places.contains(end)), places.as_slice()) {
        (Some(&at), _) => Place::Behind(at),
        (None, [0]) => Place::Plain,
        (None, _) => Place::Unclear(places),
    }
}

/// The end of a beginning that a neighbour has too, if behind it a message begins, or what known
/// transports put before one.
fn with_message(text: &str, ends: &[usize]) -> Option<usize> {
    let begins = |end: &&usize| {
        let (_, inner) = mail::unquote(&text[**end..]);
        let (prefix, rest) = Prefix::take(inner, &mut LastDate::default());
        prefix.names_logger()
            || match anchor::find(rest) {
                Some(Anchor::At(at)) => trace::without_marks(&rest[..at]).is_empty(),
                Some(Anchor::OneOf(places)) => places.contains(&0),
                None => false,
            }
    };
    ends.iter().rev().find(begins).copied()
}

/// The beginning of the known prefixes that lead up to a message: they keep their dates.
fn outermost(text: &str, quote: usize, message: usize) -> usize {
    let head = &text[..message];
    let leads_there = |at: &usize| {
        let rest = &text[*at..];
        let (prefix, behind) = Prefix::take(rest, &mut LastDate::default());
        let end = text.len() - behind.len();
        // Lines of a report may be indented behind the last prefix.
        let leads = text.get(end..message).is_some_and(|between| between.trim().is_empty());
        !rest.starts_with(char::is_whitespace) && prefix.any && leads
    };
    anchor::boundaries(head).filter(|at| *at > quote).find(leads_there).unwrap_or(message)
}

/// Whether a program's name is a shipper's source: behind it fields follow, of which one is a message
/// of the kernel's.
fn wraps_kernel(line: &str) -> bool {
    let found = anchor::find(line);
    payload::is_program(line)
        && match found {
            Some(Anchor::At(at)) => is_own_message(line, at),
            Some(Anchor::OneOf(places)) => is_own_message(line, places[0]),
            None => false,
        }
}

/// Whether a line is one of the kernel's reports as it is: of those with nothing before them, as
/// addresses before a function.
fn is_whole_message(line: &str) -> bool {
    matches!(
        parse::parse_kernel(line),
        Some(Message::Trace(_) | Message::Memory(_) | Message::Slab(_) | Message::Version(_))
    )
}

/// Whether a message that was found in a line is the line's own. What a program's message quotes is
/// not, but a shipper's fields have one that is all the message.
fn is_own_message(line: &str, at: usize) -> bool {
    if !payload::is_program(line) {
        return true;
    }
    let before = line[..at].trim_end_matches(|c: char| {
        c == '[' || c == ']' || c == '.' || c == ' ' || c.is_ascii_digit()
    });
    ["msg=\"", "message=\"", "MESSAGE=\"", "log=\"", "text=\""]
        .iter()
        .any(|key| before.ends_with(key))
}

/// The place to take where nothing shows it: the whole name, unless a number comes before it.
fn likeliest(text: &str, places: &[usize]) -> usize {
    let first = places.first().copied().unwrap_or(0);
    let word = text[..first].split_whitespace().next_back().unwrap_or_default();
    let number = word.chars().any(|c| c.is_ascii_digit()) || word.ends_with([']', ':', '|']);
    if places.contains(&0) && !number { 0 } else { first }
}

#[cfg(test)]
mod tests;
