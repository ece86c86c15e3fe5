//! Makes messages of raw lines: undoes what transports did to them, takes their prefixes off, and
//! puts together what was broken.
use std::{borrow::Cow, collections::VecDeque};

use fragwatch_core::model::{
    log_stats::Stats,
    log_time::{LogTime, Wall},
};

use crate::{
    line::{LogLine, Origin},
    raw_line::{MAX_LINE, RawLine},
    transport::{
        escape,
        export::{self, Export},
        head::Outer,
        json,
        mail::{self, QuotedPrintable},
        payload,
        prefix::{LastDate, Prefix},
        wrap::{self, Broken, Join, Widths},
    },
};

/// Takes raw lines, yields messages.
#[derive(Default)]
pub(crate) struct Assembler {
    /// The number of the last line.
    last: u64,
    /// What was said outside of the line about it.
    outer: Outer,
    /// It holds a NUL. A crash leaves some before the line that is logged next, which has a prefix.
    nul: bool,
    export: Export,
    printable: QuotedPrintable,
    widths: Widths,
    /// The last line, which may go on.
    pending: Option<Pending>,
    /// The prefix of the line before, if the next can be a further line of its message.
    context: Option<(String, Prefix)>,
    /// Records that a runtime cut a message into.
    partial: Option<Pending>,
    date: LastDate,
    /// What dmesg -H counts from.
    human: Option<Wall>,
    out: VecDeque<LogLine>,
}

/// A message as far as it has been read.
struct Pending {
    first: u64,
    last: u64,
    prefix: Prefix,
    /// Marks of quoting before it.
    quote: String,
    text: String,
    /// How wide its last line was, in characters, without marks of quoting.
    width: usize,
}

impl Pending {
    fn broken(&self) -> Broken<'_> {
        let indent = self.text.len() - self.text.trim_start().len();
        let has_prefix = self.prefix.any;
        Broken { text: &self.text, width: self.width, indent, has_prefix }
    }
}

impl Assembler {
    /// The next message.
    pub(crate) fn pop(&mut self) -> Option<LogLine> {
        self.out.pop_front()
    }

    /// Whether a message waits for what may follow.
    pub(crate) fn waits(&self) -> bool {
        self.pending.is_some()
    }

    /// The next line does not follow the last one.
    pub(crate) fn leave(&mut self) {
        self.end();
        self.context = None;
        self.human = None;
    }

    /// Takes a line, and what was said outside of it about it.
    pub(crate) fn push(&mut self, raw: &RawLine, outer: Outer, stats: &mut Stats) {
        let RawLine { number, ref bytes } = *raw;
        self.last = number;
        self.outer = outer;
        match self.export.take(number, bytes) {
            export::Taken::Part => return,
            export::Taken::Message(message) => return self.exported(message),
            export::Taken::Not => {}
        }
        self.nul = memchr::memchr(0, bytes).is_some();
        let text = String::from_utf8_lossy(bytes);
        stats.undecodable_lines += u64::from(matches!(text, Cow::Owned(_)));
        let text = text.trim_end_matches(['\r', '\0']).trim_start_matches('\0');
        let text = escape::colours(text).into_owned();
        let [whole, this] = self.printable.take(number, &text);
        // Of two the first ended before this line.
        let last = if this.is_some() { number - 1 } else { number };
        if let Some((first, text)) = whole {
            self.line(first, last, &text);
        }
        if let Some((first, text)) = this {
            self.line(first, number, &text);
        }
    }

    /// No more lines follow for now: what waits is a message.
    pub(crate) fn end(&mut self) {
        if let Some((first, text)) = self.printable.end() {
            self.line(first, self.last, &text);
        }
        self.flush();
        if let Some(partial) = self.partial.take() {
            self.finish(partial);
        }
        if let Some(message) = self.export.end() {
            self.exported(message);
        }
    }

    fn exported(&mut self, message: export::Message) {
        self.flush();
        let export::Message { prefix, text, lines: (first, last) } = message;
        self.finish(Pending { first, last, prefix, quote: String::new(), text, width: 0 });
        self.context = None;
    }

    /// Waits no longer for what may follow the last message.
    pub(crate) fn flush(&mut self) {
        if let Some(pending) = self.pending.take() {
            let had_prefix = pending.prefix.any;
            self.context = Some(self.finish(pending)).filter(|_| had_prefix);
        }
    }

    /// Takes a line of text.
    fn line(&mut self, first: u64, last: u64, text: &str) {
        let text = escape::entities(text);
        let (quote, text) = mail::unquote(&text);
        if text.trim().is_empty() {
            self.flush();
            self.context = None;
            return;
        }
        let width = text.chars().count();
        if text.trim_start().starts_with(['{', '"'])
            && let Some(message) = json::message(text)
        {
            self.flush();
            self.context = None;
            return self.object(first, last, message);
        }
        let (mut prefix, rest) = Prefix::take(text, &mut self.date);
        self.add_outer(&mut prefix);
        if prefix.any {
            self.flush();
            self.widths.see(width);
            self.count_up(&mut prefix);
            let quote = quote.to_owned();
            let text = rest.to_owned();
            let pending = Pending { first, last, prefix, quote, text, width };
            if pending.prefix.partial || self.partial.is_some() {
                return self.record(pending);
            }
            self.pending = Some(pending);
            return;
        }
        self.without_prefix(first, last, quote, text, width);
    }

