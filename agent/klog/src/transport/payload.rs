//! How programs that make containers write their messages: klog and logfmt.
use std::borrow::Cow;

use fragwatch_core::model::log_time::{LogTime, Wall};
use winnow::{
    Parser,
    ascii::{digit1, space1},
    combinator::opt,
    error::EmptyError,
    token::{one_of, take_till},
};

use crate::transport::{
    date::{self, Found},
    escape,
};

/// Whether a message has the form of a program's.
pub(crate) fn is_program(text: &str) -> bool {
    is_logfmt(text) || klog(&mut { text }).is_ok()
}

/// Keys that a line of logfmt begins with.
const KEYS: [&str; 5] = ["time=", "t=", "ts=", "level=", "lvl="];

fn is_logfmt(text: &str) -> bool {
    KEYS.iter().any(|key| text.starts_with(key))
        && ["level=", "lvl=", "msg="].iter().any(|key| text.contains(key))
}

/// Takes the form off a program's message: what is left is its text, with the values that belong to
/// it; quotes in quotes are undone. Says when it was logged if the form does.
pub(crate) fn unwrap(text: &str) -> (Option<LogTime>, Cow<'_, str>) {
    let mut rest = text;
    if let Ok(wall) = klog(&mut rest) {
        let time = wall.map(|wall| LogTime { boot: None, wall: Some(wall) });
        return (time, escape::nested(rest));
    }
    if is_logfmt(text) {
        return logfmt(text);
    }
    (None, Cow::Borrowed(text))
}

/// `E1120 09:42:36.123456    1234 file.go:12] `.
fn klog(input: &mut &str) -> Found<Option<Wall>> {
    let file = take_till(1..=128, [']', ' ']).verify(|file: &str| file.contains(':'));
    let head = (one_of(['I', 'W', 'E', 'F', 'D']), date::klog, space1, digit1, ' ', file, ']');
    let wall = head.map(|(_, wall, ..)| wall).parse_next(input)?;
    let _ = opt::<_, _, EmptyError, _>(' ').parse_next(input)?;
    Ok(wall)
}

/// `time="…" level=error msg="…" error="…"`: the message, then the other values.
fn logfmt(text: &str) -> (Option<LogTime>, Cow<'_, str>) {
    let mut time = None;
    let mut rest = text;
    loop {
        let key = KEYS.iter().find(|key| rest.starts_with(**key));
        let Some(key) = key else { break };
        let (value, after) = value(&rest[key.len()..]);
        if let Ok(wall) = date::iso(&mut { value }) {
            time = Some(LogTime { boot: None, wall: Some(wall) });
        }
        rest = after;
    }
    let undone = match rest.strip_prefix("msg=") {
        Some(message) => {
            let (message, others) = value(message);
            let space = if others.is_empty() { "" } else { " " };
            escape::nested(&format!("{message}{space}{others}")).into_owned()
        }
        None => escape::nested(rest).into_owned(),
    };
    (time, Cow::Owned(undone))
}

/// A value, quoted or not, without its quotes, and what follows it. The quote that ends it is the
/// first without a backslash; without one, as in a line that was cut, it is all there is.
fn value(text: &str) -> (&str, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(' ').unwrap_or((text, ""));
        return (value, rest.trim_start());
    };
    let bytes = quoted.as_bytes();
    let end = (0..bytes.len()).find(|&at| bytes[at] == b'"' && (at == 0 || bytes[at - 1] != b'\\'));
    match end {
        Some(end) => (&quoted[..end], quoted[end + 1..].trim_start()),
        None => (quoted, ""),
    }
}
