//! Dates and times as logs print them, in whatever language.
use std::time::Duration;

use fragwatch_core::model::log_time::{LogTime, Wall};
use jiff::{Timestamp, civil, tz::Offset};
use winnow::{
    Parser,
    ascii::{digit1, space0, space1},
    combinator::{alt, opt, preceded},
    error::EmptyError,
    token::{one_of, take_while},
};

/// What a parser here answers: it does not say why something isn't what it looks for.
pub(crate) type Found<T> = winnow::Result<T, EmptyError>;

/// The beginnings of months' names, in lower case, in the languages that glibc formats dates in
/// with letters; those in East Asia have `9月`.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene", "gen", "янв", "січ", "sty", "led", "oca", "tam"],
    &["feb", "fév", "fev", "фев", "лют", "lut", "úno", "şub", "hel"],
    &["mar", "mär", "mrz", "már", "mrt", "мар", "бер", "bře", "maa"],
    &["apr", "avr", "abr", "ápr", "апр", "кві", "kwi", "dub", "nis", "huh"],
    &["may", "mai", "maj", "mag", "mei", "máj", "май", "мая", "тра", "kvě", "tou"],
    &["jun", "juin", "giu", "jún", "июн", "чер", "cze", "čen", "haz", "kes"],
    &["jul", "juil", "lug", "júl", "июл", "лип", "lip", "čec", "tem", "hei"],
    &["aug", "aoû", "aou", "ago", "agu", "agt", "авг", "сер", "sie", "srp", "ağu", "elo"],
    &["sep", "set", "sze", "сен", "вер", "wrz", "zář", "eyl", "syy"],
    &["oct", "okt", "ott", "out", "окт", "жов", "paź", "říj", "eki", "lok"],
    &["nov", "ноя", "лис", "lis", "kas"],
    &["dec", "dez", "déc", "dic", "des", "дек", "гру", "gru", "pro", "ara", "jou"],
];

/// A month by its name, from 1.
fn month(name: &str) -> Option<i8> {
    const ENGLISH: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // Most logs are.
    if let Some(found) = ENGLISH.iter().position(|english| *english == name) {
        return i8::try_from(found + 1).ok();
    }
    let name = name.to_lowercase();
    let found = MONTHS.iter().position(|names| names.iter().any(|n| name.starts_with(n)))?;
    i8::try_from(found + 1).ok()
}

/// Whether a word is a month's name in one of these languages.
pub(crate) fn is_month(word: &str) -> bool {
    month(word).is_some() && word.chars().count() <= 4
}

fn number<T: std::str::FromStr>(input: &mut &str) -> Found<T> {
    digit1.try_map(str::parse).parse_next(input)
}

/// `09:42:36`, `09:42:36.123456`, `09:42:36,123`.
pub(crate) fn clock(input: &mut &str) -> Found<civil::Time> {
    let (h, _, m, _, s): (i8, _, i8, _, i8) =
        (number, ':', number, ':', number).parse_next(input)?;
    let fraction = opt(preceded(one_of(['.', ',']), digit1)).parse_next(input)?;
    // A leap second is logged as one.
    civil::Time::new(h, m, s.min(59), nanoseconds(fraction.unwrap_or(""))).map_err(|_| EmptyError)
}

/// Digits behind a decimal point, as nanoseconds.
fn nanoseconds(fraction: &str) -> i32 {
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    digits.fold(0, |all, digit| all * 10 + i32::from(digit - b'0'))
}

/// `  123.456789`: seconds since boot.
pub(crate) fn since_boot(input: &mut &str) -> Found<LogTime> {
    let (seconds, _, fraction): (u64, _, &str) = (number, '.', digit1).parse_next(input)?;
    let boot = Duration::new(seconds, nanoseconds(fraction).unsigned_abs());
    Ok(LogTime { boot: Some(boot), wall: None })
}

/// `2026-11-20T09:42:36.123+01:00`, with or without its parts; `2026-11-20 09:42:36 UTC`.
pub(crate) fn iso(input: &mut &str) -> Found<Wall> {
    let (year, _, month, _, day): (i16, _, i8, _, i8) =
        (take_while(4, |c: char| c.is_ascii_digit()).try_map(str::parse), '-', number, '-', number)
            .parse_next(input)?;
    one_of(['T', ' ']).parse_next(input)?;
    let time = clock(input)?;
    let date = civil::Date::new(year, month, day).map_err(|_| EmptyError)?;
    let civil = date.to_datetime(time);
    Ok(match opt(zone).parse_next(input)? {
        Some(offset) => offset.to_timestamp(civil).map_or(Wall::Civil(civil), Wall::Timestamp),
        None => Wall::Civil(civil),
    })
}

