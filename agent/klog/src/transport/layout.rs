//! What stands before the messages of a log: learnt from one line, found again in its neighbours.
//!
//! The beginning of a line is taken apart into numbers, words, brackets and signs. In another line
//! numbers may have other digits and brackets another content; what else there is must be alike.

/// Parts of a line's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// As many blanks as there are.
    Blanks,
    /// Digits, or hexadecimal ones, with the signs of dates and numbers between them.
    Number,
    /// Letters, and whatever else names hold.
    Word,
    /// A bracket with what is in it up to its end.
    Bracket(char),
    /// A string in quotes.
    Quoted,
    /// Any other character.
    Sign(char),
}

/// A beginning of lines.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    parts: Vec<Part>,
    /// Blanks that belong to the beginning and not to the message: as many as all lines have.
    last_blanks: usize,
}

/// One part, and the text that it is made of.
struct Piece<'a> {
    part: Part,
    text: &'a str,
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | '+')
}

/// The first part of a text; `None` at its end.
fn first(text: &str) -> Option<Piece<'_>> {
    let c = text.chars().next()?;
    let run = |holds: fn(char) -> bool| {
        let end = text.find(|c: char| !holds(c)).unwrap_or(text.len());
        &text[..end]
    };
    let piece = |part, text| Some(Piece { part, text });
    match c {
        _ if c.is_whitespace() => piece(Part::Blanks, run(char::is_whitespace)),
        _ if in_word(c) => {
            let text = run(in_word);
            let number = !text.chars().any(char::is_alphabetic);
            piece(if number { Part::Number } else { Part::Word }, text)
        }
        '[' | '(' | '<' | '{' => match bracket(text) {
            Some(end) => piece(Part::Bracket(c), &text[..end]),
            None => piece(Part::Sign(c), &text[..1]),
        },
        '"' => match text[1..].find('"') {
            // An escaped quote: a string in a string.
            Some(end) if !text[1..=end].ends_with('\\') => piece(Part::Quoted, &text[..end + 2]),
            _ => piece(Part::Sign(c), &text[..1]),
        },
        _ => piece(Part::Sign(c), &text[..c.len_utf8()]),
    }
}

/// Where the bracket that a text begins with ends. Far ends belong to something else.
fn bracket(text: &str) -> Option<usize> {
    const FAR: usize = 120;
    let mut depth = 0u32;
    for (at, c) in text.char_indices().take(FAR) {
        match c {
            '[' | '(' | '<' | '{' => depth += 1,
            ']' | ')' | '>' | '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            '"' => return None,
            _ => {}
        }
    }
    None
}

impl Layout {
    /// That of a line that begins with this; `None` if there is nothing in it.
    pub(crate) fn of(head: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = head.trim_start();
        let mut last_blanks = 0;
        while let Some(Piece { part, text }) = first(rest) {
            last_blanks = if part == Part::Blanks { text.len() } else { 0 };
            parts.push(part);
            rest = &rest[text.len()..];
        }
        (!parts.is_empty()).then_some(Self { parts, last_blanks })
    }

    /// Whether it is the same but for the blanks at its end.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.parts == other.parts
    }

    /// Whether a beginning has this layout, but for the blanks at its end.
    pub(crate) fn is_of(&self, head: &str) -> bool {
        let mut rest = head.trim_start();
        for part in &self.parts {
            match first(rest) {
                Some(piece) if piece.part == *part => rest = &rest[piece.text.len()..],
                _ => return false,
            }
        }
        rest.is_empty()
    }

    /// Takes note of a beginning with it; whether that has fewer blanks at its end.
    pub(crate) fn narrow(&mut self, head: &str) -> bool {
        let before = self.last_blanks;
        self.last_blanks = before.min(head.len() - head.trim_end().len());
        self.last_blanks < before
    }

    /// Where the message begins in a line that begins so.
    pub(crate) fn end_in(&self, line: &str) -> Option<usize> {
        let mut rest = line.trim_start();
        let last = self.parts.len() - 1;
        for (index, part) in self.parts.iter().enumerate() {
            if index == last && *part == Part::Blanks {
                let blanks = rest.len() - rest.trim_start().len();
                // A line that is empty but for its beginning has lost its blanks, perhaps.
                if blanks == 0 && !rest.is_empty() {
                    return None;
                }
                // Blanks may be characters of several bytes.
                rest = &rest[rest.floor_char_boundary(blanks.min(self.last_blanks))..];
                break;
            }
            let piece = first(rest)?;
            let alike = match (part, &piece.part) {
                (Part::Number, Part::Word) => is_hex(piece.text),
                (one, other) => one == other,
            };
            if alike {
                rest = &rest[piece.text.len()..];
                continue;
            }
            // What is open in the beginning ends in the message.
            match part {
                Part::Sign(sign) if piece.text.starts_with(*sign) => {
                    rest = &rest[sign.len_utf8()..];
                }
                _ => return None,
            }
        }
        Some(line.len() - rest.len())
    }
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '-' | '.' | ':'))
}

