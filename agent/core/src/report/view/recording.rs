//! The samples around a failure.
use jiff::Timestamp;

use super::View;
use crate::{
    clock,
    model::{
        node::MAX_MEMORY_CGROUPS,
        recording::Recording,
        sample::{Fallbacks, Sample, SampleZone, VmCounters},
    },
    report::line::{
        Line,
        node::MemoryCgroups,
        recording::{self as line, Counted, Point, PointZone},
    },
};

/// Samples that are shown.
const POINTS: usize = 7;

impl View {
    /// A recording. `None` if it has no sample.
    pub fn recording(&self, recording: &Recording, realtime_offset_ns: i64) -> Option<Line> {
        let time = |time_ns| -> Timestamp { clock::time_of_day(time_ns, realtime_offset_ns) };
        let (first, last) = (recording.samples.first()?, recording.samples.last()?);
        let waited = |sample: &Sample| sample.pressure.map(|pressure| pressure.some_us);
        let points = shown(&recording.samples, recording.triggered_ns);
        Some(Line::Recording(Box::new(line::Recording {
            time: time(recording.triggered_ns).into(),
            trigger: recording.reason,
            from: time(first.time_ns).into(),
            until: time(last.time_ns).into(),
            samples: recording.samples.len() as u64,
            counted: counted(first, last),
            waited_us: waited(first)
                .zip(waited(last))
                .map(|(first, last)| last.saturating_sub(first)),
            points: points
                .into_iter()
                .map(|sample| self.point(sample, time(sample.time_ns)))
                .collect(),
        })))
    }

    fn point(&self, sample: &Sample, time: Timestamp) -> Point {
        Point {
            time: time.into(),
            zones: sample.zones.iter().map(|zone| self.point_zone(zone)).collect(),
            memory_cgroups: sample.memory_cgroups.map(|cgroups| MemoryCgroups {
                count: cgroups.count,
                at_most: cgroups.at_most,
                dying: cgroups.dying,
                max: MAX_MEMORY_CGROUPS,
            }),
        }
    }

    fn point_zone(&self, zone: &SampleZone) -> PointZone {
        let page_size = self.page_size.cast_signed();
        PointZone {
            node: zone.node,
            name: zone.name.clone(),
            free_kib: self.kib(zone.free()),
            above_min_kib: zone.above_min.saturating_mul(page_size) / 1024,
            free_blocks: zone.blocks.clone(),
        }
    }
}

/// The samples that are shown: evenly spaced, and the last one before the trigger.
fn shown(samples: &[Sample], triggered_ns: u64) -> Vec<&Sample> {
    let last = samples.len().saturating_sub(1);
    let mut shown: Vec<usize> = (0..POINTS).map(|nth| last * nth / (POINTS - 1)).collect();
    shown.extend(samples.iter().rposition(|sample| sample.time_ns <= triggered_ns));
    shown.sort_unstable();
    shown.dedup();
    shown.into_iter().filter_map(|at| samples.get(at)).collect()
}

fn counted(first: &Sample, last: &Sample) -> Option<Counted> {
    let (before, after) = (first.vm?, last.vm?);
    let since = |of: fn(&VmCounters) -> u64| of(&after).saturating_sub(of(&before));
    let fallbacks = first.fallbacks.zip(last.fallbacks);
    Some(Counted {
        compactions: since(|vm| vm.compact_stall),
        failed_compactions: since(|vm| vm.compact_fail),
        reclaims: since(|vm| vm.allocstall),
        oom_kills: since(|vm| vm.oom_kill),
        fallbacks: fallbacks.map(|(before, after)| total(after).saturating_sub(total(before))),
    })
}

fn total(fallbacks: Fallbacks) -> u64 {
    fallbacks.counts.iter().flatten().fold(0, |sum: u64, count| sum.saturating_add(*count))
}
