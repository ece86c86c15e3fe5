//! What shippers put before lines: counters, times and levels, and a tag that says whose line it is.
use crate::transport::{
    layout,
    prefix::{LastDate, Prefix},
};

/// Tags' bytes at most.
const MAX: usize = 120;

/// Where a line's first tag ends, with the counters, times and levels before it and the blank behind
/// it; `None` if it begins with none. `[db-1] `, `17: db-1 | `, `warn edge-2 >> `, `db-1/dmesg.txt: `.
pub(super) fn first(line: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &line[at..];
        let blanks = rest.len() - rest.trim_start().len();
        if at > MAX || blanks == rest.len() {
            return None;
        }
        if blanks > 0 {
            at += blanks;
            continue;
        }
        if let Some(length) = number(rest).or_else(|| time(rest)).or_else(|| level(rest)) {
            at += length;
            continue;
        }
        let length = bracket(rest).or_else(|| separated(rest)).or_else(|| path(rest))?;
        // Of the kernel's `[12.5] ` no more is known than of a counter.
        if layout::source(&rest[..length]).is_empty() {
            at += length;
            continue;
        }
        // The first blanks of a message are lost, unless neighbours have fewer.
        let behind = &line[at + length..];
        return Some(line.len() - behind.trim_start_matches(' ').len());
    }
}

/// A counter with what ends it: `17 `, `17: `, `17) `, `17 | `.
fn number(text: &str) -> Option<usize> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let ends = [" | ", ": ", ") ", " ", "\t"];
    let end = ends.iter().find(|end| text[digits..].starts_with(**end))?;
    (digits > 0).then_some(digits + end.len())
}

fn time(text: &str) -> Option<usize> {
    text.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    let end = text.match_indices(' ').map(|(at, _)| at).nth(1).unwrap_or(text.len());
    let (prefix, rest) = Prefix::take(&text[..end], &mut LastDate::default());
    (prefix.any && rest.len() < end).then_some(end - rest.len())
}

fn level(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let known = ["debug", "info", "notice", "warn", "warning", "err", "error", "crit"];
    let is_level = known.iter().any(|level| text[..end].eq_ignore_ascii_case(level));
    (is_level && text[end..].starts_with([' ', '\t'])).then_some(end + 1)
}

/// `[db-1] `, `<db-1> `, `(db-1) `.
fn bracket(text: &str) -> Option<usize> {
    let close = match text.as_bytes().first()? {
        b'[' => ']',
        b'<' => '>',
        b'(' => ')',
        _ => return None,
    };
    let end = text.find(close)? + 1;
    (end <= MAX && text[end..].starts_with([' ', '\t'])).then_some(end + 1)
}

/// `db-1 | `, `db-1 >> `, `db-1: `, and columns that tabs separate.
fn separated(text: &str) -> Option<usize> {
    let word = word(text)?;
    if text[word..].starts_with('\t') {
        let columns = text[word + 1..].split_inclusive('\t').map_while(|column| {
            let name = column.strip_suffix('\t')?;
            (self::word(column) == Some(name.len())).then_some(column.len())
        });
        return Some(word + 1 + columns.sum::<usize>());
    }
    let ends = [" | ", " >> ", " > "];
    let numbered = text[..word].contains(|c: char| c.is_ascii_digit());
    let more: &[&str] = if numbered { &[": "] } else { &[] };
    let end = ends.iter().chain(more).find(|end| text[word..].starts_with(**end))?;
    Some(word + end.len())
}

/// `db-1/dmesg.txt: `.
fn path(text: &str) -> Option<usize> {
    let word = word(text)?;
    (text[..word].contains('/') && text[word..].starts_with(": ")).then_some(word + 2)
}

fn word(text: &str) -> Option<usize> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@');
    let end = text.find(|c: char| !of_name(c))?;
    (1..=MAX).contains(&end).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tag_and_what_comes_before_it() {
        for (tag, rest) in [
            ("[db-1] ", "[x] y"),
            ("17: db-1 | ", "z"),
            ("3) 2025-04-17T05:31:00.000017Z warn edge-2 >> ", "z"),
            ("9 db-1/dmesg.txt: ", "5s  2m"),
            ("db-1\tkern\t", "x y\tz"),
            ("(db-1)    ", "x"),
        ] {
            assert_eq!(first(&format!("{tag}{rest}")), Some(tag.len()), "{tag}");
        }
        for line in
            ["", "  ", "docker: Error", "abc123   web.1   nginx", "7 docker: Error", "Mon, 06 Jul"]
        {
            assert_eq!(first(line), None, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(line in "[\\[\\]<>()0-9a-z:| é/]{0,60}") {
            let _ = first(&line).map(|at| &line[at..]);
        }
    }
}