/// What in the beginning of a line says whose it is: its words and brackets without times, numbers
/// and levels, which differ from line to line.
pub(crate) fn source(head: &str) -> String {
    let mut key = String::new();
    for name in names(head) {
        key.push_str(name);
        key.push(' ');
    }
    key
}

/// Whether a beginning is of that source.
pub(crate) fn is_of_source(head: &str, key: &str) -> bool {
    let rest = names(head).try_fold(key, |key, name| key.strip_prefix(name)?.strip_prefix(' '));
    rest.is_some_and(str::is_empty)
}

/// The parts of a beginning that say whose it is.
fn names(head: &str) -> impl Iterator<Item = &str> {
    let mut rest = head;
    // The value of such a field differs from line to line.
    let mut of_record = false;
    std::iter::from_fn(move || {
        while let Some(Piece { part, text }) = first(rest) {
            rest = &rest[text.len()..];
            let names = matches!(part, Part::Word | Part::Bracket(_) | Part::Quoted);
            if names && std::mem::replace(&mut of_record, is_record_id(text)) {
                continue;
            }
            if names && !varies(text) {
                return Some(text);
            }
        }
        None
    })
}

/// Marks of HTML in which a log was pasted.
const MARKUP: &[&str] = &["<pre>", "<code>", "<p>", "<li>", "<br>", "<td>", "<tr>"];

/// Whether there is nothing but such marks before a message.
pub(crate) fn is_markup(head: &str) -> bool {
    let mut rest = head.trim();
    while let Some(after) = MARKUP.iter().find_map(|mark| rest.strip_prefix(mark)) {
        rest = after;
    }
    rest.is_empty()
}

/// Whether a field names a record and not its source.
fn is_record_id(field: &str) -> bool {
    const IDS: &[&str] = &[
        "id",
        "_id",
        "insertid",
        "insert_id",
        "uuid",
        "event_id",
        "eventid",
        "seq",
        "offset",
        "cursor",
    ];
    let field = field.trim_matches('"');
    IDS.iter().any(|id| id.eq_ignore_ascii_case(field))
}

/// Whether a word differs between the lines of one source.
fn varies(text: &str) -> bool {
    const LEVELS: &[&str] = &[
        "debug", "info", "notice", "warn", "warning", "err", "error", "crit", "critical", "alert",
        "emerg", "fatal", "trace", "stdout", "stderr", "f", "p", "d", "i", "n", "w", "e", "t", "z",
    ];
    if MARKUP.contains(&text) {
        return true;
    }
    let text = text.trim_matches(['[', ']', '(', ')', '<', '>', '{', '}', '"', ' ']);
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    letters == 0
        || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text))
        || letters == 1 && digits >= 2
        // A counter with letters: `AQAA0001`.
        || digits >= 4 && text.chars().all(char::is_alphanumeric)
        || crate::transport::date::is_month(text)
        // A time, a random number.
        || text.contains(':') && digits > letters
        || text.len() >= 16 && is_hex(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, line: &str, message: Option<&str>) {
        let layout = Layout::of(head).expect("a layout");
        assert_eq!(layout.end_in(line).map(|at| &line[at..]), message, "{head:?} on {line:?}");
    }

    #[test]
    fn a_beginning_is_found_again() {
        check("318442 ", "318443  <TASK>", Some(" <TASK>"));
        check("[pod/a/tail] ", "[pod/b-2/tail] x y", Some("x y"));
        check("<4>[ 12.3] .(4)[2214:a]", "<4>[112.3] .(0)[1:runc:[1:CHILD]]CPU: 1", Some("CPU: 1"));
        check("2025-05-06T18:20:33.1Z 01O ", "2025-05-06T18:20:34.2Z 00O + x", Some("+ x"));
        check("{\"n\":1,\"m\":\"", "{\"n\":2,\"m\":\"a b", Some("a b"));
        check("node-1 | ", "node-2 | a", Some("a"));
        check("node-1 | ", "17 | a", None);
        check("318442 ", "x: y", None);
        check("a: ", "b c", None);
        check("a: ", "b:\u{2028}c", Some("\u{2028}c"));
    }

    #[test]
    fn the_source_has_no_times_and_levels() {
        assert_eq!(source("2025-05-06T18:20:33.1Z node-1 warn: "), "node-1 ");
        assert_eq!(source("[pod/a/tail] [70112.2] "), "[pod/a/tail] ");
        assert_eq!(source("318442 "), "");
        assert!(is_of_source("2025-05-06T18:20:35.7Z node-1 err: ", "node-1 "));
        assert!(!is_of_source("node-12 ", "node-1 ") && !is_of_source("", "node-1 "));
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(head in "\\PC{0,60}", line in "\\PC{0,80}") {
            if let Some(layout) = Layout::of(&head) {
                let _ = layout.end_in(&line);
                let own = format!("{head}x");
                if let Some(at) = layout.end_in(&own) {
                    proptest::prop_assert!(own.is_char_boundary(at));
                }
            }
            let _ = source(&head);
        }
    }
}
