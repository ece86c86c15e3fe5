//! What transports put before a message: times, priorities, callers, hosts and names.
use std::time::Duration;

use fragwatch_core::model::log_time::{LogTime, Wall};
use winnow::{
    Parser,
    ascii::{digit1, space0, space1},
    combinator::{alt, delimited, eof, opt, peek, preceded, terminated},
    error::EmptyError,
    token::{one_of, take_till, take_until, take_while},
};

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
        if !(certain || origin == Origin::Kernel || crate::transport::payload::is_program(rest)) {
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

/// The date that was read last. Lines come in bursts, and to parse a date again takes longer than all
/// else that is done to most of them.
#[derive(Default)]
pub(crate) struct LastDate {
    stamp: String,
    wall: Option<Wall>,
}

impl LastDate {
    /// The date that a line begins with, and what follows it.
    fn date<'a>(&mut self, line: &'a str) -> Option<(Option<Wall>, &'a str)> {
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

/// Takes what matches.
fn maybe<'a, T>(input: &mut &'a str, parser: impl Parser<&'a str, T, EmptyError>) -> Option<T> {
    opt(parser).parse_next(input).ok().flatten()
}

/// Takes what matches, and a space behind it.
fn spaced<'a, T>(input: &mut &'a str, parser: impl Parser<&'a str, T, EmptyError>) -> Option<T> {
    maybe(input, terminated(parser, opt(' ')))
}

/// `<4>`.
fn priority(input: &mut &str) -> Found<u16> {
    let number = digit1.try_map(str::parse::<u16>).verify(|n| *n < 8 * 24);
    delimited('<', number, '>').parse_next(input)
}

/// `kern  :warn  : `, and which facility it names.
fn level<'a>(input: &mut &'a str) -> Found<&'a str> {
    const NAMES: [&str; 9] =
        ["kern", "user", "daemon", "auth", "syslog", "lpr", "news", "mail", "cron"];
    let word = |n: usize| take_while(1..=n, |c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let facility = word(8).verify(|name: &str| NAMES.contains(&name));
    (facility, space0, ':', word(6), space0, ": ").map(|(facility, ..)| facility).parse_next(input)
}

/// `4,123,456789,-,caller=T1;`: priority, microseconds since boot, caller.
fn kmsg(input: &mut &str) -> Found<(u64, u64, Option<Caller>)> {
    let number = || terminated(digit1.try_map(str::parse::<u64>), ',');
    let flags = take_till(1.., [';', ' ', ',']);
    let more = take_till(0.., [';', ' ']);
    let caller = opt(preceded(",caller=", caller_id));
    let (priority, _, micros, _, caller, ..) =
        (number(), number(), number(), flags, caller, more, ';').parse_next(input)?;
    Ok((priority, micros, caller))
}

/// `[  123.456789] `, `[  123.456789 <    0.000005>]` (dmesg -d), `[123.456,2]`.
fn since_boot(input: &mut &str) -> Found<LogTime> {
    let since_last = (space0, '<', take_until(1.., '>'), '>').void();
    let cpu = (',', digit1).void();
    ('[', space0, date::since_boot, opt(alt((since_last, cpu))), space0, ']')
        .map(|(_, _, time, ..)| time)
        .parse_next(input)
}

/// `T123`, `C2`.
fn caller_id(input: &mut &str) -> Found<Caller> {
    alt((
        preceded('T', digit1.try_map(str::parse)).map(Caller::Thread),
        preceded('C', digit1.try_map(str::parse)).map(Caller::Cpu),
    ))
    .parse_next(input)
}

/// `[  T123]`, `[    C2]`; Android's `[4:  kworker/4:1:  123]`, which has CPU, name and thread.
fn caller(input: &mut &str) -> Found<Caller> {
    let name = take_till(1.., [']', '[']).verify(|name: &str| name.contains(':'));
    let android = ('[', space0, digit1, ':', space0, name, ']').verify_map(
        |(_, _, _, _, _, name, _): (_, _, &str, _, _, &str, _)| {
            name.rsplit_once(':')?.1.trim().parse().ok().map(Caller::Thread)
        },
    );
    alt((('[', space0, caller_id, space0, ']').map(|(_, _, caller, ..)| caller), android))
        .parse_next(input)
}

