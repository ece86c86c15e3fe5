//! How much of a log was read, and how well.

/// What was read, and what of it could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes, after decompression.
    pub bytes: u64,
    /// Physical lines.
    pub lines: u64,
    /// Lines that were cut because they were too long.
    pub cut_lines: u64,
    /// Bytes of them that were not looked at.
    pub cut_bytes: u64,
    /// Lines, of those that were parsed, that were not valid UTF-8.
    pub undecodable_lines: u64,
    /// The compressed data ends before its end, or is damaged there; what came before was used.
    pub compressed_tail_lost: bool,
    /// Of the first bytes, those that no text has.
    pub odd_bytes: u32,
}

impl Stats {
    /// How many bytes are looked at to distinguish text from anything else.
    pub const SAMPLE: u64 = 4096;

    /// Whether the input looks like anything but text.
    pub fn binary(&self) -> bool {
        u64::from(self.odd_bytes) * 10 > self.bytes.min(Self::SAMPLE)
    }
}
