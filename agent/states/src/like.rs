//! Fragmentation as a target: that of a machine, read from its `/proc/buddyinfo` or from a saved state.
use anyhow::{Context as _, Result, bail};
use fragwatch_core::model::node::NodeZone;
use serde::{Deserialize, Serialize};

use crate::zones;

/// What a file with a saved state begins with.
const FORMAT: &str = "fragwatch-state";
/// The version of that format.
const FORMAT_VERSION: u32 = 1;

/// The free blocks of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The name of the format.
    pub format: String,
    /// Its version.
    pub format_version: u32,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// All zones that have memory.
    pub zones: Vec<NodeZone>,
}

impl State {
    /// The state that this machine is in now.
    pub fn now() -> Result<Self> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        Self::of(release.ok().map(|text| text.trim().to_owned()), zones::read()?)
    }

    /// The state of a machine with these zones.
    ///
    /// # Errors
    /// If they have no free block.
    pub fn of(kernel: Option<String>, zones: Vec<NodeZone>) -> Result<Self> {
        let format = FORMAT.to_owned();
        Self { format, format_version: FORMAT_VERSION, kernel, zones }.with_blocks()
    }

    /// Reads what a file holds: a saved state, or a copy of `/proc/buddyinfo`, alone or with
    /// `/proc/zoneinfo` before or after it.
    ///
    /// # Errors
    /// If it holds neither.
    pub fn parse(text: &str) -> Result<Self> {
        if text.trim_start().starts_with('{') {
            let state: Self = serde_json::from_str(text)
                .context("it is JSON, but no state that `reproduce --save` wrote")?;
            if state.format != FORMAT || state.format_version != FORMAT_VERSION {
                bail!(
                    "it is a {} of version {}, and this fragwatch reads {FORMAT} of version \
                     {FORMAT_VERSION}",
                    state.format,
                    state.format_version
                );
            }
            return state.with_blocks();
        }
        let of_zoneinfo = zones::parse(text, text);
        let zones = if of_zoneinfo.is_empty() { zones::parse_buddyinfo(text) } else { of_zoneinfo };
        if zones.iter().any(|zone| zone.free != 0)
            && zones.iter().all(|zone| zone.blocks.is_empty())
        {
            bail!(
                "it is a copy of /proc/zoneinfo, which has no free blocks per order: add /proc/buddyinfo \
                 of the same machine (cat /proc/zoneinfo /proc/buddyinfo)"
            );
        }
        Self::of(None, zones)
    }

    fn with_blocks(self) -> Result<Self> {
        if zones::blocks(&self.zones).iter().all(|count| *count == 0) {
            bail!(
                "it holds no free blocks: neither a state that `reproduce --save` wrote, nor a copy of \
                 /proc/buddyinfo, nor a capture"
            );
        }
        Ok(self)
    }

    /// Its free blocks per order, from order 0, without those of the zone for old devices, which the
    /// kernel keeps to itself: as many of them as `pages` pages are, in the same proportions.
    pub fn scaled(&self, pages: u64) -> Vec<u64> {
        let blocks = zones::blocks(&self.zones);
        // A file may hold any numbers.
        let each =
            blocks.iter().enumerate().map(|(order, count)| u128::from(*count) << order.min(40));
        let all: u128 = each.sum();
        let scale = |count: &u64| {
            if all > u128::from(pages) {
                (u128::from(*count) * u128::from(pages) / all) as u64
            } else {
                *count
            }
        };
        let mut scaled: Vec<u64> = blocks.iter().map(scale).collect();
        while scaled.last() == Some(&0) {
            scaled.pop();
        }
        scaled
    }
}

/// Pages in blocks of all orders.
pub fn free_pages(blocks: &[u64]) -> u64 {
    let pages =
        blocks.iter().enumerate().take(40).map(|(order, count)| count.saturating_mul(1 << order));
    pages.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCIDENT: &str =
        include_str!("../../../tests/fixtures/incidents/2019-tke-order6-buddyinfo.txt");

    #[test]
    fn incident_is_a_target() {
        let state = State::parse(INCIDENT).expect("it is a copy of /proc/buddyinfo");
        assert_eq!(state.scaled(u64::MAX), [3888, 1725, 1421, 400]);
        // A quarter of its pages.
        let quarter = state.scaled(free_pages(&[3888, 1725, 1421, 400]) / 4);
        assert_eq!(quarter, [971, 431, 355, 99]);
    }

    #[test]
    fn any_numbers_are_scaled() {
        let text = format!("Node 0, zone Normal {0} {0} {0}\n", u64::MAX);
        let state =
            State::parse(&format!("{text}{text}")).expect("it is a copy of /proc/buddyinfo");
        assert_eq!(state.scaled(7000), [1000, 1000, 1000]);
    }

    #[test]
    fn saved_state_is_read_again() {
        let state = State::parse(INCIDENT).expect("it is a copy of /proc/buddyinfo");
        let json = serde_json::to_string_pretty(&state).expect("it is JSON");
        assert_eq!(State::parse(&json).expect("it was just saved"), state);
    }

    #[test]
    fn zoneinfo_adds_watermarks_to_the_blocks() {
        let node = |name: &str| {
            let path = format!("../../tests/fixtures/nodes/6.12-fragmented/proc/{name}");
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let (zoneinfo, buddyinfo) = (node("zoneinfo"), node("buddyinfo"));
        for text in [format!("{zoneinfo}{buddyinfo}"), format!("{buddyinfo}{zoneinfo}")] {
            let state = State::parse(&text).expect("it has free blocks");
            assert_eq!(state.zones, zones::parse(&zoneinfo, &buddyinfo));
            assert!(state.zones.iter().any(|zone| zone.min != 0));
        }
        let error = State::parse(&zoneinfo).expect_err("it has no free blocks").to_string();
        assert!(error.contains("add /proc/buddyinfo"), "{error}");
    }

    #[test]
    fn other_files_are_refused() {
        for text in
            ["", "{}", "{\"format\":\"fragwatch-capture\"}", "hello", "Node 0, zone DMA32 0 0 0"]
        {
            assert!(State::parse(text).is_err(), "{text}");
        }
    }
}