/// `[Mon Nov 20 09:42:36 2023]`, `[Apr14 02:46]`, `[2026-11-20T09:42:36,123456+01:00]`. A date in
/// a language with other characters is taken off and not understood.
fn day_in_brackets(input: &mut &str) -> Found<Option<Wall>> {
    let inside = alt((date::with_year, date::minute, date::iso.map(Some)));
    let known = delimited(('[', space0), inside, (space0, ']'));
    let looks_dated = |text: &&str| {
        let has_clock = text.split(' ').any(|word| {
            word.len() == 8
                && word.bytes().enumerate().all(|(at, byte)| {
                    if at % 3 == 2 { byte == b':' } else { byte.is_ascii_digit() }
                })
        });
        has_clock && text.split(' ').any(|word| word.len() == 4 && word.parse::<u16>().is_ok())
    };
    let unknown =
        delimited('[', take_till(8..=60, [']', '[']).verify(looks_dated), ']').value(None);
    alt((known, unknown)).parse_next(input)
}

/// `stdout F `, of a container runtime's log.
fn cri_tag(input: &mut &str) -> Found<char> {
    (
        alt(("stdout", "stderr")),
        ' ',
        one_of(['F', 'P']),
        peek(alt((" ".void(), ":".void(), eof.void()))),
    )
        .map(|(_, _, tag, ())| tag)
        .parse_next(input)
}

/// `kubelet[1234]: `, `kernel: `; syslogd of busybox puts `kern.warn ` before it.
fn name<'a>(input: &mut &'a str) -> Found<(Option<&'a str>, Origin)> {
    let lower =
        |n: usize| take_while(1..=n, |c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let facility = (lower(8), '.', lower(7), ' ');
    let name = take_while(1..=64, |c: char| {
        !c.is_whitespace() && !matches!(c, ':' | '[' | ']' | '"' | '=' | ',')
    });
    let pid = delimited('[', digit1.try_map(str::parse::<u32>), ']');
    let end = (':', alt((' '.void(), eof.void())));
    let (_, name, pid, _) = (opt(facility), name, opt(pid), end).parse_next(input)?;
    if name != "kernel" {
        let name = name.to_owned();
        return Ok((None, Origin::Program { name, pid }));
    }
    // klogd of el5 and el6 leaves a colon more.
    let _ = opt(": ").parse_next(input)?;
    Ok((None, Origin::Kernel))
}

/// The same behind the name of a host.
fn host_and_name<'a>(input: &mut &'a str) -> Found<(&'a str, Origin)> {
    let host =
        take_while(1..=255, |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'))
            .verify(|host: &str| !host.ends_with(':'));
    let (host, _, (_, origin)) = (host, space1, name).parse_next(input)?;
    Ok((host, origin))
}

/// What RFC 5424 has behind the priority: version, time, host, program, process, message id, data.
fn rfc5424<'a>(input: &mut &'a str) -> Found<(Option<Wall>, Option<&'a str>, Origin)> {
    let word =
        || terminated(take_till(1.., ' '), ' ').map(|word: &str| (word != "-").then_some(word));
    let time = terminated(alt((date::iso.map(Some), '-'.value(None))), ' ');
    let (_, time, host, program, pid, _) =
        ("1 ", time, word(), word(), word(), word()).parse_next(input)?;
    structured_data(input)?;
    let _ = (opt(' '), opt('\u{feff}')).parse_next(input)?;
    let origin = match program {
        Some("kernel") => Origin::Kernel,
        Some(name) => {
            Origin::Program { name: name.to_owned(), pid: pid.and_then(|pid| pid.parse().ok()) }
        }
        None => Origin::Unknown,
    };
    Ok((time, host, origin))
}

/// `-`, or `[id name="value"][…]`, where a value may hold an escaped `]`.
fn structured_data(input: &mut &str) -> Found<()> {
    if input.starts_with('-') {
        *input = &input[1..];
        return Ok(());
    }
    while input.starts_with('[') {
        let mut escaped = false;
        let end = input.char_indices().find(|&(_, c)| {
            let ends = c == ']' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (end, _) = end.ok_or(EmptyError)?;
        *input = &input[end + 1..];
    }
    Ok(())
}

#[cfg(test)]
mod tests;
