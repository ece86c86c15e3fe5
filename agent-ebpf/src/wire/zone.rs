//! The zones that a failed allocation could have used.
use super::Head;

/// Bytes kept of a zone's name, with its NUL ("Movable" is the longest).
pub const ZONE_NAME_LEN: usize = 8;
/// Orders of free blocks on x86-64: `MAX_ORDER`, since 6.8 `NR_PAGE_ORDERS`.
pub const ORDERS: usize = 11;
/// `MIGRATE_PCPTYPES`: how many of the first free lists of an order any allocation may take from.
pub const ORDINARY_LISTS: usize = 3;

/// One zone in reach of an allocation that failed, read locklessly at that moment. One
/// record for each zone comes before the [`AllocationFailed`] that they belong to. All counts are
/// in pages.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct ZoneRead {
    /// Task and time.
    pub head: Head,
    /// [`AllocationFailed::failure_ns`] of the failure that it belongs to.
    pub failure_ns: u64,
    /// `vm_stat[NR_FREE_PAGES]`.
    pub free: u64,
    /// `vm_stat[NR_FREE_CMA_PAGES]`, 0 on kernels without CMA.
    pub free_cma: u64,
    /// `managed_pages`.
    pub managed: u64,
    /// `_watermark[WMARK_MIN]`.
    pub min_watermark: u64,
    /// `_watermark[WMARK_HIGH]`.
    pub high_watermark: u64,
    /// `watermark_boost`, which `min_wmark_pages()` and its like add.
    pub watermark_boost: u64,
    /// `lowmem_reserve` against the highest zone that the allocation could have used.
    pub lowmem_reserve: u64,
    /// `nr_free_highatomic`, on older kernels `nr_reserved_highatomic`.
    pub reserved_highatomic: u64,
    /// NUMA node.
    pub node: i32,
    /// The zone's index in its node.
    pub index: u32,
    /// The zone's name, NUL-terminated.
    pub name: [u8; ZONE_NAME_LEN],
    /// 0 if all could be read; what could not be read stands as 0.
    pub errors: i64,
    /// Free blocks of each order, `free_area.nr_free`.
    pub blocks: [u32; ORDERS],
    /// For each order something else than 0 if a block of it lies on one of the [`ORDINARY_LISTS`].
    pub listed: [u8; ORDERS],
    /// Always 0.
    pub reserved: u8,
}
