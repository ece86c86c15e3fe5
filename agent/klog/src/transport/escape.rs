//! Undoes what was done to single characters on the way into a log.
use std::borrow::Cow;

use memchr::memmem;

/// Takes out what colours a terminal's text (`ESC [ … m`) or clears a line (`ESC [ … K`). Other
/// control characters stay.
pub(crate) fn colours(text: &str) -> Cow<'_, str> {
    if !text.contains('\x1b') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        let sequence = &rest[at + 2..];
        let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';');
        if let Some((end, b'm' | b'K')) = end.map(|end| (end, sequence.as_bytes()[end])) {
            out.push_str(&rest[..at]);
            rest = &sequence[end + 1..];
        } else {
            out.push_str(&rest[..at + 2]);
            rest = sequence;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A line of a log without those, also where a string of JSON or of Python has the escape written out;
/// `None` if it has none.
pub(crate) fn without_colours(line: &[u8]) -> Option<Vec<u8>> {
    const BEGINNINGS: [&[u8]; 3] = [b"\x1b[", b"\\u001b[", b"\\x1b["];
    let mut without = None;
    for begin in BEGINNINGS {
        let line = without.as_deref().unwrap_or(line);
        if memmem::find(line, begin).is_some() {
            without = Some(without_sequences(line, begin));
        }
    }
    without
}

fn without_sequences(line: &[u8], begin: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memmem::find(rest, begin) {
        let (before, sequence) = rest.split_at(at + begin.len());
        let end = sequence.iter().position(|byte| !byte.is_ascii_digit() && *byte != b';');
        let ended = end.filter(|&end| matches!(sequence[end], b'm' | b'K'));
        out.extend_from_slice(if ended.is_some() { &before[..at] } else { before });
        rest = ended.map_or(sequence, |end| &sequence[end + 1..]);
    }
    out.extend_from_slice(rest);
    out
}

/// The characters that HTML has names for, as in text copied from a page's source.
pub(crate) fn entities(text: &str) -> Cow<'_, str> {
    const NAMES: [(&str, char); 8] = [
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&#34;", '"'),
        ("&#39;", '\''),
        ("&#x27;", '\''),
        ("&nbsp;", ' '),
        ("&amp;", '&'),
    ];
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some((name, c)) = NAMES.iter().find(|(name, _)| from.starts_with(name)) {
            out.push(*c);
            rest = &from[name.len()..];
        } else {
            out.push('&');
            rest = &from[1..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// rsyslog's `#012`, `#011`: control characters in octal. A number with a digit behind it is left
/// as it is: it is something else (`slot #0123`).
pub(crate) fn octal(text: &str) -> Cow<'_, str> {
    if !text.contains("#0") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("#0") {
        let digits = rest.as_bytes().get(at + 2..at + 4);
        let followed = rest.as_bytes().get(at + 4).is_some_and(u8::is_ascii_digit);
        match digits {
            Some(&[eights @ b'0'..=b'3', ones @ b'0'..=b'7']) if !followed => {
                out.push_str(&rest[..at]);
                out.push(char::from((eights - b'0') * 8 + (ones - b'0')));
                rest = &rest[at + 4..];
            }
            _ => {
                out.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// `/dev/kmsg`'s `\x0a`: bytes that aren't printable ASCII, and the backslash.
pub(crate) fn hexadecimal(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.strip_prefix(b"x").and_then(|digits| digits.get(..2));
        let value = digits
            .filter(|_| byte == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(value.unwrap_or(byte));
        rest = if value.is_some() { &after[3..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Quotes and backslashes of a string in a string in a string, as Go's `%q` nests them. Newlines
/// in it become spaces: it is one message.
pub(crate) fn nested(text: &str) -> Cow<'_, str> {
    // Deeper than any error is wrapped; each round takes at least one backslash of each run.
    const ROUNDS: usize = 8;
    let mut text = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        if !text.contains("\\\"") && !text.contains("\\n") {
            break;
        }
        text = Cow::Owned(once(&text));
    }
    text
}

fn once(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 't' | 'r') => out.push(' '),
            Some(c @ ('"' | '\\' | '\'')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_other_bytes_stay() {
        let without = |line: &[u8]| without_colours(line).expect("there are some");
        assert_eq!(without(b"\x1b[0;31ma\xff\x1b[Kb\x1b[2J"), b"a\xffb\x1b[2J");
        assert_eq!(without(b"{\"m\":\"\\u001b[1mx\\u001b[0m\"}"), b"{\"m\":\"x\"}");
        assert_eq!(without_colours(b"none"), None);
    }
}
