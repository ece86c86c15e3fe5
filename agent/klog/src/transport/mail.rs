//! What mail does to a log in it: marks of quoting, and quoted-printable.

use std::borrow::Cow;

use quoted_printable::ParseMode;

/// Splits the marks off a line that was quoted, `> `, `>> `, `| `.
pub(crate) fn unquote(line: &str) -> (&str, &str) {
    let mut rest = line;
    loop {
        let marked = rest.trim_start_matches(' ');
        let after = match marked.strip_prefix('>') {
            Some(after) => after,
            // A bar alone may begin anything.
            None => match marked.strip_prefix('|') {
                Some(after) if after.is_empty() || after.starts_with(' ') => after,
                _ => break,
            },
        };
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    line.split_at(line.len() - rest.len())
}

/// Undoes quoted-printable once it is certain that it is that.
#[derive(Default)]
pub(crate) struct QuotedPrintable {
    /// How much this log has shown that it is.
    proof: Proof,
    /// A line that goes on in the next: its number, and what there is of it.
    open: Option<(u64, String)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Proof {
    #[default]
    None,
    /// A line was broken as an encoder breaks one; the next line can contradict.
    Break,
    /// An equals sign was encoded.
    Code,
}

/// A line and the number of its first part.
type Whole = Option<(u64, String)>;

impl QuotedPrintable {
    /// Lengths at which an encoder breaks a line, the `=` included; marks of quoting may be gone.
    const BREAKS: std::ops::RangeInclusive<usize> = 70..=76;

    /// Takes a line; answers with those that are whole now, in order, each with the number of its
    /// first part.
    pub(crate) fn take(&mut self, number: u64, line: &str) -> [Whole; 2] {
        let (mark, text) = unquote(line);
        let encoded = Self::may_be(text);
        if !encoded && let Some((first, mut before)) = self.open.take() {
            // The equals sign at its end was the text's own.
            before.push('=');
            if self.proof == Proof::Break {
                self.proof = Proof::None;
            }
            return [Some((first, before)), Some((number, line.to_owned()))];
        }
        let breaks = line.ends_with('=')
            && [line, text].iter().any(|line| Self::BREAKS.contains(&line.chars().count()));
        if encoded && line.contains("=3D") {
            self.proof = Proof::Code;
        } else if encoded && breaks && self.proof == Proof::None {
            self.proof = Proof::Break;
        }
        let (first, whole) = match self.open.take() {
            // If the mail's source was quoted, each of its lines is marked.
            Some((first, mut whole)) => {
                let rest = if unquote(&whole).0.starts_with(mark) { text } else { line };
                let decoded = self.decoded(encoded, rest);
                whole.push_str(&decoded);
                (first, whole)
            }
            None => (number, self.decoded(encoded, line).into_owned()),
        };
        let goes_on = encoded && self.proof != Proof::None && line.ends_with('=');
        if goes_on && whole.len() < crate::raw_line::MAX_LINE {
            self.open = Some((first, whole));
            return [None, None];
        }
        [Some((first, whole)), None]
    }

    /// A line without the encoder's codes and its break.
    fn decoded<'a>(&self, encoded: bool, line: &'a str) -> Cow<'a, str> {
        if encoded && self.proof != Proof::None {
            decode(line.strip_suffix('=').unwrap_or(line))
        } else {
            Cow::Borrowed(line)
        }
    }

    /// What there is of a line that was to go on.
    pub(crate) fn end(&mut self) -> Option<(u64, String)> {
        self.open.take()
    }

    /// Whether every `=` in a line could be the encoder's.
    fn may_be(line: &str) -> bool {
        let bytes = line.as_bytes();
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
        memchr::memchr_iter(b'=', bytes).all(|at| {
            let behind = &bytes[at + 1..];
            behind.is_empty() || behind.len() >= 2 && behind[..2].iter().all(hex)
        })
    }
}

fn decode(line: &str) -> Cow<'_, str> {
    if !line.contains('=') {
        return Cow::Borrowed(line);
    }
    // Robust: what is no code stays as it is.
    match quoted_printable::decode(line, ParseMode::Robust) {
        Ok(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let mut printable = QuotedPrintable::default();
        let mut whole: Vec<String> = Vec::new();
        for (line, number) in lines.iter().zip(1..) {
            whole.extend(printable.take(number, line).into_iter().flatten().map(|(_, line)| line));
        }
        whole.extend(printable.end().map(|(_, line)| line));
        assert_eq!(whole, expected, "{lines:?}");
    }

    #[test]
    fn encoded_lines_are_joined() {
        let filled = "a".repeat(75);
        check(&["x=3D1 long=", " line"], &["x=1 long line"]);
        check(&[&format!("{filled}="), "b"], &[&format!("{filled}b")]);
        check(&["> x=3D1 long=", "> er"], &["> x=1 longer"]);
    }

    #[test]
    fn an_equals_sign_at_the_end_of_a_wrapped_line_is_the_text_s_own() {
        let before = format!("> {}code =", "a".repeat(66));
        check(
            &[&before, "> Unknown desc = x", "> y=41"],
            &[&before, "> Unknown desc = x", "> y=41"],
        );
    }
}
