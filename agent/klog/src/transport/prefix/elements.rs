//! The parts that prefixes are made of.
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

/// Takes what matches.
pub(super) fn maybe<'a, T>(
    input: &mut &'a str,
    parser: impl Parser<&'a str, T, EmptyError>,
) -> Option<T> {
    opt(parser).parse_next(input).ok().flatten()
}

/// Takes what matches, and a space behind it.
pub(super) fn spaced<'a, T>(
    input: &mut &'a str,
    parser: impl Parser<&'a str, T, EmptyError>,
) -> Option<T> {
    maybe(input, terminated(parser, opt(' ')))
}

/// `<4>`.
pub(super) fn priority(input: &mut &str) -> Found<u16> {
    let number = digit1.try_map(str::parse::<u16>).verify(|n| *n < 8 * 24);
    delimited('<', number, '>').parse_next(input)
}

/// `kern  :warn  : `, and which facility it names.
pub(super) fn level<'a>(input: &mut &'a str) -> Found<&'a str> {
    const NAMES: [&str; 9] =
        ["kern", "user", "daemon", "auth", "syslog", "lpr", "news", "mail", "cron"];
    let word = |n: usize| take_while(1..=n, |c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let facility = word(8).verify(|name: &str| NAMES.contains(&name));
    (facility, space0, ':', word(6), space0, ": ").map(|(facility, ..)| facility).parse_next(input)
}

/// `4,123,456789,-,caller=T1;`: priority, microseconds since boot, caller.
pub(super) fn kmsg(input: &mut &str) -> Found<(u64, u64, Option<Caller>)> {
    let number = || terminated(digit1.try_map(str::parse::<u64>), ',');
    let flags = take_till(1.., [';', ' ', ',']);
    let more = take_till(0.., [';', ' ']);
    let caller = opt(preceded(",caller=", caller_id));
    let (priority, _, micros, _, caller, ..) =
        (number(), number(), number(), flags, caller, more, ';').parse_next(input)?;
    Ok((priority, micros, caller))
}

/// `[  123.456789] `, `[  123.456789 <    0.000005>]` (dmesg -d), `[123.456,2]`.
pub(super) fn since_boot(input: &mut &str) -> Found<LogTime> {
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
pub(super) fn caller(input: &mut &str) -> Found<Caller> {
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
pub(super) fn day_in_brackets(input: &mut &str) -> Found<Option<Wall>> {
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
pub(super) fn cri_tag(input: &mut &str) -> Found<char> {
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
pub(super) fn name<'a>(input: &mut &'a str) -> Found<(Option<&'a str>, Origin)> {
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
pub(super) fn host_and_name<'a>(input: &mut &'a str) -> Found<(&'a str, Origin)> {
    let host =
        take_while(1..=255, |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'))
            .verify(|host: &str| !host.ends_with(':'));
    let (host, _, (_, origin)) = (host, space1, name).parse_next(input)?;
    Ok((host, origin))
}

/// What RFC 5424 has behind the priority: version, time, host, program, process, message id, data.
pub(super) fn rfc5424<'a>(input: &mut &'a str) -> Found<(Option<Wall>, Option<&'a str>, Origin)> {
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