    /// A line without a prefix: the rest of the last one, a further line of its message, or none of
    /// its business.
    fn without_prefix(&mut self, first: u64, last: u64, quote: &str, text: &str, width: usize) {
        if let Some(pending) = &mut self.pending
            && pending.quote == quote
            && pending.text.len() < MAX_LINE
            && let Some(join) = self.widths.join(pending.broken(), text)
        {
            let text = match join {
                Join::Anywhere => text,
                Join::AtSpace => {
                    if !pending.text.ends_with(' ') {
                        pending.text.push(' ');
                    }
                    text.trim_start()
                }
            };
            pending.text.push_str(text);
            pending.last = last;
            pending.width = width;
            return;
        }
        self.flush();
        // What neither printk nor a program can log: strings of an executable, a dump.
        if self.nul {
            self.context = None;
            return;
        }
        let indented = text.starts_with([' ', '\t']);
        let quote = quote.to_owned();
        match self.context.take() {
            Some((before, prefix)) if indented && before == quote => {
                // Fields of a record of /dev/kmsg.
                if prefix.kmsg && !text.starts_with("  ") && text.contains('=') {
                    self.context = Some((before, prefix));
                } else {
                    let text = format!(" {}", text.trim_start());
                    self.pending = Some(Pending { first, last, prefix, quote, text, width });
                }
            }
            _ => {
                let mut prefix = Prefix::none();
                self.add_outer(&mut prefix);
                let text = text.to_owned();
                let pending = Pending { first, last, prefix, quote, text, width };
                if wrap::is_failure(&pending.text) {
                    self.pending = Some(pending);
                } else {
                    // Nothing can follow that would belong to it.
                    self.finish(pending);
                }
            }
        }
    }

    fn outer_time(&self) -> Option<LogTime> {
        (self.outer.time != LogTime::default()).then_some(self.outer.time)
    }

    /// Adds what was said outside of a line.
    fn add_outer(&self, prefix: &mut Prefix) {
        prefix.host = prefix.host.take().or_else(|| self.outer.host.clone());
    }

    /// A message from a JSON object.
    fn object(&mut self, first: u64, last: u64, message: json::Message) {
        let json::Message { mut prefix, mut text, raw } = message;
        // Prefixes stand at the beginning of the first record.
        if raw && self.partial.is_none() {
            let (inner, rest) = Prefix::take(&text, &mut self.date);
            prefix.time.refine(inner.time);
            prefix.caller = inner.caller;
            prefix.host = inner.host.or(prefix.host);
            if inner.origin != Origin::Unknown {
                prefix.origin = inner.origin;
            }
            let rest = rest.to_owned();
            text = rest;
        }
        let pending = Pending { first, last, prefix, quote: String::new(), text, width: 0 };
        if pending.prefix.partial || self.partial.is_some() {
            self.record(pending);
        } else {
            self.finish(pending);
        }
    }

    /// A record of a message that a runtime cut because it was long.
    fn record(&mut self, record: Pending) {
        self.context = None;
        let continues = record.prefix.partial;
        let whole = match self.partial.take() {
            Some(mut whole) => {
                whole.last = record.last;
                whole.text.push_str(&record.text);
                whole
            }
            None => record,
        };
        if continues && whole.text.len() < MAX_LINE {
            self.partial = Some(whole);
        } else {
            self.finish(whole);
        }
    }

    /// dmesg -H prints each minute once, and then only how much later the next line is.
    fn count_up(&mut self, prefix: &mut Prefix) {
        match prefix.delta {
            Some(delta) => {
                self.human = self.human.and_then(|wall| wall.later(delta));
                prefix.time.wall = self.human;
            }
            None => self.human = prefix.time.wall,
        }
    }

    /// Yields a message, line by line. What remains is what a further line of it would have.
    fn finish(&mut self, pending: Pending) -> (String, Prefix) {
        let Pending { first, last, prefix, quote, text, .. } = pending;
        let text = if prefix.kmsg { escape::hexadecimal(&text) } else { Cow::Borrowed(&*text) };
        let text = escape::octal(&text);
        let text = escape::colours(&text);
        for line in text.split('\n') {
            let line = line.trim_end_matches('\r');
            if line.trim().is_empty() {
                continue;
            }
            let mut time = prefix.time;
            let mut text = Cow::Borrowed(line);
            if prefix.origin != Origin::Kernel {
                let (inner, unwrapped) = payload::unwrap(line);
                text = unwrapped;
                time.refine(inner.unwrap_or_default());
                if text.trim().is_empty() {
                    continue;
                }
            }
            self.out.push_back(LogLine {
                first,
                last,
                source: 0,
                nth: 0,
                received: self.outer_time(),
                time: (time != LogTime::default()).then_some(time),
                caller: prefix.caller,
                origin: prefix.origin.clone(),
                host: prefix.host.clone(),
                text: text.into_owned(),
            });
        }
        (quote, prefix)
    }
}
