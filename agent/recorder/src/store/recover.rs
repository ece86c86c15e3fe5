//! What a lane holds when the store is opened, and what a process that was killed has left in it.
use std::io;

use super::{
    Lane,
    file_system::{AppendFile, FileSystem},
    lane_writer::{LaneWriter, Segment},
    line,
    name::{Form, Name},
};

/// What was found in a lane.
#[derive(Debug)]
pub(super) struct Recovered<F> {
    pub(super) writer: LaneWriter<F>,
    /// The largest number of an entry; 0 if there is none.
    pub(super) last: u64,
    /// What was mended or set aside, in sentences.
    pub(super) notices: Vec<String>,
}

/// Reads the names of a lane's segments, mends those that were appended to when the process ended, and
/// seals them.
///
/// # Errors
/// If the lane can't be listed or a segment not be read. What can't be changed stays as it is.
pub(super) fn recover<S>(
    files: &S,
    lane: Lane,
    max_size: u64,
    min_free: u64,
) -> io::Result<Recovered<S::File>>
where
    S: FileSystem,
    S::File: AppendFile,
{
    let listed = files.list(lane)?;
    let named = listed.into_iter().filter_map(|(name, size)| Some((Name::parse(&name)?, size)));
    let mut segments: Vec<Segment> = named.map(|(name, size)| Segment { name, size }).collect();
    segments.sort_by_key(|segment| segment.name);
    let sealed = |segments: &[Segment], name: Name| {
        let is_sealed = |other: &Segment| matches!(other.name.form, Form::Sealed { .. });
        segments.iter().any(|other| other.name.number == name.number && is_sealed(other))
    };
    let all = segments.clone();
    segments.retain(|segment| match segment.name.form {
        // It was renamed when it was complete.
        Form::Plain if sealed(&all, segment.name) => !is_removed(files, lane, segment.name),
        Form::Temporary => !is_removed(files, lane, segment.name),
        _ => true,
    });
    let mut last = 0;
    let mut notices = Vec::new();
    let mut unsealed = Vec::new();
    let mut kept = Vec::new();
    for mut segment in segments {
        match segment.name.form {
            Form::Sealed { last: of_segment } => last = last.max(of_segment),
            Form::Plain if !sealed(&all, segment.name) => {
                let found = scan(&files.read(lane, &segment.name.to_string())?);
                last = last.max(found.last);
                match mend(files, lane, &mut segment, &found, &mut notices) {
                    Mended::Plain => unsealed.push((segment.name, found.last)),
                    Mended::Other => {}
                    Mended::Removed => continue,
                }
            }
            Form::Plain | Form::Temporary | Form::Corrupt => {}
        }
        kept.push(segment);
    }
    let mut writer = LaneWriter::new(lane, max_size, kept);
    for (name, last) in unsealed {
        if let Err(error) = writer.seal(files, min_free, name, last) {
            log::debug!("could not seal {}/{name}: {error}; it stays as it is", lane.name());
        }
    }
    Ok(Recovered { writer, last, notices })
}

/// What a segment holds.
#[derive(Debug, Default)]
struct Scan {
    has_header: bool,
    entries: u64,
    /// The largest number of an entry.
    last: u64,
    /// Where the last valid line ends.
    end: u64,
}

fn scan(segment: &[u8]) -> Scan {
    let mut found = Scan::default();
    let mut at = 0;
    for (number, piece) in segment.split_inclusive(|byte| *byte == b'\n').enumerate() {
        at += piece.len() as u64;
        let valid = piece.strip_suffix(b"\n").and_then(|line| Some((line, line::check(line)?)));
        let Some((line, sequence)) = valid else { continue };
        if line::is_header(line) {
            found.has_header |= number == 0;
        } else {
            found.entries += 1;
            found.last = found.last.max(sequence);
        }
        found.end = at;
    }
    found
}

enum Mended {
    /// It is a segment that can be sealed.
    Plain,
    /// It is counted, and not more.
    Other,
    /// It is not there any more.
    Removed,
}

fn mend<S: FileSystem>(
    files: &S,
    lane: Lane,
    segment: &mut Segment,
    found: &Scan,
    notices: &mut Vec<String>,
) -> Mended {
    let name = segment.name.to_string();
    let path = format!("{}/{name}", lane.name());
    if found.entries == 0 {
        // The process ended before the first line was complete.
        if is_removed(files, lane, segment.name) {
            return Mended::Removed;
        }
        return Mended::Other;
    }
    if !found.has_header {
        let corrupt = segment.name.with(Form::Corrupt);
        notices.push(format!("{path} has no header that can be read, and is set aside"));
        if files.rename(lane, &name, &corrupt.to_string()).is_ok() {
            segment.name = corrupt;
        }
        return Mended::Other;
    }
    if found.end < segment.size {
        let cut = segment.size - found.end;
        if let Err(error) = files.truncate(lane, &name, found.end) {
            log::debug!("could not cut {path}: {error}");
            return Mended::Other;
        }
        segment.size = found.end;
        notices.push(format!("{path} ended with {cut} bytes of an unfinished line, which are cut"));
    }
    Mended::Plain
}

fn is_removed<S: FileSystem>(files: &S, lane: Lane, name: Name) -> bool {
    match files.remove(lane, &name.to_string()) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}
