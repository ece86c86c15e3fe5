//! What of a directory or an archive was not read, and why.
use schemars::JsonSchema;
use serde::Serialize;

/// Why something in a directory or an archive was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOut {
    /// Its permissions, or an error of the system.
    Unreadable,
    /// A journal in journald's own format.
    Journal,
    /// Compressed or packed in a way that is not read.
    Form,
    /// Compressed data or an archive that is damaged or cut.
    Damaged,
    /// It unpacks to far more than its size.
    Expands,
    /// A file of holes.
    Sparse,
    /// Too many directories, archives or layers of compression in each other.
    Nested,
    /// More files than are looked at.
    TooMany,
    /// A symbolic or hard link.
    Link,
    /// A FIFO, socket or device.
    Special,
    /// Neither its name nor its content is that of a log.
    NotALog,
}

impl LeftOut {
    /// Whether there may be a log in it.
    pub fn may_be_a_log(self) -> bool {
        !matches!(self, Self::Link | Self::Special | Self::NotALog)
    }

    /// What they are, and what to do; for one or several.
    pub fn describe(self, count: u64) -> &'static str {
        let one = count == 1;
        match self {
            Self::Unreadable if one => "file that could not be read",
            Self::Unreadable => "files that could not be read",
            Self::Journal if one => {
                "journal file: journalctl --file FILE -o json | fragwatch explain - reads it"
            }
            Self::Journal => {
                "journal files: journalctl --file FILE -o json | fragwatch explain - reads one"
            }
            Self::Form if one => "file in a packed form that is not read: unpack it first",
            Self::Form => "files in a packed form that is not read: unpack them first",
            Self::Damaged if one => "damaged or cut file: what comes before the damage is read",
            Self::Damaged => "damaged or cut files: what comes before the damage is read",
            Self::Expands => "unpacks to far more than its size: the rest of it is not read",
            Self::Sparse if one => "file that consists of holes",
            Self::Sparse => "files that consist of holes",
            Self::Nested => "too deep in directories or archives: name what is there",
            Self::TooMany => "more files than are looked at: name the directory with the logs",
            Self::Link if one => "link, which is not followed",
            Self::Link => "links, which are not followed",
            Self::Special if one => "FIFO, socket or device",
            Self::Special => "FIFOs, sockets or devices",
            Self::NotALog if one => "file that is no log by name or content",
            Self::NotALog => "files that are no logs by name or content",
        }
    }
}
