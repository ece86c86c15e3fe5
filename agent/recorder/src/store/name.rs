//! Names of segments: a number that grows within the lane, and when it was begun; of a sealed one also the
//! number of its last entry. So a listing says all that is needed to go on writing.
//!
//! ```text
//! 0000000012-1764342000.jsonl
//! 0000000012-1764342000-4711.jsonl.zst
//! ```
use jiff::Timestamp;

const PLAIN: &str = ".jsonl";
const SEALED: &str = ".jsonl.zst";
/// Of a segment that can't be read.
const CORRUPT: &str = ".jsonl.corrupt";
/// While a segment is being sealed.
const TEMPORARY: &str = ".jsonl.tmp";

/// A segment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// Grows within the lane.
    pub(crate) number: u64,
    /// The time of day when it was begun, in seconds since 1970.
    pub(crate) begun: i64,
    pub(crate) form: Form,
}

/// What a segment's name says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// Entries are appended, or were when the process ended.
    Plain,
    /// Compressed, and never changed again.
    Sealed {
        /// The number of its last entry.
        last: u64,
    },
    /// A sealed segment that is not complete.
    Temporary,
    /// It could not be read.
    Corrupt,
}

impl Name {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (stem, mut form) = if let Some(stem) = name.strip_suffix(CORRUPT) {
            (stem, Form::Corrupt)
        } else if let Some(stem) = name.strip_suffix(TEMPORARY) {
            (stem, Form::Temporary)
        } else if let Some(stem) = name.strip_suffix(SEALED) {
            (stem, Form::Sealed { last: 0 })
        } else {
            (name.strip_suffix(PLAIN)?, Form::Plain)
        };
        let mut parts = stem.split('-');
        let number = parts.next()?.parse().ok()?;
        let begun = parts.next()?.parse().ok()?;
        match (&mut form, parts.next()) {
            (Form::Sealed { last }, Some(text)) => *last = text.parse().ok()?,
            (Form::Plain | Form::Temporary | Form::Corrupt, None) => {}
            _ => return None,
        }
        parts.next().is_none().then_some(Self { number, begun, form })
    }

    pub(crate) fn with(self, form: Form) -> Self {
        Self { form, ..self }
    }

    pub(crate) fn begun(self) -> Option<Timestamp> {
        Timestamp::from_second(self.begun).ok()
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, begun, form } = self;
        write!(f, "{number:010}-{begun}")?;
        match form {
            Form::Plain => f.write_str(PLAIN),
            Form::Sealed { last } => write!(f, "-{last}{SEALED}"),
            Form::Temporary => f.write_str(TEMPORARY),
            Form::Corrupt => f.write_str(CORRUPT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_written() {
        for form in [Form::Plain, Form::Sealed { last: 4711 }, Form::Temporary, Form::Corrupt] {
            let name = Name { number: 12, begun: 1_764_342_000, form };
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
    }

    #[test]
    fn segments_are_in_order_whatever_the_clock_said() {
        let name = |number, begun| Name { number, begun, form: Form::Plain };
        let year = 366 * 24 * 3600;
        assert!(name(9, 1_764_342_000 + year) < name(10, 1_764_342_000 - year));
    }

    #[test]
    fn other_files_are_left_alone() {
        for name in ["", "lock", ".jsonl", "1.jsonl", "a-1.jsonl", "1-2-3.jsonl", "1-2.jsonl.zst"] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
