//! The zones that a failed allocation could have used, read from its `alloc_context`.
//!
//! Each zone is a run of one program, which then calls itself for the next: a loop over them would
//! make Linux 5.10's verifier go through more than the million instructions that it allows. What
//! can be read is read without a branch: errors are gathered, and sense is made of it in the agent.
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use fragwatch_ebpf::{ABSENT, AREAS_LEN, Kind, ZoneRead};

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

/// Where the walk over an allocation's zones stands. It lies in the thread's slot, since each zone
/// is read by a program of its own.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Walk {
    /// The `struct zoneref` to look at next; 0 if no walk is under way.
    zoneref: u64,
    /// `alloc_context.nodemask`
    nodemask: u64,
    /// `alloc_context.highest_zoneidx`
    highest: u32,
    /// Zones recorded so far.
    pub(crate) count: u32,
    /// When the failure was noticed.
    pub(crate) failure_ns: u64,
    /// gfp mask of the allocation that failed.
    pub(crate) gfp: u32,
    /// Its order.
    pub(crate) order: u32,
}

impl Walk {
    /// No walk is under way.
    pub(crate) const NONE: Self =
        Self { zoneref: 0, nodemask: 0, highest: 0, count: 0, failure_ns: 0, gfp: 0, order: 0 };

    /// Begins where `for_each_zone_zonelist_nodemask` would: at the first entry of
    /// `ac->zonelist`. Does nothing if the zones can't be read.
    #[inline(always)]
    pub(crate) fn begin(&mut self, alloc_context: u64) {
        self.zoneref = 0;
        self.count = 0;
        if ZONES_READABLE.load() == 0 || alloc_context == 0 {
            return;
        }
        let mut list = 0u64;
        let errors = read_into(&mut list, alloc_context, AC_ZONELIST.load())
            | read_into(&mut self.nodemask, alloc_context, AC_NODEMASK.load())
            | read_into(&mut self.highest, alloc_context, AC_HIGHEST_ZONEIDX.load());
        if errors == 0 {
            self.zoneref = list + u64::from(ZONELIST_ZONEREFS.load());
        }
    }

    /// Looks at one entry: records its zone if that is up to `highest` and on a node of
    /// `nodemask`. No lock is taken.
    #[inline(always)]
    pub(crate) fn step(&mut self, creation: u64) -> Step {
        let (mut zone, mut index) = (0u64, 0u32);
        let errors = read_into(&mut zone, self.zoneref, ZONEREF_ZONE.load())
            | read_into(&mut index, self.zoneref, ZONEREF_IDX.load());
        if self.zoneref == 0 || errors != 0 {
            return Step::Stopped;
        }
        if zone == 0 {
            return Step::Complete;
        }
        self.zoneref += u64::from(ZONEREF_SIZE.load());
        if index <= self.highest && in_nodemask(self.nodemask, node_of(zone)) {
            record_zone(zone, index, self.highest, self.failure_ns, creation);
            self.count += 1;
        }
        Step::More
    }
}

/// What a step of the walk came to.
pub(crate) enum Step {
    /// There may be more zones.
    More,
    /// The list has ended: every zone in reach was looked at.
    Complete,
    /// The list can't be read, or not any further.
    Stopped,
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
