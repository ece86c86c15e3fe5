//! The zones that a failed allocation could have used, read from its `alloc_context`.
//!
//! The verifier walks this loop for every zone, so what can be read is read without a branch:
//! errors are gathered, and sense is made of it in the agent.
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use fragwatch_ebpf::{ABSENT, AREAS_LEN, Kind, MAX_ZONEREFS, ZoneRead};

use crate::{
    emit::{emit, head},
    kernel::{
        AC_HIGHEST_ZONEIDX, AC_NODEMASK, AC_ZONELIST, PGDAT_NODE_ID, ZONE_AREAS_LEN,
        ZONE_FREE_AREA, ZONE_FREE_CMA, ZONE_FREE_PAGES, ZONE_LOWMEM_RESERVE, ZONE_MANAGED,
        ZONE_NAME, ZONE_PGDAT, ZONE_RESERVED_HIGHATOMIC, ZONE_WATERMARK, ZONE_WATERMARK_BOOST,
        ZONELIST_ZONEREFS, ZONEREF_IDX, ZONEREF_SIZE, ZONEREF_ZONE, ZONES_READABLE, read_into,
        read_str,
    },
};

/// Size of a pointer and a long on every 64-bit kernel.
const WORD: u64 = 8;

/// What was read.
pub(crate) struct Zones {
    /// Zones in reach, each a record of its own.
    pub(crate) count: u32,
    /// Every zone in reach was looked at.
    pub(crate) complete: bool,
}

/// Walks `ac->zonelist` as `for_each_zone_zonelist_nodemask` does: zones up to
/// `ac->highest_zoneidx` on nodes of `ac->nodemask`. No lock is taken.
#[inline(always)]
pub(crate) fn record(alloc_context: u64, failure_ns: u64, creation: u64) -> Zones {
    let mut zones = Zones { count: 0, complete: false };
    if ZONES_READABLE.load() == 0 || alloc_context == 0 {
        return zones;
    }
    let (mut list, mut mask, mut highest) = (0u64, 0u64, 0u32);
    let errors = read_into(&mut list, alloc_context, AC_ZONELIST.load())
        | read_into(&mut mask, alloc_context, AC_NODEMASK.load())
        | read_into(&mut highest, alloc_context, AC_HIGHEST_ZONEIDX.load());
    if errors != 0 {
        return zones;
    }
    let mut zoneref = list + u64::from(ZONELIST_ZONEREFS.load());
    for _ in 0..MAX_ZONEREFS {
        let (mut zone, mut index) = (0u64, 0u32);
        let errors = read_into(&mut zone, zoneref, ZONEREF_ZONE.load())
            | read_into(&mut index, zoneref, ZONEREF_IDX.load());
        if errors != 0 {
            return zones;
        }
        if zone == 0 {
            zones.complete = true;
            return zones;
        }
        zoneref += u64::from(ZONEREF_SIZE.load());
        if index <= highest && in_nodemask(mask, node_of(zone)) {
            record_zone(zone, index, highest, failure_ns, creation);
            zones.count += 1;
        }
    }
    zones
}

/// The zone's node; a number that no node has if it can't be read.
#[inline(always)]
fn node_of(zone: u64) -> i32 {
    let (mut pgdat, mut node) = (0u64, 0i32);
    let errors = read_into(&mut pgdat, zone, ZONE_PGDAT.load())
        | read_into(&mut node, pgdat, PGDAT_NODE_ID.load());
    // All bits set if there was an error: -1.
    node | (errors >> 63) as i32
}

/// Whether `nodemask` (NULL: every node) has `node`. What can't be read counts as having it: a
/// zone too many is seen, a zone too few would hide one that could have served.
#[inline(always)]
fn in_nodemask(nodemask: u64, node: i32) -> bool {
    let node = node as u64;
    let mut word = 0u64;
    let error = read_into(&mut word, nodemask.wrapping_add(node / 64 * WORD), 0);
    (word >> (node % 64) | error as u64 >> 63) & 1 == 1
}

#[inline(always)]
fn record_zone(zone: u64, index: u32, highest: u32, failure_ns: u64, creation: u64) {
    emit::<ZoneRead>(creation, |record| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the areas' rest is never read.
        let into = unsafe { &mut *record };
        into.head = head(Kind::ZoneRead, creation);
        into.failure_ns = failure_ns;
        into.areas_at = zone.wrapping_add(u64::from(ZONE_FREE_AREA.load()));
        into.node = node_of(zone);
        into.index = index;
        let reserve = zone.wrapping_add(u64::from(highest) * WORD);
        let mut errors = read_into(&mut into.free, zone, ZONE_FREE_PAGES.load());
        errors |= read_into(&mut into.managed, zone, ZONE_MANAGED.load());
        // WMARK_MIN is the first of the array.
        errors |= read_into(&mut into.min_watermark, zone, ZONE_WATERMARK.load());
        errors |= read_into(&mut into.watermark_boost, zone, ZONE_WATERMARK_BOOST.load());
        errors |= read_into(&mut into.lowmem_reserve, reserve, ZONE_LOWMEM_RESERVE.load());
        errors |= read_into(&mut into.reserved_highatomic, zone, ZONE_RESERVED_HIGHATOMIC.load());
        into.free_cma = 0;
        // Kernels without CMA don't count its pages, and lose nothing by it.
        if ZONE_FREE_CMA.load() != ABSENT {
            errors |= read_into(&mut into.free_cma, zone, ZONE_FREE_CMA.load());
        }

        let mut name = 0u64;
        errors |= read_into(&mut name, zone, ZONE_NAME.load());
        // Its length if all went well: only the sign matters.
        errors |= read_str(&mut into.name, name) >> 63;
        errors |= read_areas(&mut into.areas, into.areas_at);
        into.errors = errors;
    });
}

/// Copies the array of free areas whole, so that its orders are of one moment as far as that goes.
#[inline(always)]
fn read_areas(into: &mut [u8; AREAS_LEN], at: u64) -> i64 {
    let len = ZONE_AREAS_LEN.load();
    if len as usize > AREAS_LEN {
        return -1;
    }
    // SAFETY: no more is written than the buffer holds; the helper checks the address.
    unsafe { bpf_probe_read_kernel(into.as_mut_ptr().cast(), len, at as *const _) }
}
