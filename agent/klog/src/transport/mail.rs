//! What mail does to a log in it: marks of quoting, and quoted-printable.

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
    /// This log has shown that it is.
    proven: bool,
    /// A line that goes on in the next: its number, and what there is of it.
    open: Option<(u64, String)>,
}

impl QuotedPrintable {
    /// Lengths at which an encoder breaks a line, the `=` included; marks of quoting may be gone.
    const BREAKS: std::ops::RangeInclusive<usize> = 70..=76;

    /// Takes a line; answers with the number of its first part and with the whole line once it is
    /// whole.
    pub(crate) fn take(&mut self, number: u64, line: &str) -> Option<(u64, String)> {
        let encoded = Self::may_be(line);
        if encoded && !self.proven {
            self.proven = line.contains("=3D")
                || line.ends_with('=') && Self::BREAKS.contains(&line.chars().count());
        }
        let (first, mut whole) = self.open.take().unwrap_or((number, String::new()));
        if !(encoded && self.proven) {
            whole.push_str(line);
            return Some((first, whole));
        }
        let continues = line.ends_with('=');
        whole.push_str(&decode(line.strip_suffix('=').unwrap_or(line)));
        if continues && whole.len() < crate::raw_line::MAX_LINE {
            self.open = Some((first, whole));
            return None;
        }
        Some((first, whole))
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

fn decode(line: &str) -> String {
    // Robust: what is no code stays as it is.
    quoted_printable::decode(line, ParseMode::Robust)
        .map_or_else(|_| line.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
