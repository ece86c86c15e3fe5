//! The lines of one segment.
use std::rc::Rc;

use fragwatch_core::model::entry::{FORMAT_VERSION, Header};
use serde_json::Value;

use super::super::{
    header::SegmentHeader,
    line,
    name::{Form, Name},
    seal,
};

/// A valid line of a segment, and what its header says.
pub(super) struct Line {
    pub(super) sequence: u64,
    pub(super) json: Vec<u8>,
    /// See [`SegmentHeader::session`].
    pub(super) run: u64,
    pub(super) header: Rc<Header>,
}

/// What was found in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentReport {
    /// Valid entries.
    pub entries: u64,
    /// The numbers of the first and last one, by size.
    pub numbers: Option<(u64, u64)>,
    /// What is wrong with it, in sentences.
    pub problems: Vec<String>,
    /// The format's number, if it is another one: then nothing else was looked at.
    pub other_version: Option<u64>,
}

/// The bytes of a segment, and what keeps them from being all of it.
fn unpack(name: Name, bytes: &[u8]) -> (Vec<u8>, Option<String>) {
    if !matches!(name.form, Form::Sealed { .. }) {
        return (bytes.to_owned(), None);
    }
    let (unpacked, result) = seal::decompress(bytes);
    (unpacked, result.err().map(|error| format!("it can't be unpacked to its end: {error}")))
}

fn version(line: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(line).ok()?;
    value.get("format_version")?.as_u64()
}

/// Reads a segment's valid lines.
pub(super) fn read(name: Name, bytes: &[u8]) -> (Vec<Line>, SegmentReport) {
    let mut report = SegmentReport::default();
    let mut lines = Vec::new();
    let (bytes, problem) = unpack(name, bytes);
    report.problems.extend(problem);
    let mut header = None;
    let pieces = bytes.split_inclusive(|byte| *byte == b'\n');
    for (number, piece) in (1..).zip(pieces) {
        let Some(line) = piece.strip_suffix(b"\n") else {
            // It is being written, or was when the process was killed.
            if name.form != Form::Plain {
                report.problems.push("its last line is truncated".to_owned());
            }
            break;
        };
        if number == 1 {
            match read_header(line) {
                Ok(found) => header = Some(found),
                Err(HeaderError::Version(version)) => {
                    report.other_version = Some(version);
                    return (lines, report);
                }
                Err(HeaderError::Damaged(problem)) => report.problems.push(problem),
            }
            continue;
        }
        let Some(sequence) = line::check(line) else {
            report.problems.push(format!("line {number} is damaged"));
            continue;
        };
        report.entries += 1;
        let (first, last) = report.numbers.unwrap_or((sequence, sequence));
        report.numbers = Some((first.min(sequence), last.max(sequence)));
        if let Some((run, header)) = &header {
            let (run, header) = (*run, Rc::clone(header));
            lines.push(Line { sequence, json: line.to_owned(), run, header });
        }
    }
    (lines, report)
}

/// Reads a segment for what is wrong with it.
pub(super) fn verify(name: Name, bytes: &[u8]) -> SegmentReport {
    read(name, bytes).1
}

enum HeaderError {
    Version(u64),
    Damaged(String),
}

fn read_header(line: &[u8]) -> Result<(u64, Rc<Header>), HeaderError> {
    if let Some(version) = version(line).filter(|version| *version != u64::from(FORMAT_VERSION)) {
        return Err(HeaderError::Version(version));
    }
    let damaged = |error: &str| HeaderError::Damaged(format!("its header is damaged: {error}"));
    if line::check(line).is_none() {
        return Err(damaged("its checksum is wrong"));
    }
    let header: SegmentHeader =
        serde_json::from_slice(line).map_err(|error| damaged(&error.to_string()))?;
    Ok((header.session, Rc::new(header.capture)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(form: Form) -> Name {
        Name { number: 1, begun: 0, form }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            sealed: bool,
        ) {
            let form = if sealed { Form::Sealed { last: 1 } } else { Form::Plain };
            let (lines, report) = read(name(form), &bytes);
            prop_assert!(lines.is_empty() && report.entries == 0);
        }
    }

    #[test]
    fn a_line_that_is_being_written_is_no_problem() {
        let mut bytes = Vec::new();
        let header = super::super::super::header::HeaderSource {
            capture: fragwatch_core::fixtures::header(),
            session: 5,
        };
        let begun = jiff::Timestamp::UNIX_EPOCH;
        let lane = super::super::super::Lane::Creations;
        bytes.extend(header.line(lane, begun).expect("it is JSON"));
        for sequence in 5..8 {
            line::append(&mut bytes, r#"{"type":"tick","time_ns":5}"#, sequence);
        }
        bytes.truncate(bytes.len() - 3);
        let (lines, report) = read(name(Form::Plain), &bytes);
        let sequences: Vec<u64> = lines.iter().map(|line| line.sequence).collect();
        assert_eq!((sequences, report.problems.len()), (vec![5, 6], 0));
        assert_eq!(report.numbers, Some((5, 6)));
        // The control: in the middle it is one.
        let at = bytes.len() - 60;
        bytes[at] ^= 1;
        assert_eq!(read(name(Form::Plain), &bytes).1.problems.len(), 1);
    }
}
