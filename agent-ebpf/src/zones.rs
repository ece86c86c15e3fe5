//! The zones that a failed allocation could have used, read from its `alloc_context`.
use aya_ebpf::helpers::bpf_probe_read_kernel_str;
use fragwatch_ebpf::{ABSENT, AllocationFailed, MAX_ORDERS, MAX_ZONES, Zone};

use crate::kernel::{
    self, AC_HIGHEST_ZONEIDX, AC_MIGRATETYPE, AC_NODEMASK, AC_ZONELIST, FREE_AREA_LISTS,
    FREE_AREA_NR_FREE, FREE_AREA_SIZE, ORDINARY_MIGRATETYPES, PGDAT_NODE_ID, ZONE_FREE_AREA,
    ZONE_FREE_CMA, ZONE_FREE_PAGES, ZONE_LOWMEM_RESERVE, ZONE_MANAGED, ZONE_NAME, ZONE_ORDERS,
    ZONE_PGDAT, ZONE_RESERVED_HIGHATOMIC, ZONE_WATERMARK, ZONE_WATERMARK_BOOST, ZONELIST_ZONEREFS,
    ZONEREF_IDX, ZONEREF_SIZE, ZONEREF_ZONE,
};

/// Zonerefs looked at: zones out of reach stand among those in reach.
const MAX_ZONEREFS: u32 = 64;
/// Size of `struct list_head`, and of a pointer and a long, on every 64-bit kernel.
const LIST_HEAD: u32 = 16;
const WORD: u32 = 8;

/// Walks `ac->zonelist` as `for_each_zone_zonelist_nodemask` does: zones up to
/// `ac->highest_zoneidx` on nodes of `ac->nodemask`. No lock is taken.
#[inline(always)]
pub(crate) fn record(alloc_context: u64, into: &mut AllocationFailed) {
    into.zone_count = 0;
    into.zones_read = 0;
    into.zones_truncated = 0;
    into.migratetype = kernel::read(alloc_context, AC_MIGRATETYPE.load()).unwrap_or(-1);
    into.highest_zone = kernel::read(alloc_context, AC_HIGHEST_ZONEIDX.load()).unwrap_or(-1);
    let Some(list) = kernel::read::<u64>(alloc_context, AC_ZONELIST.load()) else { return };
    let Some(nodemask) = kernel::read::<u64>(alloc_context, AC_NODEMASK.load()) else { return };
    if into.highest_zone < 0 || ZONELIST_ZONEREFS.load() == ABSENT || ZONEREF_SIZE.load() == ABSENT
    {
        return;
    }
    let highest = into.highest_zone as u32;
    let order = into.order;
    let mut zoneref = list + u64::from(ZONELIST_ZONEREFS.load());
    for _ in 0..MAX_ZONEREFS {
        let Some(zone) = kernel::read::<u64>(zoneref, ZONEREF_ZONE.load()) else { return };
        if zone == 0 {
            into.zones_read = 1;
            return;
        }
        let Some(index) = kernel::read::<u32>(zoneref, ZONEREF_IDX.load()) else { return };
        zoneref += u64::from(ZONEREF_SIZE.load());
        if index > highest {
            continue;
        }
        let node = kernel::read::<u64>(zone, ZONE_PGDAT.load())
            .and_then(|pgdat| kernel::read::<i32>(pgdat, PGDAT_NODE_ID.load()))
            .unwrap_or(-1);
        if !in_nodemask(nodemask, node) {
            continue;
        }
        let used = into.zone_count as usize;
        if used >= MAX_ZONES {
            into.zones_truncated = 1;
            into.zones_read = 1;
            return;
        }
        into.zone_count += 1;
        record_zone(zone, index, node, highest, order, &mut into.zones[used]);
    }
    into.zones_truncated = 1;
    into.zones_read = 1;
}

/// Whether `nodemask` (NULL: every node) has `node`. What can't be read counts as having it: a
/// zone too many is seen, a zone too few would hide one that could have served.
#[inline(always)]
fn in_nodemask(nodemask: u64, node: i32) -> bool {
    if nodemask == 0 || node < 0 {
        return true;
    }
    let node = node as u32;
    kernel::read::<u64>(nodemask, node / 64 * WORD).is_none_or(|word| word >> (node % 64) & 1 == 1)
}

#[inline(always)]
fn record_zone(zone: u64, index: u32, node: i32, highest: u32, order: u32, into: &mut Zone) {
    let mut incomplete = 0;
    let mut word = |offset: u32| {
        kernel::read::<u64>(zone, offset).unwrap_or_else(|| {
            incomplete = 1;
            0
        })
    };
    into.node = node;
    into.index = index;
    into.free = word(ZONE_FREE_PAGES.load());
    into.managed = word(ZONE_MANAGED.load());
    // `min_wmark_pages()`: _watermark[WMARK_MIN] is the first of the array.
    into.min_watermark = word(ZONE_WATERMARK.load()) + word(ZONE_WATERMARK_BOOST.load());
    into.lowmem_reserve = match ZONE_LOWMEM_RESERVE.load() {
        ABSENT => word(ABSENT),
        start => word(start + highest * WORD),
    };
    into.reserved_highatomic = word(ZONE_RESERVED_HIGHATOMIC.load());
    // Kernels without CMA don't have the counter, and lose nothing by it.
    into.free_cma = kernel::read(zone, ZONE_FREE_CMA.load()).unwrap_or(0);

    into.name[0] = 0;
    let name = kernel::read::<u64>(zone, ZONE_NAME.load()).unwrap_or(0);
    // SAFETY: the helper checks the address, ends the string with NUL and cuts what is longer.
    if unsafe { bpf_probe_read_kernel_str(name as *const u8, &mut into.name) }.is_err() {
        incomplete = 1;
    }
    if !record_blocks(zone, order, into) {
        incomplete = 1;
    }
    into.incomplete = incomplete;
    into.reserved = 0;
}

/// Free blocks per order. False if something could not be read.
#[inline(always)]
fn record_blocks(zone: u64, order: u32, into: &mut Zone) -> bool {
    into.orders = 0;
    into.usable_orders = 0;
    let (start, size, nr_free) =
        (ZONE_FREE_AREA.load(), FREE_AREA_SIZE.load(), FREE_AREA_NR_FREE.load());
    if start == ABSENT || size == ABSENT || nr_free == ABSENT {
        return false;
    }
    let mut whole = true;
    for o in 0..MAX_ORDERS as u32 {
        if o >= ZONE_ORDERS.load() {
            break;
        }
        let area = zone + u64::from(start) + u64::from(o * size);
        let blocks = kernel::read::<u64>(area, nr_free);
        whole &= blocks.is_some();
        let blocks = blocks.unwrap_or(0);
        into.blocks[o as usize] = blocks as u32;
        into.orders = o + 1;
        if o >= order && blocks != 0 && has_ordinary_block(area) {
            into.usable_orders |= 1 << o;
        }
    }
    whole
}

/// Whether one of the free lists that any allocation may take from holds a block: an empty list's
/// head points to itself.
#[inline(always)]
fn has_ordinary_block(area: u64) -> bool {
    let (lists, types) = (FREE_AREA_LISTS.load(), ORDINARY_MIGRATETYPES.load());
    if lists == ABSENT || types == ABSENT {
        // Not known to be reserved: count it as usable rather than call it fragmentation.
        return true;
    }
    for migratetype in 0..4 {
        if migratetype >= types {
            break;
        }
        let head = area + u64::from(lists + migratetype * LIST_HEAD);
        if kernel::read::<u64>(head, 0).is_none_or(|next| next != head) {
            return true;
        }
    }
    false
}
