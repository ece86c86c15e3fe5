//! Where in a line what a known transport puts before a message begins, if something else stands
//! before that.
use crate::transport::{
    anchor::{MAX_PLACES, REACH},
    boundary::boundaries,
    head, json, payload,
    prefix::{LastDate, Prefix},
};

/// Where what a known transport or a program's own form begins, if something stands before it and
/// it says who logged the message.
pub(crate) fn find(line: &str) -> Option<usize> {
    let reach = line.floor_char_boundary(REACH / 4);
    let mut places = boundaries(&line[..reach]).filter(|&at| may_begin(&line.as_bytes()[at..]));
    places.by_ref().take(MAX_PLACES).find(|&at| {
        let rest = &line[at..];
        if rest.starts_with('{') {
            return json::message(&head::split(line, at).1).is_some();
        }
        let (prefix, message) = Prefix::take(rest, &mut LastDate::default());
        prefix.names_logger() && message.len() < rest.len() || payload::is_program(rest)
    })
}

/// Whether a prefix, a program's form or an object can begin so, at a first look.
fn may_begin(bytes: &[u8]) -> bool {
    let digits = |from: usize, n: usize| {
        bytes.get(from..from + n).is_some_and(|bytes| bytes.iter().all(u8::is_ascii_digit))
    };
    match bytes.first() {
        Some(b'{') => bytes.get(1).is_some_and(|byte| matches!(byte, b'"' | b'\\')),
        Some(b'[') => {
            bytes.get(1).is_some_and(|byte| *byte == b' ' || byte.is_ascii_alphanumeric())
        }
        Some(b'<') => digits(1, 1),
        Some(b'0'..=b'9') => digits(0, 4) || bytes.get(1..6).is_some_and(|b| b.contains(&b',')),
        // Months' and days' names, klog's levels.
        Some(b'A'..=b'Z') => {
            digits(1, 4)
                || bytes.get(1..3).is_some_and(|name| name.iter().all(u8::is_ascii_lowercase))
        }
        Some(b't') => {
            bytes.starts_with(b"time=") || bytes.starts_with(b"ts=") || bytes.starts_with(b"t=")
        }
        _ => false,
    }
}
