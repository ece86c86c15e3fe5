//! Which bit is which in which kernel: for kernels whose BTF does not say, and for logs.
//!
//! Bits and compound masks are those of include/linux/gfp.h (gfp_types.h from 6.0 on):
//! - 5.10.0-46, 6.1.0-56, 6.12.117 and 7.2.13: Debian's headers, read whole.
//! - 3.10 to 6.8: the definitions in each mainline release's header; a release that is not named
//!   in [`TABLES`] has those of the one before it. 6.9 turned them into an enum without moving one,
//!   and 6.12 and 7.2 have the same.
//! - 2.6.32 and 3.0: their headers, and the patches that added bits until 3.10.
//! - el7: two headers differ in the name of bit 20, and the builds 514 (`__GFP_KMEMCG`) and 1160
//!   (`__GFP_ACCOUNT`) are the last and the first of which it is known. el8 has 4.18's, as masks
//!   with names in its logs show. Of el9 only what 5.14 and the later kernels that it took its mm
//!   from have in common is named.
//!
//! Bits that are set with CONFIG_LOCKDEP or CONFIG_KASAN_HW_TAGS alone, and bits whose place
//! depends on the configuration (`__GFP_NO_OBJ_EXT`), have no name here.

use crate::model::kernel_version::KernelVersion;

/// Names of the bits, from bit 0 on, without `__GFP_`; `-` has no name.
type Bits = &'static str;
/// A name and the masks that it is made of; those after a `!` are taken out again.
pub(super) type Compound = (&'static str, &'static str);

/// The bits of a range of kernels.
#[derive(Debug)]
pub(super) struct Table {
    /// First and last release, major and minor. `(2, 6)` stands for 2.6.31 and later.
    pub(super) releases: ((u32, u32), (u32, u32)),
    /// See [`Bits`].
    pub(super) bits: Bits,
    /// What compound names mean, one list after another; a later one replaces an earlier one.
    pub(super) compounds: &'static [&'static [Compound]],
    /// What the kernel calls a mask of 0.
    pub(super) zero: &'static str,
}

/// Until 4.3.
const WAIT: &[Compound] = &[
    ("GFP_ATOMIC", "__GFP_HIGH"),
    ("GFP_NOIO", "__GFP_WAIT"),
    ("GFP_NOFS", "__GFP_WAIT __GFP_IO"),
    ("GFP_KERNEL", "__GFP_WAIT __GFP_IO __GFP_FS"),
    ("GFP_TEMPORARY", "GFP_KERNEL __GFP_RECLAIMABLE"),
    (
        "GFP_TRANSHUGE",
        "GFP_HIGHUSER_MOVABLE __GFP_COMP __GFP_NOMEMALLOC __GFP_NORETRY __GFP_NOWARN __GFP_NO_KSWAPD",
    ),
];

/// At all times.
const COMMON: &[Compound] = &[
    ("GFP_KERNEL_ACCOUNT", "GFP_KERNEL __GFP_ACCOUNT"),
    ("GFP_USER", "GFP_KERNEL __GFP_HARDWALL"),
    ("GFP_HIGHUSER", "GFP_USER __GFP_HIGHMEM"),
    ("GFP_HIGHUSER_MOVABLE", "GFP_HIGHUSER __GFP_MOVABLE"),
    ("GFP_DMA", "__GFP_DMA"),
    ("GFP_DMA32", "__GFP_DMA32"),
];

/// From 4.4 on.
const RECLAIM: &[Compound] = &[
    ("__GFP_RECLAIM", "__GFP_DIRECT_RECLAIM __GFP_KSWAPD_RECLAIM"),
    ("GFP_ATOMIC", "__GFP_HIGH __GFP_ATOMIC __GFP_KSWAPD_RECLAIM"),
    ("GFP_NOWAIT", "__GFP_KSWAPD_RECLAIM"),
    ("GFP_NOIO", "__GFP_RECLAIM"),
    ("GFP_NOFS", "__GFP_RECLAIM __GFP_IO"),
    ("GFP_KERNEL", "__GFP_RECLAIM __GFP_IO __GFP_FS"),
];

/// 4.4 to 4.13.
const TEMPORARY: &[Compound] = &[("GFP_TEMPORARY", "GFP_KERNEL __GFP_RECLAIMABLE")];

