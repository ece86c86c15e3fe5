//! What a log went through on its way: prefixes, JSON, mail, escapes and wrapped lines are undone.
mod anchor;
pub(crate) mod date;
pub(crate) mod escape;
pub(crate) mod export;
mod head;
pub(crate) mod json;
mod layout;
pub(crate) mod mail;
pub(crate) mod messages;
pub(crate) mod payload;
pub(crate) mod prefix;
pub(crate) mod sources;
pub(crate) mod wrap;
