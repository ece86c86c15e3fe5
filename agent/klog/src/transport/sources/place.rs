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
pub(super) enum Place {
    /// Where known transports leave it.
    Plain,
    /// Behind so many bytes.
    Behind(usize),
    /// At one of these bytes, which 0 stands for `Plain` among; the likeliest first.
    Unclear(Vec<usize>),
}

/// Where the message of this line begins.
pub(super) fn place(text: &str, number: u64, layouts: &Layouts) -> Place {
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
    let ends = layouts.ends_near(text, number);
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
            // One that known transports have taken off already is none.
            let learnt = ends.into_iter().filter(|end| !prefix.any || *end > known).max();
            // What is behind a beginning of the same source is looked at when that is taken off.
            let unknown = learnt.is_none() && !prefix.names_logger() && !payload::is_program(rest);
            let known_behind = || unknown.then(|| known::find(rest)).flatten();
            let behind = learnt.or_else(|| known_behind().map(|at| known + at));
            behind.map_or(Place::Plain, Place::Behind)
        }
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
pub(super) fn outermost(text: &str, quote: usize, message: usize) -> usize {
    let head = &text[..message];
    let leads_there = |at: &usize| {
        let rest = &text[*at..];
        let (prefix, behind) = Prefix::take(rest, &mut LastDate::default());
        let end = text.len() - behind.len();
        // Lines of a report may be indented behind the last prefix.
        let leads = text.get(end..message).is_some_and(|between| between.trim().is_empty());
        !rest.starts_with(char::is_whitespace) && prefix.any && leads
    };
    boundaries(head).filter(|at| *at > quote).find(leads_there).unwrap_or(message)
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
