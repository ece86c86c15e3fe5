//! Whether a line without a prefix is the rest of the one before, which a mail client or a terminal
//! has broken. Careful: where it may be a remark that was written between the lines, it is.

use crate::parse::{self, container, trace};

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
    /// A width at which lines were broken.
    broken: Option<usize>,
}

/// How a line goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// It was broken at a space.
    AtSpace,
    /// It was broken anywhere.
    Anywhere,
}

/// A line that may be broken, as far as it was read.
#[derive(Clone, Copy)]
pub(crate) struct Broken<'a> {
    pub(crate) text: &'a str,
    /// How wide its last part is.
    pub(crate) width: usize,
    /// How far that is indented.
    pub(crate) indent: usize,
    /// It begins with a prefix.
    pub(crate) has_prefix: bool,
}

impl Widths {
    /// Takes note of a line.
    pub(crate) fn see(&mut self, width: usize) {
        if width > self.widest {
            *self = Self { widest: width, count: 0, ..*self };
        }
        self.count += u32::from(width == self.widest);
    }

    /// Whether, and how, `next`, which has no prefix, goes on with `line`.
    pub(crate) fn join(&mut self, line: Broken, next: &str) -> Option<Join> {
        let Broken { text, width, indent, has_prefix } = line;
        let remark =
            ["```", "$ ", "# ", "---", "[", "<"].iter().any(|begin| next.starts_with(begin));
        // Another program's message that comes behind a whole one.
        if remark || container::ends_with_errno(text) && begins_with_tag(next) {
            return None;
        }
        // A terminal breaks where it is full, be it in a word.
        let full = width >= TERMINAL
            && (width == TERMINAL
                || width == next.chars().count()
                || self.broken == Some(width)
                || width == self.widest && self.count >= FULL_LINES);
        // Without a prefix only what is an error, and is broken at one width again and again.
        let same_width = width == next.chars().count() && !begin_alike(text, next);
        let error = is_failure(text)
            && !is_kernels(next)
            && (self.broken == Some(width) || same_width && !text.contains("  "));
        if full && (has_prefix || error) {
            self.broken = Some(width);
            return Some(Join::Anywhere);
        }
        if in_mask(text) && next.starts_with(['_', '|', 'G']) {
            return Some(Join::Anywhere);
        }
        if next.starts_with(char::is_whitespace) {
            let deeper = next.len() - next.trim_start().len() >= indent + 2;
            let goes_on = deeper && !has_prefix && is_failure(text);
            return (goes_on && !is_kernels(text) && !is_kernels(next)).then_some(Join::AtSpace);
        }
        let word = next.split(' ').next().unwrap_or(next);
        if lacks_release(text) && trace::is_release(word) {
            return Some(Join::AtSpace);
        }
        if is_failure(text) && text.trim_end().ends_with(':') {
            return Some(Join::AtSpace);
        }
        let too_wide = width + 1 + word.chars().count() > NARROWEST;
        // An error that was wrapped in a mail, whose chain has not come to its end.
        let chain = is_failure(text) && !is_complete(text) && !is_failure(word);
        if chain && too_wide && (NARROWEST - 20..=TERMINAL).contains(&width) && !is_kernels(next) {
            return Some(Join::AtSpace);
        }
        let mail = (SHORTEST..=TERMINAL).contains(&width) && too_wide;
        // Text that flows (RFC 3676) has a space where it was broken.
        let flowed = text.ends_with(' ') && too_wide;
        (has_prefix && (mail || flowed || in_quotes(text))).then_some(Join::AtSpace)
    }
}

/// Whether a text ends as an error or a sentence does.
fn is_complete(text: &str) -> bool {
    let text = text.trim_end();
    text.ends_with(['.', '?', '!', '"', ')', '}', ']', '`', '\''])
        || text.ends_with(": unknown")
        || container::ends_with_errno(text)
}

/// Whether a line begins as a program's message does: `-bash: `, `mysqld: `.
fn begins_with_tag(line: &str) -> bool {
    let word = line.split(' ').next().unwrap_or_default();
    let name = word.strip_suffix(':').unwrap_or_default();
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
}

/// Whether two lines are of one kind, as those of a table or of two failures are.
fn begin_alike(one: &str, other: &str) -> bool {
    one.split(' ').next() == other.split(' ').next()
}

/// Whether it is an error that goes on as long as its parts do: `docker: Error response from daemon: …`.
pub(crate) fn is_failure(text: &str) -> bool {
    ["rror:", "rror response", "ailed to ", "nable to ", "ailed:"]
        .iter()
        .any(|part| text.contains(part))
}

/// Whether it is a message of the kernel's.
fn is_kernels(text: &str) -> bool {
    parse::parse_kernel(text).is_some()
}

/// Whether the line that says which task it was ends before the kernel's release.
fn lacks_release(text: &str) -> bool {
    (text.contains("CPU: ") || text.contains("Pid: "))
        && (text.contains(" Comm: ") || text.contains(" comm: "))
        && !text.contains(" #")
        && !text.split(' ').next_back().is_some_and(trace::is_release)
}

/// Whether the names of a gfp mask have begun in a line and not ended.
fn in_mask(text: &str) -> bool {
    let mask = text.rfind("mode:0x").max(text.rfind("gfp_mask=0x")).max(text.rfind("gfp=0x"));
    mask.is_some_and(|at| text[at..].contains("(GFP_") && !text[at..].contains(')'))
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