/// 4.4 and 4.5.
const TRANSHUGE_4_4: &[Compound] = &[(
    "GFP_TRANSHUGE",
    "GFP_HIGHUSER_MOVABLE __GFP_COMP __GFP_NOMEMALLOC __GFP_NORETRY __GFP_NOWARN !__GFP_KSWAPD_RECLAIM",
)];

/// 4.6 and 4.7.
const TRANSHUGE_4_6: &[Compound] = &[(
    "GFP_TRANSHUGE",
    "GFP_HIGHUSER_MOVABLE __GFP_COMP __GFP_NOMEMALLOC __GFP_NORETRY __GFP_NOWARN !__GFP_RECLAIM",
)];

/// From 4.8 on.
const TRANSHUGE: &[Compound] = &[
    ("GFP_TRANSHUGE", "GFP_TRANSHUGE_LIGHT __GFP_DIRECT_RECLAIM"),
    (
        "GFP_TRANSHUGE_LIGHT",
        "GFP_HIGHUSER_MOVABLE __GFP_COMP __GFP_NOMEMALLOC __GFP_NOWARN !__GFP_RECLAIM",
    ),
];

/// 5.14 to 5.17, where `__GFP_SKIP_KASAN_POISON` is a bit in all configurations.
const SKIP_KASAN_5_14: &[Compound] =
    &[("GFP_HIGHUSER_MOVABLE", "GFP_HIGHUSER __GFP_MOVABLE __GFP_SKIP_KASAN_POISON")];

/// From 6.3 on, where `__GFP_ATOMIC` is gone.
const ATOMIC_6_3: &[Compound] = &[("GFP_ATOMIC", "__GFP_HIGH __GFP_KSWAPD_RECLAIM")];

/// From 6.8 on.
const NOWAIT_6_8: &[Compound] = &[("GFP_NOWAIT", "__GFP_KSWAPD_RECLAIM __GFP_NOWARN")];

/// 2.6.31 to 2.6.37, and el6, which has 2.6.32's bits and more.
const BITS_2_6_32: Bits = "DMA HIGHMEM DMA32 MOVABLE WAIT HIGH IO FS COLD NOWARN REPEAT NOFAIL \
    NORETRY - COMP ZERO NOMEMALLOC HARDWALL THISNODE RECLAIMABLE - NOTRACK";
/// 2.6.38 to 3.15. 2.6.38 added `NO_KSWAPD`, 2.6.39 `OTHER_NODE`, and until 3.8 came `WRITE`,
/// `MEMALLOC` and `KMEMCG`; none of these bits meant anything else before.
const BITS_3_10: Bits = "DMA HIGHMEM DMA32 MOVABLE WAIT HIGH IO FS COLD NOWARN REPEAT NOFAIL \
    NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE RECLAIMABLE KMEMCG NOTRACK NO_KSWAPD \
    OTHER_NODE WRITE";
/// 3.16 to 4.0, and those builds of el7 of which it isn't known what they call bit 20.
const BITS_3_16: Bits = "DMA HIGHMEM DMA32 MOVABLE WAIT HIGH IO FS COLD NOWARN REPEAT NOFAIL \
    NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE RECLAIMABLE - NOTRACK NO_KSWAPD \
    OTHER_NODE WRITE";
/// The last el7.
const BITS_EL7: Bits = "DMA HIGHMEM DMA32 MOVABLE WAIT HIGH IO FS COLD NOWARN REPEAT NOFAIL \
    NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE RECLAIMABLE ACCOUNT NOTRACK NO_KSWAPD \
    OTHER_NODE WRITE";
/// 4.1 to 4.3.
const BITS_4_1: Bits = "DMA HIGHMEM DMA32 MOVABLE WAIT HIGH IO FS COLD NOWARN REPEAT NOFAIL \
    NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE RECLAIMABLE NOACCOUNT NOTRACK \
    NO_KSWAPD OTHER_NODE WRITE";
const BITS_4_4: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS COLD NOWARN REPEAT NOFAIL \
    NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE ATOMIC NOACCOUNT NOTRACK \
    DIRECT_RECLAIM OTHER_NODE WRITE KSWAPD_RECLAIM";
