//! Where in a line a message begins.
use crate::{
    line::Origin,
    parse::{self, Message, trace},
    transport::{
        anchor::{self, Anchor},
        boundary::boundaries,
        json, known, mail, payload,
        prefix::{LastDate, Prefix},
        sources::layouts::Layouts,
    },
};

/// Where the message of a line begins.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Where known transports leave it.
    Plain,
    /// The line does not show it: its neighbours may.
    Unknown,
    /// Behind so many bytes.
    Behind(usize),
    /// At one of these bytes, which 0 stands for `Plain` among; the likeliest first.
    Unclear(Vec<usize>),
}

/// Where the message of this line begins.
pub(super) fn place(text: &str, number: u64, layouts: &Layouts) -> Place {
    let (ends, sure) = layouts.ends_near(text, number);
    if let (true, &[end]) = (sure, ends.as_slice()) {
        return Place::Behind(end);
    }
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
    if let Some(end) = with_message(text, &ends) {
        return Place::Behind(end);
    }
    let kernels = anchor::of_kernel(rest);
    let of_kernel = kernels.is_some() || prefix.origin == Origin::Kernel;
    // What a program logs in its own form is taken apart as that.
    let of_runtime = || (!payload::is_program(rest)).then(|| anchor::of_runtime(rest)).flatten();
    match if of_kernel { kernels } else { of_runtime() } {
        // Indented, as lines of the kernel's reports are.
        Some(Anchor::At(at)) if trace::without_marks(&rest[..at]).is_empty() => Place::Plain,
        Some(Anchor::At(_)) if is_whole_message(rest) => Place::Plain,
        Some(Anchor::At(at)) if is_own_message(rest, at) => {
            let outer = holder(text, known, at, of_kernel);
            Place::Behind(outer.unwrap_or_else(|| outermost(text, quote.len(), known + at)))
        }
        Some(Anchor::OneOf(places)) if is_own_message(rest, places[0]) => {
            if let Some(outer) = holder(text, known, places[0], of_kernel) {
                return Place::Behind(outer);
            }
            place_of_name(text, &ends, quote.len(), known, &places)
        }
        _ => {
            // One that known transports have taken off already is none.
            let learnt = ends.into_iter().filter(|end| !prefix.any || *end > known).max();
            // What is behind a beginning of the same source is looked at when that is taken off.
            let unknown = learnt.is_none() && !prefix.names_logger() && !payload::is_program(rest);
            let known_behind = || unknown.then(|| known::find(rest)).flatten();
            let behind = learnt.or_else(|| known_behind().map(|at| known + at));
            let plain = if unknown { Place::Unknown } else { Place::Plain };
            behind.map_or(plain, Place::Behind)
        }
    }
}

/// Where what holds the message at this byte behind known prefixes begins, if that is more than a
/// beginning: a string in which it is in a string again, an object of a known transport, or a line of
/// one that says who logged it.
fn holder(text: &str, known: usize, at: usize, of_kernel: bool) -> Option<usize> {
    let rest = &text[known..];
    let head = &rest[..at];
    let quotes = head.match_indices('"').map(|(at, _)| at);
    let opened: Vec<usize> = quotes.filter(|&at| !head[..at].ends_with('\\')).collect();
    if opened.len() % 2 == 1
        && let Some(&open) = opened.last()
        && head[open + 1..].contains("\\\"")
    {
        return Some(known + open + 1);
    }
    if of_kernel && !head.contains('{') {
        return None;
    }
    let inner = known::find(rest).filter(|&inner| inner < at)?;
    (!of_kernel || rest[inner..].starts_with('{')).then_some(known + inner)
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
    // Indented, as a pasted report is.
    if let [only] = places
        && text[..known + only].trim().is_empty()
    {
        return Place::Plain;
    }
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
pub(super) fn outermost(text: &str, quote: usize, message: usize) -> usize {
    let head = &text[..message];
    let leads_there = |at: &usize| {
        let rest = &text[*at..];
        // A mail's marks belong to what is left: where its encoding broke a line the rest has none.
        let quoted = rest.starts_with('>') && !ends_with_word(&text[..*at]);
        let inner = if quoted { mail::unquote(rest).1 } else { rest };
        let (prefix, behind) = Prefix::take(inner, &mut LastDate::default());
        let end = text.len() - behind.len();
        // Lines of a report may be indented behind the last prefix.
        let leads = text.get(end..message).is_some_and(|between| between.trim().is_empty());
        !rest.starts_with(char::is_whitespace) && (prefix.any || quoted && end == message) && leads
    };
    boundaries(head).filter(|at| *at > quote).find(leads_there).unwrap_or(message)
}

/// Whether a word stands right before, or a part of the same sign: `worker-1 >> ` is a tag.
fn ends_with_word(head: &str) -> bool {
    head.ends_with('>')
        || head.strip_suffix(' ').is_some_and(|head| head.ends_with(char::is_alphanumeric))
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
pub(super) fn is_whole_message(line: &str) -> bool {
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
pub(super) fn likeliest(text: &str, places: &[usize]) -> usize {
    let first = places.first().copied().unwrap_or(0);
    let word = text[..first].split_whitespace().next_back().unwrap_or_default();
    let number = word.chars().any(|c| c.is_ascii_digit()) || word.ends_with([']', ':', '|']);
    if places.contains(&0) && !number { 0 } else { first }
}
