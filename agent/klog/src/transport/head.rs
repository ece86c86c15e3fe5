//! Takes a beginning off a line: what is left is the message, out of the string that it stands in,
//! and what the beginning says of when and where it was logged.
use std::borrow::Cow;

use fragwatch_core::model::log_time::LogTime;

use crate::transport::{
    boundary::boundaries,
    date, escape,
    prefix::{LastDate, Prefix},
};

/// What was said outside of a message about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outer {
    pub(crate) time: LogTime,
    pub(crate) host: Option<String>,
}

impl Outer {
    /// This, and where it lacks something what stood before that.
    pub(crate) fn or(self, before: Self) -> Self {
        let time = if self.time == LogTime::default() { before.time } else { self.time };
        Self { time, host: self.host.or(before.host) }
    }
}

/// Takes a line apart at this byte: its beginning, and its message out of the string that it stands in.
pub(crate) fn split(line: &str, at: usize) -> (&str, Cow<'_, str>) {
    let (head, message) = line.split_at(at);
    (head, unquoted(head, message))
}

/// The message out of the quotes that were opened before it.
fn unquoted<'a>(head: &str, message: &'a str) -> Cow<'a, str> {
    let quotes = || head.match_indices('"');
    let escaped = quotes().filter(|(at, _)| head[..*at].ends_with('\\')).count();
    // A string in a string has its quotes escaped.
    let nested = escaped % 2 == 1;
    if !nested && (quotes().count() - escaped).is_multiple_of(2) {
        return in_single_quotes(head, message);
    }
    let end = closing_quote(message, nested).unwrap_or(message.len());
    let inner = &message[..end];
    if !inner.contains(['\\', '"']) {
        return Cow::Borrowed(inner);
    }
    // JSON knows more escapes than programs' own quoting.
    let json = || serde_json::from_str::<String>(&format!("\"{inner}\"")).ok();
    let text = json().unwrap_or_else(|| inner.replace("\"\"", "\""));
    let text = if nested { escape::nested(&text).into_owned() } else { text };
    Cow::Owned(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Where the quote stands that ends a string. In CSV two stand for one.
fn closing_quote(text: &str, nested: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let next = bytes.get(at + 1);
        match bytes[at] {
            b'\\' if nested && next == Some(&b'"') => return Some(at),
            b'\\' => at += 2,
            b'"' if next == Some(&b'"') && bytes.get(at + 2).is_some() => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// The same for strings as Python prints them: the last quote ends it.
fn in_single_quotes<'a>(head: &str, message: &'a str) -> Cow<'a, str> {
    let opened = head.trim_end_matches(|c: char| !c.is_ascii_punctuation()).ends_with('\'');
    let end = message.trim_end().trim_end_matches([',', ')', '}', ']']);
    match end.strip_suffix('\'') {
        Some(inner) if opened => Cow::Borrowed(inner),
        _ => Cow::Borrowed(message),
    }
}

/// Whether a time or a host's name can begin so, at a first look: each line of a report has several
/// parts, and to try them all takes longer than all else that is done to it.
fn may_say(part: &str) -> bool {
    match part.as_bytes().first() {
        // Months' names have lower case in some languages.
        Some(b'a'..=b'z') => {
            let word = part.split(' ').next().unwrap_or_default();
            part.contains("kernel:") || word.len() <= 5 && date::is_month(word)
        }
        Some(b'0'..=b'9' | b'A'..=b'Z' | b'[' | b'<') => true,
        Some(byte) => !byte.is_ascii(),
        None => false,
    }
}

/// When and where, as far as a beginning says it.
pub(crate) fn outer(head: &str) -> Outer {
    let mut outer = Outer::default();
    for at in std::iter::once(0).chain(boundaries(head)) {
        if !may_say(&head[at..]) {
            continue;
        }
        let piece = head[at..].split(['"', ']', '|', ')', '}']).next().unwrap_or_default();
        let piece = piece.trim().trim_end_matches([',', ':']);
        // A bracket with the time since boot.
        let piece = if piece.starts_with('[') { &head[at..] } else { piece };
        let (prefix, _) = Prefix::take(piece, &mut LastDate::default());
        if outer.time == LogTime::default() {
            outer.time = prefix.time;
        }
        outer.host = outer.host.or(prefix.host);
    }
    let named = ["host=", "hostname=", "node=", "\"host\":\"", "\"hostname\":\"", "\"node\":\""];
    let host = named.iter().find_map(|key| {
        let value = head.split_once(key)?.1.trim_start_matches('"');
        value.split([' ', '"', ',', '}']).next().filter(|host| !host.is_empty())
    });
    outer.host = outer.host.or_else(|| host.map(str::to_owned));
    outer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, message: &str, expected: &str) -> Outer {
        let (head, message) = split(line, line.find(message).expect("it is in the line"));
        assert_eq!(message, expected, "{line}");
        outer(head)
    }

    #[test]
    fn messages_come_out_of_their_strings() {
        check("\"a\",\"b\",\"Mem-Info:\"", "Mem-Info", "Mem-Info:");
        check("\"a\",\"cache: \"\"x\"\", object\",1", "cache", "cache: \"x\", object");
        check("{\"m\":\"a\\tb \\u003cTASK\\u003e\\n\"}", "a\\t", "a\tb <TASK>");
        check("{\"log\":\"{\\\"m\\\":\\\"Mem-Info:\\\"}\"}", "Mem-", "Mem-Info:");
        check("['Mem-Info:',", "Mem-", "Mem-Info:");
        check("7 Mem-Info:", "Mem-", "Mem-Info:");
        check("x msg=\"Mem-Info:\" k=v", "Mem-", "Mem-Info:");
    }

    #[test]
    fn beginnings_say_when_and_where() {
        let outer =
            check("ts=2025-10-09T03:14:08.5Z host=n-7 msg=\"Mem-Info:\"", "Mem-", "Mem-Info:");
        assert!(outer.time.wall.is_some());
        assert_eq!(outer.host.as_deref(), Some("n-7"));
        assert!(check("<4>[ 12.5] .(4)[7:a]Mem-Info:", "Mem-", "Mem-Info:").time.boot.is_some());
        assert!(check("\"2025-09-14T21:07:55.120Z\",\"x\",\"M", "M", "M").time.wall.is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(head in "\\PC{0,60}", message in "\\PC{0,80}") {
            let _ = split(&format!("{head}{message}"), head.len());
            let _ = split(&format!("{head}\"{message}\\"), head.len() + 1);
            let _ = split(&format!("{head}\\\"{message}"), head.len() + 2);
            let _ = outer(&head);
        }
    }
}
