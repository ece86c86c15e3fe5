//! What a log went through on its way: prefixes, JSON, mail, escapes and wrapped lines are undone.
mod anchor;
mod boundary;
pub(crate) mod date;
pub(crate) mod escape;
pub(crate) mod export;
mod head;
pub(crate) mod json;
mod known;
mod layout;
pub(crate) mod mail;
pub(crate) mod messages;
pub(crate) mod payload;
pub(crate) mod prefix;
mod several;
pub(crate) mod sources;
pub(crate) mod wrap;

use fragwatch_core::model::log_time::LogTime;

use crate::transport::prefix::{LastDate, Prefix};

/// Whether a line looks like one of a log, whatever it says: it has a time, or names who logged it.
pub(crate) fn is_log_line(line: &str) -> bool {
    let (_, line) = mail::unquote(line);
    if line.trim_start().starts_with('{')
        && let Some(message) = json::message(line)
    {
        return message.prefix.time != LogTime::default();
    }
    let (prefix, rest) = Prefix::take(line, &mut LastDate::default());
    prefix.time != LogTime::default()
        || prefix.names_logger()
        || payload::is_program(rest)
        || anchor::find(rest).is_some()
}
