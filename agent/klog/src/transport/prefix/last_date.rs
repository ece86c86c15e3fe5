//! Dates at the beginning of lines.
use fragwatch_core::model::log_time::Wall;
use winnow::{
    Parser,
    combinator::{alt, opt, preceded},
    token::take_while,
};

use crate::transport::date::{self, Found};

/// The date that was read last. Lines come in bursts, and to parse a date again takes longer than all
/// else that is done to most of them.
#[derive(Default)]
pub(crate) struct LastDate {
    stamp: String,
    wall: Option<Wall>,
}

impl LastDate {
    /// The date that a line begins with, and what follows it.
    pub(super) fn date<'a>(&mut self, line: &'a str) -> Option<(Option<Wall>, &'a str)> {
        let ends = |rest: &str| rest.is_empty() || rest.starts_with([' ', ':', '\t']);
        if !self.stamp.is_empty()
            && let Some(rest) = line.strip_prefix(&self.stamp)
            && ends(rest)
            // A zone belongs to the date.
            && !rest.starts_with(" UTC")
        {
            return Some((self.wall, rest));
        }
        let mut rest = line;
        let found: Found<_> = alt((
            date::syslog,
            date::with_year,
            // journalctl -o short-full.
            preceded(opt((take_while(2..=4, char::is_alphabetic), ' ')), date::iso).map(Some),
            date::unix.map(Some),
        ))
        .parse_next(&mut rest);
        let wall = found.ok().filter(|_| ends(rest))?;
        line[..line.len() - rest.len()].clone_into(&mut self.stamp);
        self.wall = wall;
        Some((wall, rest))
    }
}
