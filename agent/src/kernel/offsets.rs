//! The offsets and enum values that the kernel programs read memory by, taken from the running
//! kernel's BTF and handed to them as globals.
use crate::kernel::btf::Btf;

/// Where a value comes from.
enum From {
    /// Offset of a member: structure, then paths of which the first that exists counts.
    Member(&'static str, &'static [&'static str]),
    /// Size of a structure.
    Size(&'static str),
    /// The element of an array of pointers that an enumerator numbers: structure and member of the
    /// array, enumeration, enumerator.
    Element(&'static str, &'static str, &'static str, &'static str),
    /// An enumerator's value: enumeration, enumerator.
    Enumerator(&'static str, &'static str),
    /// A counter in `zone.vm_stat`, whose elements are longs.
    ZoneCounter(&'static str),
    /// Offset of a number in a structure: at least so many bytes long, of which the programs read
    /// the first, the low ones. Tracepoints have kept a gfp mask in four bytes and in eight.
    Number(&'static str, &'static str, u32),
}

use From::{Element, Enumerator, Member, Number, Size, ZoneCounter};

/// Name of the global in the programs, and where its value comes from.
const TABLE: &[(&str, From)] = &[
    ("TASK_START_TIME", Member("task_struct", &["start_time"])),
    ("TASK_CGROUPS", Member("task_struct", &["cgroups"])),
    ("CSS_SET_DFL_CGRP", Member("css_set", &["dfl_cgrp"])),
    ("CSS_SET_MEMORY", Element("css_set", "subsys", "cgroup_subsys_id", "memory_cgrp_id")),
    ("CSS_CGROUP", Member("cgroup_subsys_state", &["cgroup"])),
    ("CGROUP_KN", Member("cgroup", &["kn"])),
    ("CGROUP_ROOT", Member("cgroup", &["root"])),
    ("KN_ID", Member("kernfs_node", &["id"])),
    ("KN_NAME", Member("kernfs_node", &["name"])),
    ("KN_PARENT", Member("kernfs_node", &["parent", "__parent"])),
    ("NET_INUM", Member("net", &["ns.inum"])),
    ("PERNET_INIT", Member("pernet_operations", &["init"])),
    ("AC_ZONELIST", Member("alloc_context", &["zonelist"])),
    ("AC_NODEMASK", Member("alloc_context", &["nodemask"])),
    ("AC_HIGHEST_ZONEIDX", Member("alloc_context", &["highest_zoneidx"])),
    ("ZONELIST_ZONEREFS", Member("zonelist", &["_zonerefs"])),
    ("ZONEREF_ZONE", Member("zoneref", &["zone"])),
    ("ZONEREF_IDX", Member("zoneref", &["zone_idx"])),
    ("ZONEREF_SIZE", Size("zoneref")),
    ("ZONE_WATERMARK", Member("zone", &["_watermark"])),
    ("ZONE_WATERMARK_BOOST", Member("zone", &["watermark_boost"])),
    ("ZONE_RESERVED_HIGHATOMIC", Member("zone", &["nr_free_highatomic", "nr_reserved_highatomic"])),
    ("ZONE_LOWMEM_RESERVE", Member("zone", &["lowmem_reserve"])),
    ("ZONE_PGDAT", Member("zone", &["zone_pgdat"])),
    ("ZONE_MANAGED", Member("zone", &["managed_pages"])),
    ("ZONE_NAME", Member("zone", &["name"])),
    ("ZONE_FREE_AREA", Member("zone", &["free_area"])),
    ("ZONE_FREE_PAGES", ZoneCounter("NR_FREE_PAGES")),
    ("ZONE_FREE_CMA", ZoneCounter("NR_FREE_CMA_PAGES")),
    ("PGDAT_NODE_ID", Member("pglist_data", &["node_id"])),
    ("MEMCG_CGROUP", Member("mem_cgroup", &["css.cgroup"])),
    ("MEMCG_MEMORY", Member("mem_cgroup", &["memory"])),
    ("MEMCG_KMEM", Member("mem_cgroup", &["kmem"])),
    ("MEMCG_MEMSW", Member("mem_cgroup", &["memsw"])),
    ("CSS_PARENT", Member("cgroup_subsys_state", &["parent"])),
    ("COUNTER_USAGE", Member("page_counter", &["usage"])),
    ("COUNTER_MAX", Member("page_counter", &["max"])),
    ("OC_ZONELIST", Member("oom_control", &["zonelist"])),
    ("OC_NODEMASK", Member("oom_control", &["nodemask"])),
    ("OC_ORDER", Member("oom_control", &["order"])),
    ("OC_GFP", Member("oom_control", &["gfp_mask"])),
    ("OC_MEMCG", Member("oom_control", &["memcg"])),
    ("OC_CHOSEN", Member("oom_control", &["chosen"])),
    ("TASK_TGID", Member("task_struct", &["tgid"])),
    ("TASK_COMM", Member("task_struct", &["comm"])),
    ("MARK_VICTIM_PID", Member("trace_event_raw_mark_victim", &["pid"])),
    ("CGROUP_EVENT_ID", Member("trace_event_raw_cgroup", &["id"])),
    ("CGROUP_EVENT_ROOT", Member("trace_event_raw_cgroup", &["root"])),
    ("CGROUP_EVENT_PATH", Member("trace_event_raw_cgroup", &["__data_loc_path"])),
    ("ZONE_TYPE_DMA", Enumerator("zone_type", "ZONE_DMA")),
    ("ZONE_TYPE_DMA32", Enumerator("zone_type", "ZONE_DMA32")),
    ("ZONE_TYPE_NORMAL", Enumerator("zone_type", "ZONE_NORMAL")),
    ("ZONE_TYPE_MOVABLE", Enumerator("zone_type", "ZONE_MOVABLE")),
    ("CSS_SET_PIDS", Element("css_set", "subsys", "cgroup_subsys_id", "pids_cgrp_id")),
    ("PIDS_COUNTER", Member("pids_cgroup", &["counter"])),
    ("PIDS_LIMIT", Member("pids_cgroup", &["limit"])),
    ("UCOUNT_NAMESPACES", Enumerator("ucount_type", "UCOUNT_INOTIFY_INSTANCES")),
    ("TASK_NSPROXY", Member("task_struct", &["nsproxy"])),
    ("NSPROXY_NET_NS", Member("nsproxy", &["net_ns"])),
];

/// What a tracepoint hands to its programs, by the structure. Only candidates that attach to it need
/// it.
const RECORDS: &[(&str, From)] = &[
    ("SYSCALL_ARGS", Member("syscall_trace_enter", &["args"])),
    ("SYSCALL_RETURNED", Number("syscall_trace_exit", "ret", 8)),
    (
        "COMPACTION_TRY_ORDER",
        Number("trace_event_raw_mm_compaction_try_to_compact_pages", "order", 4),
    ),
    (
        "COMPACTION_TRY_GFP",
        Number("trace_event_raw_mm_compaction_try_to_compact_pages", "gfp_mask", 4),
    ),
    ("COMPACTION_END_STATUS", Number("trace_event_raw_mm_compaction_end", "status", 4)),
    (
        "COMPACTION_DEFERRED_ORDER",
        Number("trace_event_raw_mm_compaction_defer_template", "order", 4),
    ),
    (
        "RECLAIM_BEGIN_ORDER",
        Number("trace_event_raw_mm_vmscan_direct_reclaim_begin_template", "order", 4),
    ),
    (
        "RECLAIM_BEGIN_GFP",
        Number("trace_event_raw_mm_vmscan_direct_reclaim_begin_template", "gfp_flags", 4),
    ),
    (
        "RECLAIM_END_RECLAIMED",
        Number("trace_event_raw_mm_vmscan_direct_reclaim_end_template", "nr_reclaimed", 8),
    ),
];

/// Globals that a kernel may lack without anything being lost: pages of CMA are counted with
/// `CONFIG_CMA` only, v1's limits of kernel memory and of swap are there only where v1 is, low zones
/// and limits on processes only where they were configured, and before 5.13 inotify could be too.
const OPTIONAL: &[&str] = &[
    "ZONE_FREE_CMA",
    "MEMCG_KMEM",
    "MEMCG_MEMSW",
    "ZONE_TYPE_DMA",
    "ZONE_TYPE_DMA32",
    "CSS_SET_PIDS",
    "PIDS_COUNTER",
    "PIDS_LIMIT",
    "UCOUNT_NAMESPACES",
];

/// Globals without which a zone can't be read.
fn reads_zones(global: &str) -> bool {
    let zone_type = global.starts_with("ZONE_TYPE_");
    global.starts_with("AC_")
        || global.starts_with("ZONE") && !zone_type
        || global.starts_with("PGDAT_")
}

/// What the kernel's BTF says about its structures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offsets {
    /// Names of the programs' globals with their values.
    pub globals: Vec<(&'static str, u32)>,
    /// Names of those that this kernel does not have.
    pub missing: Vec<&'static str>,
    /// Tracepoints' records of which this kernel lacks a member that the programs read.
    pub unusable_records: Vec<&'static str>,
    /// How a zone's free areas lie in memory; `None` if zones can't be read on this kernel.
    pub areas: Option<AreasLayout>,
}

/// How `zone.free_area` lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AreasLayout {
    /// Elements of `zone.free_area`: orders.
    pub orders: u32,
    /// Size of `struct free_area` in bytes.
    pub size: u32,
    /// `free_area.nr_free`
    pub nr_free: u32,
    /// `free_area.free_list`, an array of `struct list_head`
    pub lists: u32,
    /// `MIGRATE_PCPTYPES`: how many of the first lists any allocation may take from.
    pub ordinary_lists: u32,
}

impl AreasLayout {
    fn from_btf(btf: &Btf) -> Option<Self> {
        Some(Self {
            orders: btf.array_len(btf.member("zone", "free_area")?)?,
            size: btf.size_of("free_area")?,
            nr_free: btf.member("free_area", "nr_free")?.offset,
            lists: btf.member("free_area", "free_list")?.offset,
            ordinary_lists: btf.enumerator("migratetype", "MIGRATE_PCPTYPES")?,
        })
    }

    /// Size of the whole array in bytes.
    pub fn bytes(&self) -> u32 {
        self.orders.saturating_mul(self.size)
    }
}

/// Resolves every global against the running kernel's BTF.
pub fn resolve(btf: &Btf) -> Offsets {
    let (mut globals, mut missing) = (Vec::new(), Vec::new());
    for (global, from) in TABLE {
        match value(btf, from) {
            Some(value) => globals.push((*global, value)),
            None if OPTIONAL.contains(global) => {}
            None => missing.push(*global),
        }
    }
    let mut unusable_records = Vec::new();
    for (global, from) in RECORDS {
        match (value(btf, from), from) {
            (Some(value), _) => globals.push((*global, value)),
            (None, Member(record, _) | Number(record, ..)) => unusable_records.push(*record),
            // Neither is part of a record.
            (None, Size(_) | Element(..) | Enumerator(..) | ZoneCounter(_)) => {}
        }
    }
    let areas = AreasLayout::from_btf(btf).filter(|areas| {
        areas.bytes() as usize <= fragwatch_ebpf::AREAS_LEN
            && !missing.iter().any(|global| reads_zones(global))
    });
    if let Some(areas) = areas {
        globals.push(("ZONE_AREAS_LEN", areas.bytes()));
    }
    Offsets { globals, missing, unusable_records, areas }
}

fn value(btf: &Btf, from: &From) -> Option<u32> {
    match from {
        Member(structure, paths) => {
            paths.iter().find_map(|path| btf.member(structure, path)).map(|m| m.offset)
        }
        Size(structure) => btf.size_of(structure),
        Number(structure, name, bytes) => {
            let member = btf.member(structure, name)?;
            (btf.size_of_number(member)? >= *bytes).then_some(member.offset)
        }
        Element(structure, array, enumeration, enumerator) => {
            let start = btf.member(structure, array)?.offset;
            at(start, btf.enumerator(enumeration, enumerator)?)
        }
        Enumerator(enumeration, enumerator) => btf.enumerator(enumeration, enumerator),
        ZoneCounter(name) => {
            let start = btf.member("zone", "vm_stat")?.offset;
            at(start, btf.enumerator("zone_stat_item", name)?)
        }
    }
}

/// Where an element of an array of pointers or longs lies; `None` if that can't be.
fn at(start: u32, element: u32) -> Option<u32> {
    start.checked_add(element.checked_mul(8)?)
}

#[cfg(test)]
mod tests;
