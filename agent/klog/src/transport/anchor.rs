//! Where in a line a message of the kernel's or of a runtime begins, whatever stands before it.
//!
//! The kernel's are recognised by words that only they begin with and by the numbers that belong to them.
//! The two headings that begin with a task's name leave open where the name begins: what a shipper
//! put before it may look like a part of it.
mod runtime;

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::parse::{self, Message, memory::Memory, oom::Oom, trace::Trace};

/// What messages begin with.
const BEGINNINGS: &[&str] = &[
    "CPU: ",
    "Pid: ",
    "Call Trace:",
    "Call trace:",
    "Mem-Info:",
    "Node ",
    "DMA ",
    "DMA32 ",
    "Normal ",
    "HighMem ",
    "Movable ",
    "DMA: ",
    "DMA32: ",
    "Normal: ",
    "HighMem: ",
    "Movable: ",
    "lowmem_reserve[]:",
    "active_anon:",
    "oom-kill:constraint=",
    "Memory cgroup ",
    "Out of memory: ",
    "Out of memory and no",
    "Killed process ",
    "memory: usage ",
    "memory+swap: usage ",
    "swap: usage ",
    "kmem: usage ",
    "Task in /",
    "Tasks in /",
    "SLUB: Unable to allocate",
    "SLAB: Unable to allocate",
    "cache: ",
    "INFO: task ",
    "percpu: allocation failed",
    "cgroup: fork rejected by",
    "vmap allocation for size ",
    "kmem_cache_create",
    "Linux version ",
    "<TASK>",
];
/// What stands behind the name that a heading begins with.
const BEHIND_NAME: &[&str] = &[
    ": page allocation failure",
    ": page allocation stalls for ",
    ": vmemmap alloc failure",
    ": vmalloc: allocation failure",
    ": vmalloc error: size ",
    " invoked oom-killer: ",
];
/// Bytes of a line in which a message may begin.
pub(super) const REACH: usize = 2000;
/// Places in a line that are tried.
pub(super) const MAX_PLACES: usize = 24;
/// Bytes of a task's name.
const NAME: usize = 15;

static WORDS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(BEGINNINGS.iter().chain(BEHIND_NAME)).ok());

/// Where a message begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// At this byte.
    At(usize),
    /// With a task's name, at one of these bytes; the likeliest comes first.
    OneOf(Vec<usize>),
}

/// Finds the first message in a line, if there is one.
pub(crate) fn find(line: &str) -> Option<Anchor> {
    of_kernel(line).or_else(|| of_runtime(line))
}

/// Finds the message of a runtime in a line, or of what passes one on.
pub(crate) fn of_runtime(line: &str) -> Option<Anchor> {
    runtime::find(line).map(Anchor::At)
}

/// Finds the first message of the kernel's in a line.
pub(crate) fn of_kernel(line: &str) -> Option<Anchor> {
    let reach = line.floor_char_boundary(REACH);
    let mut found = WORDS.as_ref()?.find_iter(&line[..reach]).take(MAX_PLACES);
    found.find_map(|found| verify(line, found.pattern().as_usize(), found.start()))
}

fn verify(line: &str, pattern: usize, start: usize) -> Option<Anchor> {
    if pattern < BEGINNINGS.len() {
        return (begins_there(line, start) && says_more(&line[start..]))
            .then_some(Anchor::At(start));
    }
    // Names of the request follow in the same line, or it is a sentence about such a message.
    let rest = &line[start..];
    let complete = ["order:", "order=", "mode:0x", "gfp_mask=0x", "failure: ", "size "];
    let digit = |part: &str| {
        let number = rest.split_once(part).map(|(_, number)| number.trim_start_matches('-'));
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_hexdigit()))
    };
    if !complete.iter().any(|part| digit(part)) {
        return None;
    }
    names(line, start)
}

/// Whether something else can end there.
fn begins_there(line: &str, at: usize) -> bool {
    let before = line[..at].chars().next_back();
    before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '_' | '`' | '-' | '/' | '.' | '\'')))
}

/// Whether the words are followed by what the kernel prints behind them.
fn says_more(text: &str) -> bool {
    let ends = |rest: &str| rest.trim_end().is_empty() || ends_string(rest);
    if let Some(rest) = text.get("Call Trace:".len()..)
        && text.starts_with("Call ")
    {
        return ends(rest);
    }
    if let Some(rest) = text.strip_prefix("Mem-Info:") {
        return ends(rest);
    }
    if let Some(rest) = text.strip_prefix("<TASK>") {
        return ends(rest);
    }
    match parse::parse_kernel(text) {
        Some(Message::Oom(oom)) => match oom {
            Oom::Summary(summary) => summary.pid.is_some(),
            Oom::NoVictim { .. } => text.trim_end().ends_with("processes..."),
            _ => true,
        },
        Some(Message::Memory(memory)) => !matches!(memory, Memory::Other),
        Some(Message::Trace(Trace::Task { pid, .. })) => pid.is_some(),
        Some(Message::Trace(Trace::OtherReport | Trace::Frame(_))) | None => false,
        Some(_) => true,
    }
}

/// Whether a string ends there that is the value of a field: behind its quote another field, the end of
/// an object or a mark follows, and no further text, as where the words are quoted.
fn ends_string(rest: &str) -> bool {
    let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\\' | '\'' | '<')) else {
        return false;
    };
    let behind = rest[1..].trim_start_matches(['n', 'r', '\\', '"', '\'', ' ']);
    let field = || behind.split(' ').next().is_some_and(|word| word.contains('='));
    quote == '<' || behind.is_empty() || behind.starts_with([',', '}', ')', ']']) || field()
}

/// Where the name before a heading's words may begin.
fn names(line: &str, end: usize) -> Option<Anchor> {
    let mut places = Vec::new();
    let before = &line[..end];
    // The likeliest: the last word, or what follows a bracket that is no part of the name.
    let mut depth = 0u32;
    for (at, c) in before.char_indices().rev().skip(1) {
        if end - at > NAME + 1 {
            break;
        }
        let next = at + c.len_utf8();
        match c {
            ']' | ')' if depth == 0 && next < end => places.push(next),
            ']' => depth += 1,
            '[' if depth > 0 => depth -= 1,
            ' ' | '\t' | '"' | '|' | '>' | ';' | ',' if depth == 0 => places.push(next),
            _ => {}
        }
    }
    if end <= NAME {
        places.push(0);
    }
    // Behind several blanks the name begins at the last.
    places.retain(|&at| !line[at..].starts_with([' ', '\t']));
    (!places.is_empty()).then_some(Anchor::OneOf(places))
}

#[cfg(test)]
mod tests;