/// `Z`, `+01:00`, `+0100`, ` UTC`. Other names of zones are skipped by who expects them.
fn zone(input: &mut &str) -> Found<Offset> {
    let utc = alt(("Z", " UTC")).value(Offset::UTC);
    let sign = one_of(['+', '-']).map(|c| if c == '-' { -1 } else { 1 });
    let two = || take_while(2, |c: char| c.is_ascii_digit()).try_map(str::parse::<i32>);
    let numeric = (sign, two(), opt(':'), opt(two()))
        .map(|(sign, h, _, m)| sign * (h * 3600 + m.unwrap_or(0) * 60))
        .try_map(Offset::from_seconds);
    alt((utc, numeric)).parse_next(input)
}

/// The name of a month, `Nov`, `сен`, `sept.`; `None` in it if it is of no language known here.
fn month_name(input: &mut &str) -> Found<Option<i8>> {
    let named = (take_while(2..=10, char::is_alphabetic), opt('.')).map(|(name, _)| month(name));
    let east = (number, alt(('月', '월'))).map(|(n, _): (i8, char)| Some(n));
    alt((east, named)).parse_next(input)
}

/// `Nov 20 09:42:36`, `9月 03 05:57:48`: classic syslog. `None` in it if the month isn't known.
pub(crate) fn syslog(input: &mut &str) -> Found<Option<Wall>> {
    let (month, _, day, _, time) = (month_name, space1, day, space1, clock).parse_next(input)?;
    yearless(month, day, time)
}

fn day(input: &mut &str) -> Found<i8> {
    let day: i8 = number(input)?;
    if (1..=31).contains(&day) { Ok(day) } else { Err(EmptyError) }
}

fn yearless(month: Option<i8>, day: i8, time: civil::Time) -> Found<Option<Wall>> {
    // 2024 has a 29th of February.
    let Some(month) = month else { return Ok(None) };
    civil::Date::new(2024, month, day).map_err(|_| EmptyError)?;
    Ok(Some(Wall::Yearless { month, day, time }))
}

/// `Mon Nov 20 09:42:36 2023`, `Di Aug 12 03:54:03 2025`, `二 9月  3 05:57:48 2024`: what dmesg -T
/// and OpenWrt print.
pub(crate) fn with_year(input: &mut &str) -> Found<Option<Wall>> {
    let weekday = take_while(1..=12, |c: char| c.is_alphabetic() || c == '.');
    let (_, _, month, _, day, _, time, _, year): (_, _, _, _, _, _, _, _, i16) =
        (weekday, space1, month_name, space1, day, space1, clock, space1, number)
            .parse_next(input)?;
    let Some(month) = month else { return Ok(None) };
    let date = civil::Date::new(year, month, day).map_err(|_| EmptyError)?;
    Ok(Some(Wall::Civil(date.to_datetime(time))))
}

/// `Apr14 02:46`: what dmesg -H prints when a minute is over.
pub(crate) fn minute(input: &mut &str) -> Found<Option<Wall>> {
    let (month, _, day, _, h, _, m): (_, _, _, _, i8, _, i8) =
        (month_name, space0, day, space1, number, ':', number).parse_next(input)?;
    yearless(month, day, civil::Time::new(h, m, 0, 0).map_err(|_| EmptyError)?)
}

/// `  +0.000006`: what dmesg -H prints within the minute.
pub(crate) fn delta(input: &mut &str) -> Found<Duration> {
    (space0, '+', since_boot).map(|(_, _, time)| time.boot.unwrap_or_default()).parse_next(input)
}

/// `1120 09:42:36.123456`: klog's.
pub(crate) fn klog(input: &mut &str) -> Found<Option<Wall>> {
    let two = || take_while(2, |c: char| c.is_ascii_digit()).try_map(str::parse::<i8>);
    let (month, day, _, time) = (two(), two(), space1, clock).parse_next(input)?;
    yearless(Some(month), day, time)
}

/// `1763627756.123456`: seconds since 1970, of this century.
pub(crate) fn unix(input: &mut &str) -> Found<Wall> {
    let (seconds, _, fraction) =
        (take_while(10, |c: char| c.is_ascii_digit()).try_map(str::parse::<i64>), '.', digit1)
            .parse_next(input)?;
    let stamp = Timestamp::new(seconds, nanoseconds(fraction)).map_err(|_| EmptyError)?;
    Ok(Wall::Timestamp(stamp))
}
