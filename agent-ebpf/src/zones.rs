//! The zones that a failed allocation could have used: those of its gfp mask on the nodes of its nodemask, in
//! the order of the zonelist of the CPU's node.
//!
//! Each zone is a run of one program, which then calls itself for the next: a loop over them would
//! make Linux 5.10's verifier go through more than the million instructions that it allows. What
//! can be read is read without a branch: errors are gathered, and sense is made of it in the agent.
use aya_ebpf::{helpers::generated::bpf_get_numa_node_id, programs::ProbeContext};
use fragwatch_ebpf::{ORDERS, ORDINARY_LISTS, ZoneRead, table::ABSENT};

use crate::{
    emit::emit_at,
    kernel::{
        self, AREA_LISTS, AREA_NR_FREE, AREA_SIZE, GFP_THISNODE, OC_NODEMASK, OC_ZONELIST,
        PGDAT_NODE_ID, PGDAT_ZONELISTS, ZONE_FREE_AREA, ZONE_FREE_CMA, ZONE_FREE_PAGES,
        ZONE_LOWMEM_RESERVE, ZONE_MANAGED, ZONE_NAME, ZONE_PGDAT, ZONE_RESERVED_HIGHATOMIC,
        ZONE_TYPE_DMA, ZONE_TYPE_DMA32, ZONE_TYPE_MOVABLE, ZONE_TYPE_NORMAL, ZONE_WATERMARK,
        ZONE_WATERMARK_BOOST, ZONELIST_SIZE, ZONELIST_ZONEREFS, ZONEREF_IDX, ZONEREF_SIZE,
        ZONEREF_ZONE, ZONES_READABLE, read_into, read_str,
    },
    maps::{NODES, ZONE_WALK},
    state::Walk,
};

/// Size of a pointer and a long on every 64-bit kernel.
const WORD: u64 = 8;

/// Bits of a gfp mask that say which zones may serve; they have never moved.
const GFP_DMA: u32 = 1;
const GFP_HIGHMEM_MOVABLE: u32 = 2 | 8;
const GFP_DMA32: u32 = 4;

/// `gfp_zone` on 64-bit kernels (include/linux/gfp.h): the highest zone that a mask may take from.
/// [`ABSENT`] if this kernel's zones are not known.
#[inline(always)]
fn highest_zone(gfp: u32) -> u32 {
    let normal = ZONE_TYPE_NORMAL.load();
    let or_normal = |zone: u32| if zone == ABSENT { normal } else { zone };
    if gfp & GFP_HIGHMEM_MOVABLE == GFP_HIGHMEM_MOVABLE {
        or_normal(ZONE_TYPE_MOVABLE.load())
    } else if gfp & GFP_DMA != 0 {
        or_normal(ZONE_TYPE_DMA.load())
    } else if gfp & GFP_DMA32 != 0 {
        or_normal(ZONE_TYPE_DMA32.load())
    } else {
        normal
    }
}

/// `node_zonelist` (include/linux/gfp.h) of the node that this CPU is on: with `__GFP_THISNODE` its zones
/// alone, else those of all nodes, its own first. An allocation for another node would begin with that one's.
/// NULL if the nodes are not known.
#[inline(always)]
fn node_zonelist(gfp: u32) -> u64 {
    // SAFETY: the helper takes nothing and can't fail.
    let node = unsafe { bpf_get_numa_node_id() } as u32;
    let Some(pgdat) = NODES.get(node) else { return 0 };
    if *pgdat == 0 {
        return 0;
    }
    let lists = pgdat + u64::from(PGDAT_ZONELISTS.load());
    // ZONELIST_NOFALLBACK comes second. Unset, the flag has bits that no mask has.
    let this_node = GFP_THISNODE.load();
    lists + if gfp & this_node == this_node { u64::from(ZONELIST_SIZE.load()) } else { 0 }
}

