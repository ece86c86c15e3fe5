//! Whether a line without a prefix is the rest of the one before, which a mail client or a terminal
//! has broken. Careful: where it may be a remark that somebody wrote between the lines, it is.

/// Mail clients break lines at this width or at a larger one.
const NARROWEST: usize = 70;
/// No mail client breaks at a larger width than this, and no terminal is narrower.
const TERMINAL: usize = 80;
/// A line this short is broken before a word that doesn't fit only if that is a very long one.
const SHORTEST: usize = 24;
/// As many lines of one length show the width of a terminal.
const FULL_LINES: u32 = 3;

/// How wide the lines of a log are.
#[derive(Default)]
pub(crate) struct Widths {
    widest: usize,
    /// How many lines are.
    count: u32,
}

/// How a line goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// It was broken at a space.
    AtSpace,
    /// It was broken anywhere.
    Anywhere,
}

impl Widths {
    /// Takes note of a line.
    pub(crate) fn see(&mut self, width: usize) {
        if width > self.widest {
            *self = Self { widest: width, count: 0 };
        }
        self.count += u32::from(width == self.widest);
    }

    /// Whether, and how, `next`, which has no prefix, goes on with `line`, which has one or is a
    /// part of such a line, and whose last part is `width` characters wide.
    pub(crate) fn join(&self, line: &str, width: usize, next: &str) -> Option<Join> {
        let remark =
            ["```", "$ ", "# ", "---", "[", "<"].iter().any(|begin| next.starts_with(begin));
        if remark || next.starts_with(char::is_whitespace) {
            return None;
        }
        let word = next.split(' ').next().unwrap_or(next).chars().count();
        let too_wide = width + 1 + word > NARROWEST;
        if width == self.widest && width >= TERMINAL && self.count >= FULL_LINES {
            return Some(Join::Anywhere);
        }
        let mail = (SHORTEST..=TERMINAL).contains(&width) && too_wide;
        // Text that flows (RFC 3676) has a space where it was broken.
        let flowed = line.ends_with(' ') && too_wide;
        (mail || flowed || in_quotes(line)).then_some(Join::AtSpace)
    }
}

/// Whether a value of logfmt has begun in a line and not ended.
fn in_quotes(line: &str) -> bool {
    let Some(begin) = line.find("=\"") else { return false };
    let bytes = line.as_bytes();
    let quotes = memchr::memchr_iter(b'"', &bytes[begin..])
        .filter(|at| bytes[begin + at - 1] != b'\\')
        .count();
    quotes % 2 == 1
}
