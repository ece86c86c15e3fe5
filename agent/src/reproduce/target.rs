//! The machine whose state is a target of `--like`: read from a saved state, a copy of its `/proc/buddyinfo`, a
//! capture, or the store of `serve`.
use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use fragwatch_core::model::{
    entry::{self, Entry},
    node::NodeZone,
    sample::Sample,
};
use fragwatch_recorder::store::read::{Item, Reader};
use fragwatch_states::like::State;

use crate::capture::{CaptureItem, CaptureReader};

/// Longer files are no copies of /proc/buddyinfo.
const MAX_TEXT: u64 = 16 << 20;

/// Reads the state of a machine.
///
/// # Errors
/// If the file can't be read or holds no state.
pub(super) fn read(path: &Path) -> anyhow::Result<State> {
    let shown = path.display();
    let cannot = || format!("could not read {shown}");
    if fs::metadata(path).with_context(cannot)?.is_dir() {
        return of_store(path).with_context(|| format!("{shown} holds no state of a machine"));
    }
    let mut file = File::open(path).with_context(cannot)?;
    let is_capture = begins_as_capture(&mut file).with_context(cannot)?;
    let state = if is_capture {
        of_capture(file)
    } else {
        let mut text = Vec::new();
        file.take(MAX_TEXT).read_to_end(&mut text).with_context(cannot)?;
        State::parse(&String::from_utf8_lossy(&text))
    };
    state.with_context(|| format!("{shown} is not the state of a machine"))
}

/// Whether its first line is the header of a capture; then it is at its beginning again.
fn begins_as_capture(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(256).read_to_end(&mut start)?;
    file.rewind()?;
    let header = format!("\"format\":\"{}\"", entry::FORMAT);
    Ok(String::from_utf8_lossy(&start).contains(&header))
}

fn of_capture(file: File) -> anyhow::Result<State> {
    let (header, mut reader) = CaptureReader::open(Box::new(file))?;
    let mut found = Found { kernel: Some(header.kernel), ..Found::default() };
    loop {
        match reader.next_item().context("it could not be read further")? {
            CaptureItem::Header(header) => found.kernel = Some(header.kernel),
            CaptureItem::Entry(entry) => found.take(*entry),
            CaptureItem::Damaged { .. } => {}
            CaptureItem::Truncated | CaptureItem::End => return found.into_state(),
        }
    }
}

fn of_store(directory: &Path) -> anyhow::Result<State> {
    let mut reader = Reader::open(directory)?;
    let mut found = Found::default();
    while let Some(item) = reader.next_item() {
        match item {
            Item::Run(header) => found.kernel = Some(header.kernel),
            Item::Entry(entry) => found.take(*entry),
            Item::Damaged(_) => {}
        }
    }
    found.into_state()
}

/// What a capture has of the node's free blocks.
#[derive(Default)]
struct Found {
    kernel: Option<String>,
    /// The last sample before the flight recorder's last trigger, such as a failure.
    before_trigger: Option<Sample>,
    /// The last sample.
    last: Option<Sample>,
    /// The zones of the node's facts, which `trace` reads after a failure.
    facts: Vec<NodeZone>,
}

impl Found {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Sample(sample) => self.last = Some(sample),
            Entry::Trigger { .. } => self.before_trigger.clone_from(&self.last),
            Entry::Node(facts) if !facts.zones.is_empty() => self.facts = facts.zones,
            _ => {}
        }
    }

    fn into_state(self) -> anyhow::Result<State> {
        let zones = match self.before_trigger.or(self.last) {
            Some(sample) => sample
                .zones
                .into_iter()
                .map(|zone| NodeZone {
                    node: zone.node,
                    name: zone.name,
                    blocks: zone.blocks,
                    ..NodeZone::default()
                })
                .collect(),
            None => self.facts,
        };
        if zones.is_empty() {
            bail!(
                "it is a capture, but has neither a sample of memory nor the free blocks after a failure: \
                 take one that `serve` recorded"
            );
        }
        State::of(self.kernel, zones)
    }
}

#[cfg(test)]
mod tests {
    use fragwatch_core::model::{sample::SampleZone, trigger::Trigger};

    use super::*;

    fn sample(time_ns: u64, blocks: &[u64]) -> Entry {
        let zone = |name: &str, blocks: &[u64]| SampleZone {
            name: name.to_owned(),
            blocks: blocks.to_vec(),
            ..SampleZone::default()
        };
        let zones = vec![zone("DMA", &[0, 0, 0, 9]), zone("Normal", blocks)];
        Entry::Sample(Sample { time_ns, zones, ..Sample::default() })
    }

    #[test]
    fn target_is_what_was_there_before_the_failure() {
        let mut found = Found::default();
        found.take(sample(1, &[500, 100, 50]));
        found.take(sample(2, &[400, 10]));
        found.take(Entry::Trigger { time_ns: 3, reason: Trigger::Creation });
        found.take(sample(4, &[900, 300, 80]));
        let state = found.into_state().expect("there are samples");
        assert_eq!(state.scaled(u64::MAX), [400, 10]);
    }

    #[test]
    fn last_sample_is_the_target_without_a_failure() {
        let mut found = Found::default();
        found.take(sample(1, &[500, 100, 50]));
        found.take(sample(2, &[400, 10, 7]));
        assert_eq!(found.into_state().expect("there are samples").scaled(u64::MAX), [400, 10, 7]);
    }

    #[test]
    fn captures_of_this_repository_are_read_or_refused() {
        let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
        let state = read(&captures.join("6.12-order6.jsonl")).expect("it has the node's facts");
        assert_eq!(state.kernel.as_deref().map(|kernel| &kernel[..5]), Some("6.12."));
        assert!(state.scaled(u64::MAX).len() <= 6);
        let healthy = read(&captures.join("6.12-healthy.jsonl")).map(drop);
        let error = format!("{:#}", healthy.expect_err("nothing failed, and nothing was sampled"));
        assert!(error.contains("neither a sample of memory nor"), "{error}");
        assert!(read(&captures).is_err(), "a directory that is no store");
    }
}
