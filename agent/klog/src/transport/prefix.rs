//! What transports put before a message: times, priorities, callers, hosts and names.
mod elements;
mod last_date;

use std::time::Duration;

use fragwatch_core::model::log_time::{LogTime, Wall};
use winnow::{
    Parser,
    ascii::space0,
    combinator::{alt, delimited, terminated},
    token::take_while,
};

use self::elements::{
    caller, cri_tag, day_in_brackets, host_and_name, kmsg, level, maybe, name, priority, rfc5424,
    since_boot, spaced,
};
pub(crate) use self::last_date::LastDate;
use crate::{
    line::{Caller, Origin},
    transport::date::{self, Found},
};

/// What stood before a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prefix {
    pub(crate) time: LogTime,
    /// Time since the line before, as dmesg -H prints it.
    pub(crate) delta: Option<Duration>,
    pub(crate) caller: Option<Caller>,
    pub(crate) origin: Origin,
    pub(crate) host: Option<String>,
    /// There was one.
    pub(crate) any: bool,
    /// It is a record of /dev/kmsg, with its escapes.
    pub(crate) kmsg: bool,
    /// A runtime cut the message into records, and this isn't the last.
    pub(crate) partial: bool,
}

impl Prefix {
    pub(crate) fn none() -> Self {
        Self {
            time: LogTime::default(),
            delta: None,
            caller: None,
            origin: Origin::Unknown,
            host: None,
            any: false,
            kmsg: false,
            partial: false,
        }
    }