/// 4.5 to 4.9.
const BITS_4_5: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS COLD NOWARN REPEAT NOFAIL \
    NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE ATOMIC ACCOUNT NOTRACK DIRECT_RECLAIM \
    OTHER_NODE WRITE KSWAPD_RECLAIM";
/// 4.10 to 4.12.
const BITS_4_10: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS COLD NOWARN REPEAT \
    NOFAIL NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE ATOMIC ACCOUNT NOTRACK \
    DIRECT_RECLAIM WRITE KSWAPD_RECLAIM";
/// 4.13 and 4.14.
const BITS_4_13: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS COLD NOWARN \
    RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE ATOMIC ACCOUNT \
    NOTRACK DIRECT_RECLAIM WRITE KSWAPD_RECLAIM";
/// 4.15 to 4.17.
const BITS_4_15: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS - NOWARN RETRY_MAYFAIL \
    NOFAIL NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE ATOMIC ACCOUNT - \
    DIRECT_RECLAIM WRITE KSWAPD_RECLAIM";
/// 4.18 to 5.0, and el8.
const BITS_4_18: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS WRITE NOWARN \
    RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE ATOMIC ACCOUNT \
    DIRECT_RECLAIM KSWAPD_RECLAIM";
/// 5.1 to 5.13.
const BITS_5_10: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS ZERO ATOMIC \
    DIRECT_RECLAIM KSWAPD_RECLAIM WRITE NOWARN RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP \
    NOMEMALLOC HARDWALL THISNODE ACCOUNT";
/// 5.14 to 5.17, and el9, whose bits above 22 came and went between its minor releases.
const BITS_5_14: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS ZERO ATOMIC \
    DIRECT_RECLAIM KSWAPD_RECLAIM WRITE NOWARN RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP \
    NOMEMALLOC HARDWALL THISNODE ACCOUNT ZEROTAGS SKIP_KASAN_POISON";
/// 5.18 to 6.2.
const BITS_6_1: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS ZERO ATOMIC \
    DIRECT_RECLAIM KSWAPD_RECLAIM WRITE NOWARN RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP \
    NOMEMALLOC HARDWALL THISNODE ACCOUNT ZEROTAGS";
/// From 6.3 on; 6.12 and 7.2 have the same.
const BITS_6_12: Bits = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS ZERO - DIRECT_RECLAIM \
    KSWAPD_RECLAIM WRITE NOWARN RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP NOMEMALLOC HARDWALL \
    THISNODE ACCOUNT ZEROTAGS";

const fn old(from: (u32, u32), to: (u32, u32), bits: Bits) -> Table {
    Table { releases: (from, to), bits, compounds: &[COMMON, WAIT], zero: "GFP_NOWAIT" }
}

const fn new(
    from: (u32, u32),
    to: (u32, u32),
    bits: Bits,
    compounds: &'static [&'static [Compound]],
) -> Table {
    Table { releases: (from, to), bits, compounds, zero: "none" }
}

/// What compound names mean in kernels whose BTF has the bits (6.9 and later).
pub(super) const COMPOUNDS_OF_BTF: &[&[Compound]] =
    &[COMMON, RECLAIM, TRANSHUGE, ATOMIC_6_3, NOWAIT_6_8];
/// The same with CONFIG_KASAN_HW_TAGS, with which alone `__GFP_SKIP_KASAN` is a bit.
pub(super) const COMPOUNDS_OF_BTF_KASAN: &[&[Compound]] = &[
    COMMON,
    RECLAIM,
    TRANSHUGE,
    ATOMIC_6_3,
    NOWAIT_6_8,
    &[("GFP_HIGHUSER_MOVABLE", "GFP_HIGHUSER __GFP_MOVABLE __GFP_SKIP_KASAN")],
];

