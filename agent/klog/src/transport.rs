//! What a log went through on its way: prefixes, JSON, mail, escapes and wrapped lines are undone.
pub(crate) mod date;
pub(crate) mod escape;
pub(crate) mod export;
pub(crate) mod json;
pub(crate) mod mail;
pub(crate) mod messages;
pub(crate) mod payload;
pub(crate) mod prefix;
pub(crate) mod wrap;
