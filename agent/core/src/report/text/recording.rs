//! The samples around a failure, as a row per zone and point.
use jiff::{Timestamp, tz::TimeZone};

use super::{BOLD, Block, kib, micros, paint};
use crate::{
    model::{log_time::Wall, trigger::Trigger},
    report::line::{
        recording::{Counted, Point, PointZone, Recording},
        time::Time,
    },
    units::{self, grouped, printable},
};

/// Zones that are shown, those with most free memory.
const MAX_ZONES: usize = 2;

/// The recording; times of day in `zone`.
pub(super) fn block(recording: &Recording, zone: &TimeZone) -> Block {
    let clock = |time: Time| clock(time, zone);
    let mut block = Block::new(format!(
        "{} {} {} samples from {} to {}: {}",
        clock(recording.time),
        paint(BOLD, "RECORDED"),
        grouped(recording.samples),
        clock(recording.from),
        clock(recording.until),
        why(recording.trigger),
    ));
    if let Some(counted) = &recording.counted {
        block.row("counted", &counts(counted));
    }
    if let Some(waited) = recording.waited_us.filter(|waited| *waited != 0) {
        block.row(
            "waited",
            &format!("{} in which at least one task waited for memory", micros(waited)),
        );
    }
    let zones = zones(&recording.points);
    if !zones.is_empty() {
        block.row("zones", "free memory, and free blocks of order 0, 1, 2 and so on");
    }
    for (label, name, node) in zones {
        let mut label = label.as_str();
        for point in &recording.points {
            let found = point.zones.iter().find(|zone| zone.name == name && zone.node == node);
            if let Some(zone) = found {
                block.row(label, &format!("{} {}", clock(point.time), free(zone)));
                label = "";
            }
        }
    }
    let cgroups = |point: Option<&Point>| point.and_then(|point| point.memory_cgroups);
    let (first, last) = (recording.points.first(), recording.points.last());
    if let (Some(first), Some(last)) = (cgroups(first), cgroups(last)) {
        let now = units::memory_cgroups(last.count, last.at_most, last.dying, last.max);
        block.row("cgroups", &format!("{} at first, then {now}", grouped(first.count)));
    }
    block
}

/// Labels, names and nodes of the zones that are shown, in the kernel's order.
fn zones(points: &[Point]) -> Vec<(String, String, u32)> {
    let Some(first) = points.first() else { return Vec::new() };
    let mut sizes: Vec<u64> = first.zones.iter().map(|zone| zone.free_kib).collect();
    sizes.sort_unstable();
    let least = sizes.iter().rev().nth(MAX_ZONES - 1).copied().unwrap_or_default();
    let shown = first.zones.iter().filter(|zone| zone.free_kib >= least).take(MAX_ZONES);
    shown
        .map(|zone| {
            let label = format!("{} {}", printable(&zone.name), zone.node);
            (label, zone.name.clone(), zone.node)
        })
        .collect()
}

fn free(zone: &PointZone) -> String {
    let counts: Vec<String> = zone.free_blocks.iter().map(u64::to_string).collect();
    let below = if zone.above_min_kib < 0 { ", below min" } else { "" };
    format!("{} free{below}: {}", kib(zone.free_kib), counts.join(" "))
}

fn counts(counted: &Counted) -> String {
    let mut parts = vec![
        format!(
            "{} direct compactions ({} without a block)",
            grouped(counted.compactions),
            grouped(counted.failed_compactions)
        ),
        format!("{} direct reclaims", grouped(counted.reclaims)),
        format!("{} OOM kills", grouped(counted.oom_kills)),
    ];
    let fallbacks = counted.fallbacks;
    parts.extend(fallbacks.map(|n| format!("{} blocks taken of another migratetype", grouped(n))));
    parts.join(", ")
}

fn why(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Creation => "a creation failed",
        Trigger::OomKill => "a starting container was killed",
        Trigger::CheckWorse => "free memory became tight",
        Trigger::Signal => "SIGUSR1",
    }
}

/// The time of day, in seconds: samples are no more exact.
fn clock(time: Time, zone: &TimeZone) -> String {
    match time.0 {
        Wall::Timestamp(at) => {
            let at: Timestamp = at;
            at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
        }
        Wall::Civil(_) | Wall::Yearless { .. } => time.to_string(),
    }
}