impl Walk {
    /// Begins where `for_each_zone_zonelist_nodemask` would: at the first entry of the zonelist. Does nothing
    /// if the zones can't be read.
    #[inline(always)]
    pub(crate) fn begin(&mut self, gfp: u32, nodemask: u64) {
        self.zoneref = 0;
        self.count = 0;
        self.oom_control = 0;
        self.stall = 0;
        self.nodemask = nodemask;
        self.highest = highest_zone(gfp);
        let list = node_zonelist(gfp);
        if ZONES_READABLE.load() != 0 && list != 0 && self.highest != ABSENT {
            self.zoneref = list + u64::from(ZONELIST_ZONEREFS.load());
        }
    }

    /// Begins with what the OOM killer is asked for. Its `oom_control` has no `highest_zoneidx`: that
    /// comes from the mask. Without a list (a page fault's call) there is nothing to walk.
    #[inline(always)]
    pub(crate) fn begin_oom(&mut self, oom_control: u64, gfp: u32) {
        self.zoneref = 0;
        self.count = 0;
        self.stall = 0;
        self.oom_control = oom_control;
        self.highest = highest_zone(gfp);
        let list = kernel::read_or_zero::<u64>(oom_control, OC_ZONELIST.load());
        let nodemask = kernel::read::<u64>(oom_control, OC_NODEMASK.load());
        if let Some(nodemask) = nodemask
            && ZONES_READABLE.load() != 0
            && list != 0
            && self.highest != ABSENT
        {
            self.nodemask = nodemask;
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

/// Hands over to the program that reads a zone; comes back only if that can't be done.
#[inline(always)]
pub(crate) fn walk(ctx: &ProbeContext) {
    // SAFETY: nothing here waits to be dropped: all that is held is in the thread's slot.
    unsafe { ZONE_WALK.tail_call(ctx, 0) };
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
    emit_at::<ZoneRead>(creation, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the areas' rest is never read.
        let into = unsafe { &mut *record };
        into.head = head;
        into.failure_ns = failure_ns;
        into.node = node_of(zone);
        into.index = index;
        let reserve = zone.wrapping_add(u64::from(highest) * WORD);
        let mut errors = read_into(&mut into.free, zone, ZONE_FREE_PAGES.load());
        errors |= read_into(&mut into.managed, zone, ZONE_MANAGED.load());
        // WMARK_MIN is the first of the array, WMARK_HIGH the third.
        errors |= read_into(&mut into.min_watermark, zone, ZONE_WATERMARK.load());
        let third = zone.wrapping_add(2 * WORD);
        errors |= read_into(&mut into.high_watermark, third, ZONE_WATERMARK.load());
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
        errors |= read_areas(into, zone.wrapping_add(u64::from(ZONE_FREE_AREA.load())));
        into.errors = errors;
        into.reserved = 0;
    });
}

/// Size of `struct list_head`; `next` is its first word.
const LIST_HEAD: u64 = 16;

/// Reads the free blocks of each order in the array of free areas, and of which orders a block lies on a list
/// that every allocation may take from. The head of an empty list points to itself.
#[inline(always)]
fn read_areas(into: &mut ZoneRead, at: u64) -> i64 {
    let (mut errors, mut area) = (0, at);
    for order in 0..ORDERS {
        let mut free = 0u64;
        errors |= read_into(&mut free, area, AREA_NR_FREE.load());
        into.blocks[order] = free as u32;
        let mut heads = [0u64; 2 * ORDINARY_LISTS];
        errors |= read_into(&mut heads, area, AREA_LISTS.load());
        let first = area.wrapping_add(u64::from(AREA_LISTS.load()));
        let mut linked = 0;
        for list in 0..ORDINARY_LISTS {
            linked |= heads[2 * list] ^ first.wrapping_add(list as u64 * LIST_HEAD);
        }
        // All of its bits in eight. A comparison would be a branch for each order.
        linked |= linked >> 32;
        linked |= linked >> 16;
        into.listed[order] = (linked | linked >> 8) as u8;
        area = area.wrapping_add(u64::from(AREA_SIZE.load()));
    }
    errors
}