/// By mainline release, from the oldest on.
#[rustfmt::skip]
pub(super) static TABLES: &[Table] = &[
    old((2, 6), (2, 6), BITS_2_6_32),
    old((3, 0), (3, 15), BITS_3_10),
    old((3, 16), (4, 0), BITS_3_16),
    old((4, 1), (4, 3), BITS_4_1),
    new((4, 4), (4, 4), BITS_4_4, &[COMMON, RECLAIM, TEMPORARY, TRANSHUGE_4_4]),
    new((4, 5), (4, 5), BITS_4_5, &[COMMON, RECLAIM, TEMPORARY, TRANSHUGE_4_4]),
    new((4, 6), (4, 7), BITS_4_5, &[COMMON, RECLAIM, TEMPORARY, TRANSHUGE_4_6]),
    new((4, 8), (4, 9), BITS_4_5, &[COMMON, RECLAIM, TEMPORARY, TRANSHUGE]),
    new((4, 10), (4, 12), BITS_4_10, &[COMMON, RECLAIM, TEMPORARY, TRANSHUGE]),
    new((4, 13), (4, 13), BITS_4_13, &[COMMON, RECLAIM, TEMPORARY, TRANSHUGE]),
    new((4, 14), (4, 14), BITS_4_13, &[COMMON, RECLAIM, TRANSHUGE]),
    new((4, 15), (4, 17), BITS_4_15, &[COMMON, RECLAIM, TRANSHUGE]),
    new((4, 18), (5, 0), BITS_4_18, &[COMMON, RECLAIM, TRANSHUGE]),
    new((5, 1), (5, 13), BITS_5_10, &[COMMON, RECLAIM, TRANSHUGE]),
    new((5, 14), (5, 17), BITS_5_14, &[COMMON, RECLAIM, TRANSHUGE, SKIP_KASAN_5_14]),
    new((5, 18), (6, 2), BITS_6_1, &[COMMON, RECLAIM, TRANSHUGE]),
    new((6, 3), (6, 7), BITS_6_12, &[COMMON, RECLAIM, TRANSHUGE, ATOMIC_6_3]),
    new((6, 8), (7, 2), BITS_6_12, &[COMMON, RECLAIM, TRANSHUGE, ATOMIC_6_3, NOWAIT_6_8]),
];

/// 2.6.38 and 2.6.39.
static LATE_2_6: Table = old((2, 6), (2, 6), BITS_3_10);
/// el7 from build 1160 on, and before it from build 515 on.
static EL7_LAST: Table = old((3, 10), (3, 10), BITS_EL7);
static EL7_MIDDLE: Table = old((3, 10), (3, 10), BITS_3_16);
/// el9 without the compound names that changed in the kernels from which it took its mm.
static EL9: Table = Table {
    compounds: &[COMMON, RECLAIM, TRANSHUGE, &[("GFP_NOWAIT", "")]],
    ..new((5, 14), (5, 14), BITS_5_14, &[])
};

/// The table for a release as `uname -r` prints it; `None` if its bits aren't known.
pub(super) fn for_release(kernel: &KernelVersion) -> Option<&'static Table> {
    match (kernel.series(), kernel.patch()) {
        ((2, 6), Some(0..=30) | None) => None,
        ((2, 6), Some(38..)) => Some(&LATE_2_6),
        ((3, 10), _) if kernel.is_enterprise_linux(7) => match kernel.build() {
            Some(0..=514) => mainline((3, 10)),
            Some(1160..) => Some(&EL7_LAST),
            _ => Some(&EL7_MIDDLE),
        },
        ((5, 14), _) if kernel.is_enterprise_linux(9) => Some(&EL9),
        (series, _) => mainline(series),
    }
}

fn mainline(release: (u32, u32)) -> Option<&'static Table> {
    TABLES.iter().find(|table| (table.releases.0..=table.releases.1).contains(&release))
}

/// The releases of some tables, in words: `4.1 to 4.3, 4.5`.
pub(super) fn releases(tables: &[&Table]) -> String {
    let mut ranges: Vec<((u32, u32), (u32, u32))> = Vec::new();
    for table in tables {
        // Tables next to each other make one range.
        let before = TABLES.iter().take_while(|t| t.releases != table.releases).last();
        match (ranges.last_mut(), before) {
            (Some(last), Some(before)) if last.1 == before.releases.1 => last.1 = table.releases.1,
            _ => ranges.push(table.releases),
        }
    }
    let name = |(major, minor)| match (major, minor) {
        (2, 6) => "2.6.31".to_owned(),
        _ => format!("{major}.{minor}"),
    };
    let words = ranges.iter().map(|&(from, to)| {
        if from == to { name(from) } else { format!("{} to {}", name(from), name(to)) }
    });
    words.collect::<Vec<_>>().join(", ")
}
