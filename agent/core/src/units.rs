//! Quantities and escaped text for people.

/// Bytes in the largest binary unit that leaves a number of at least 1: `256 KiB`, `280.3 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let rounded = format!("{value:.1}");
    format!("{} {}", rounded.strip_suffix(".0").unwrap_or(&rounded), UNITS[unit])
}

/// A count with thousands separators: `65,535`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Memory cgroups against the number of their ids, `at most` where cgroups without the memory
/// controller are counted too: `1,204 of 65,535 memory cgroups (87 dying)`.
pub fn memory_cgroups(count: u64, at_most: bool, dying: Option<u64>, max: u64) -> String {
    let at_most = if at_most { "at most " } else { "" };
    let dying = dying.filter(|dying| *dying != 0);
    let dying = dying.map(|dying| format!(" ({} dying)", grouped(dying))).unwrap_or_default();
    format!("{at_most}{} of {} memory cgroups{dying}", grouped(count), grouped(max))
}

/// Nanoseconds in a suitable unit: `840 µs`, `38.2 ms`, `1.4 s`.
pub fn duration(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} µs", ns / 1000),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

/// Whether a character may control a terminal, is invisible, or reorders the text around it.
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Text from outside, safe for a terminal: hostile characters ([`is_hostile`]) and backslashes are
/// escaped.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) || c == '\\' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_formatted() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(4096), "4 KiB");
        assert_eq!(bytes(262_144), "256 KiB");
        assert_eq!(bytes(293_888_000), "280.3 MiB");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(65_535), "65,535");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(duration(840_000), "840 µs");
        assert_eq!(duration(38_211_000), "38.2 ms");
        assert_eq!(duration(1_400_000_000), "1.4 s");
    }

    #[test]
    fn hostile_characters_are_escaped() {
        assert_eq!(printable("runc:[1:CHILD]"), "runc:[1:CHILD]");
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("a\u{202e}b\\"), "a\\u{202e}b\\\\");
    }
}
