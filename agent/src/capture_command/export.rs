//! A store, or a time of it, as one capture.
use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use fragwatch_core::{clock, model::entry::Entry, units::printable};
use fragwatch_recorder::store::read::{Item, Reader};
use jiff::{SignedDuration, Timestamp};

use super::{CaptureCommandError, CaptureResult, store_error};
use crate::{capture::to_line, cli::ExportArgs, replay::Window};

/// A creation that ends in the time that is exported may have begun so long before.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn run(args: &ExportArgs) -> Result<CaptureResult, CaptureCommandError> {
    let directory = &args.store.directory;
    let mut window: Window = args.window.into();
    if let Some(last) = args.last {
        window.since = newest(directory)?
            .and_then(|newest| newest.checked_sub(last).ok())
            .unwrap_or(Timestamp::MIN);
    }
    let reader = Reader::open(directory).map_err(store_error(directory))?;
    let name = args.output.as_ref().map(|path| path.display().to_string());
    let failed = |error| CaptureCommandError::Output { path: name.clone(), error };
    let mut out: BufWriter<Box<dyn Write>> = match &args.output {
        // As a capture: it holds addresses of the kernel.
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            BufWriter::new(Box::new(file.map_err(failed)?))
        }
        None => BufWriter::new(Box::new(io::stdout())),
    };
    let damaged = write(reader, window, &mut out).map_err(failed)?;
    if damaged.is_empty() {
        return Ok(CaptureResult::Complete);
    }
    for text in damaged {
        anstream::eprintln!("fragwatch: {}: {}", directory.display(), printable(&text));
    }
    Ok(CaptureResult::Damaged)
}

/// The time of the newest entry that has one.
fn newest(directory: &Path) -> Result<Option<Timestamp>, CaptureCommandError> {
    let mut reader = Reader::open(directory).map_err(store_error(directory))?;
    let mut times = Times::default();
    let mut newest = None;
    while let Some(item) = reader.next_item() {
        newest = newest.max(times.of(&item));
    }
    Ok(newest)
}

/// Writes what is in the window, and what later entries are read with. Returns what is damaged.
fn write(mut reader: Reader, window: Window, out: &mut impl Write) -> io::Result<Vec<String>> {
    let mut times = Times::default();
    let mut damaged = Vec::new();
    let since = window.since.checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
    let of_events = Window { since, ..window };
    while let Some(item) = reader.next_item() {
        let is_sample = matches!(&item, Item::Entry(e) if matches!(**e, Entry::Sample(_)));
        let window = if is_sample { window } else { of_events };
        let inside = times.of(&item).is_none_or(|at| window.has(at));
        match item {
            Item::Run(header) => out.write_all(to_line(&header)?.as_bytes())?,
            Item::Entry(entry) if inside => out.write_all(to_line(&entry)?.as_bytes())?,
            Item::Entry(_) => {}
            Item::Damaged(text) => damaged.push(text),
        }
    }
    // `replay` knows by it that the file is complete.
    out.write_all(to_line(&Entry::End { outside: None, creations: None })?.as_bytes())?;
    out.flush()?;
    Ok(damaged)
}

/// When entries were made.
#[derive(Default)]
struct Times {
    realtime_offset_ns: i64,
}

impl Times {
    /// The time of day of an item that has one.
    fn of(&mut self, item: &Item) -> Option<Timestamp> {
        let entry = match item {
            Item::Run(header) => {
                self.realtime_offset_ns = header.realtime_offset_ns;
                return None;
            }
            Item::Entry(entry) => entry,
            Item::Damaged(_) => return None,
        };
        let time_ns = match &**entry {
            Entry::Clock { realtime_offset_ns } => {
                self.realtime_offset_ns = *realtime_offset_ns;
                return None;
            }
            Entry::Event(event) => event.time_ns,
            Entry::Tick { time_ns }
            | Entry::Trigger { time_ns, .. }
            | Entry::Repeats { time_ns, .. }
            | Entry::Open { time_ns, .. } => *time_ns,
            Entry::Node(facts) => facts.time_ns,
            Entry::Sample(sample) => sample.time_ns,
            Entry::Cgroup { .. }
            | Entry::Reply { .. }
            | Entry::Loss(_)
            | Entry::Detached(_)
            | Entry::End { .. } => return None,
        };
        Some(clock::time_of_day(time_ns, self.realtime_offset_ns))
    }
}