    /// Takes whatever prefixes there are off a line; they nest (`ts | dmesg`, journald in syslog).
    pub(crate) fn take<'a>(line: &'a str, last: &mut LastDate) -> (Self, &'a str) {
        let mut prefix = Self::none();
        let mut rest = line;
        // Copied out of an indented block.
        let indented = rest.trim_start_matches([' ', '\t']);
        let mut input = indented;
        while !prefix.is_program() && prefix.element(&mut input, last) {
            rest = input;
            prefix.any = true;
        }
        (prefix, rest)
    }

    /// Whether it says that the kernel or a program logged the message.
    pub(crate) fn names_logger(&self) -> bool {
        self.any && self.origin != Origin::Unknown
    }

    fn is_program(&self) -> bool {
        matches!(self.origin, Origin::Program { .. })
    }

    /// Takes one element; false if there is none.
    fn element(&mut self, input: &mut &str, last: &mut LastDate) -> bool {
        let first = input.as_bytes().first().copied().unwrap_or(b' ');
        match first {
            // Nothing begins so, and many messages do.
            b' ' => false,
            b'[' => self.bracket(input),
            b'<' => self.priority(input),
            b'0'..=b'9' => self.kmsg(input) || self.date(input, last),
            _ if self.any => self.date(input, last) || self.named(input),
            _ => self.level(input) || self.date(input, last) || self.named(input),
        }
    }

    /// What stands in brackets: times since boot and of day, and callers.
    fn bracket(&mut self, input: &mut &str) -> bool {
        if let Some(time) = spaced(input, since_boot) {
            self.time.refine(time);
            self.kernel();
            // journalctl -o short-monotonic.
            self.source(input, false);
            return true;
        }
        if let Some(caller) = spaced(input, caller) {
            self.caller = Some(caller);
            self.kernel();
            return true;
        }
        if let Some(delta) = spaced(input, delimited('[', date::delta, ']')) {
            self.delta = Some(delta);
            self.kernel();
            return true;
        }
        if let Some(wall) = spaced(input, day_in_brackets) {
            self.wall(wall);
            self.kernel();
            return true;
        }
        false
    }

    /// Dates without brackets, and the host and the name behind them.
    fn date(&mut self, input: &mut &str, last: &mut LastDate) -> bool {
        let Some((wall, dated)) = last.date(input) else { return false };
        let stamp = &input[..input.len() - dated.len()];
        let zoned = matches!(wall, Some(Wall::Timestamp(_)));
        // dmesg --time-format iso is the one that has both.
        if zoned && stamp.contains(',') {
            self.kernel();
            *input = dated.strip_prefix(' ').unwrap_or(dated);
            self.wall(wall);
            return true;
        }
        *input = dated;
        self.wall(wall);
        let _: Found<_> = space0.parse_next(input);
        if let Some(tag) = spaced(input, cri_tag) {
            self.partial = tag == 'P';
            self.origin = Origin::Unknown;
            return true;
        }
        // journalctl -o short-full names zones; not every name is a number.
        let zone = terminated(take_while(3..=5, |c: char| c.is_ascii_uppercase()), ' ');
        let mut behind_zone = *input;
        if !self.source(input, !matches!(wall, Some(Wall::Civil(_))))
            && maybe(&mut behind_zone, zone).is_some()
            && self.source(&mut behind_zone, true)
        {
            *input = behind_zone;
        }
        true
    }

    /// Takes the host and the name that logged, or the name alone. A name without a process is one
    /// only if it is the kernel's, if what follows is the form that programs log in, or if it has a
    /// host before it where one is `expected`: `Hardware name: ` is no program on a host.
    fn source(&mut self, input: &mut &str, expected: bool) -> bool {
        let mut rest = *input;
        let found = alt((name, host_and_name.map(|(host, origin)| (Some(host), origin))));
        let Some((host, origin)) = maybe(&mut rest, found) else { return false };
        let certain = match origin {
            Origin::Kernel | Origin::Program { pid: Some(_), .. } => host.is_some() || expected,
            _ => expected && host.is_some(),
        };
        // A file's path is none, and the name of one of several nodes.
        let is_other = |name: &str| {
            let number = name.rsplit_once('-').map(|(_, number)| number);
            name.contains('/') || number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        };
        let may_be = || !matches!(&origin, Origin::Program { name, .. } if is_other(name));
        let certain = certain
            || origin == Origin::Kernel
            || may_be() && crate::transport::payload::is_program(rest);
        if !certain {
            return false;
        }
        self.host = host.map(str::to_owned).or(self.host.take());
        self.origin = origin;
        *input = rest;
        true
    }

    /// `<4>`, and RFC 5424's header behind one.
    fn priority(&mut self, input: &mut &str) -> bool {
        let Some(priority) = maybe(input, priority) else { return false };
        if let Some((wall, host, origin)) = maybe(input, rfc5424) {
            self.wall(wall);
            self.host = host.map(str::to_owned);
            self.origin = origin;
        } else if priority < 8 {
            // Facility 0.
            self.kernel();
        }
        true
    }

    /// `kern  :warn  : `, of dmesg -x.
    fn level(&mut self, input: &mut &str) -> bool {
        let facility = maybe(input, level);
        if facility == Some("kern") {
            self.kernel();
        }
        facility.is_some()
    }

    /// `4,123,456789,-;`, of /dev/kmsg.
    fn kmsg(&mut self, input: &mut &str) -> bool {
        let Some((priority, micros, caller)) = maybe(input, kmsg) else { return false };
        self.time.boot = Some(Duration::from_micros(micros));
        self.caller = caller;
        self.kmsg = true;
        // systemd and others log into it too.
        if priority < 8 {
            self.kernel();
        } else if let Some((_, origin)) = maybe(input, name) {
            self.origin = origin;
        }
        true
    }

    /// A name without a date before it: the kernel's, or a program's if what follows is the form
    /// that such programs log in.
    fn named(&mut self, input: &mut &str) -> bool {
        let mut rest = *input;
        let found = alt((name, host_and_name.map(|(host, origin)| (Some(host), origin))));
        match maybe(&mut rest, found) {
            Some((host, Origin::Kernel)) if host.is_none() || rest.starts_with('[') => {
                self.host = host.map(str::to_owned).or(self.host.take());
                self.kernel();
            }
            Some((host, origin @ Origin::Program { pid: Some(_), .. }))
                if crate::transport::payload::is_program(rest) =>
            {
                self.host = host.map(str::to_owned).or(self.host.take());
                self.origin = origin;
            }
            _ => return false,
        }
        *input = rest;
        true
    }

    fn wall(&mut self, wall: Option<Wall>) {
        self.time.refine(LogTime { boot: None, wall });
    }

    fn kernel(&mut self) {
        self.origin = Origin::Kernel;
    }
}

#[cfg(test)]
mod tests;
