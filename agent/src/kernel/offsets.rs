//! The offsets and enum values that the kernel programs read memory by, taken from the running
//! kernel's BTF and handed to them as globals.
use super::btf::Btf;

/// Where a value comes from.
enum From {
    /// Offset of a member: structure, then paths of which the first that exists counts.
    Member(&'static str, &'static [&'static str]),
    /// Size of a structure.
    Size(&'static str),
    /// Elements of an array member.
    Elements(&'static str, &'static str),
    /// A counter in `zone.vm_stat`, whose elements are longs.
    ZoneCounter(&'static str),
    /// An enumerator of a named enum.
    Enumerator(&'static str, &'static str),
}

use From::{Elements, Enumerator, Member, Size, ZoneCounter};

/// Name of the global in the programs, and where its value comes from.
const TABLE: &[(&str, From)] = &[
    ("TASK_START_TIME", Member("task_struct", &["start_time"])),
    ("TASK_CGROUPS", Member("task_struct", &["cgroups"])),
    ("CSS_SET_DFL_CGRP", Member("css_set", &["dfl_cgrp"])),
    ("CGROUP_KN", Member("cgroup", &["kn"])),
    ("KN_NAME", Member("kernfs_node", &["name"])),
    ("KN_PARENT", Member("kernfs_node", &["parent", "__parent"])),
    ("NET_INUM", Member("net", &["ns.inum"])),
    ("PERNET_INIT", Member("pernet_operations", &["init"])),
    ("AC_ZONELIST", Member("alloc_context", &["zonelist"])),
    ("AC_NODEMASK", Member("alloc_context", &["nodemask"])),
    ("AC_MIGRATETYPE", Member("alloc_context", &["migratetype"])),
    ("AC_HIGHEST_ZONEIDX", Member("alloc_context", &["highest_zoneidx"])),
    ("ZONELIST_ZONEREFS", Member("zonelist", &["_zonerefs"])),
    ("ZONEREF_ZONE", Member("zoneref", &["zone"])),
    ("ZONEREF_IDX", Member("zoneref", &["zone_idx"])),
    ("ZONEREF_SIZE", Size("zoneref")),
    ("ZONE_WATERMARK", Member("zone", &["_watermark"])),
    ("ZONE_WATERMARK_BOOST", Member("zone", &["watermark_boost"])),
    ("ZONE_RESERVED_HIGHATOMIC", Member("zone", &["nr_reserved_highatomic"])),
    ("ZONE_LOWMEM_RESERVE", Member("zone", &["lowmem_reserve"])),
    ("ZONE_PGDAT", Member("zone", &["zone_pgdat"])),
    ("ZONE_MANAGED", Member("zone", &["managed_pages"])),
    ("ZONE_NAME", Member("zone", &["name"])),
    ("ZONE_FREE_AREA", Member("zone", &["free_area"])),
    ("ZONE_FREE_PAGES", ZoneCounter("NR_FREE_PAGES")),
    ("ZONE_FREE_CMA", ZoneCounter("NR_FREE_CMA_PAGES")),
    ("ZONE_ORDERS", Elements("zone", "free_area")),
    ("PGDAT_NODE_ID", Member("pglist_data", &["node_id"])),
    ("FREE_AREA_SIZE", Size("free_area")),
    ("FREE_AREA_NR_FREE", Member("free_area", &["nr_free"])),
    ("FREE_AREA_LISTS", Member("free_area", &["free_list"])),
    ("ORDINARY_MIGRATETYPES", Enumerator("migratetype", "MIGRATE_PCPTYPES")),
];

/// One resolved global.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// Name of the global in the kernel programs.
    pub global: &'static str,
    /// Its value; `None` if this kernel's BTF does not have it.
    pub value: Option<u32>,
    /// Kernels may well be without it, and nothing is lost then.
    pub optional: bool,
}

/// Resolves every global against the running kernel's BTF.
pub fn resolve(btf: &Btf) -> Vec<Offset> {
    TABLE
        .iter()
        .map(|(global, from)| Offset {
            global,
            value: value(btf, from),
            // Only kernels with CONFIG_CMA count its pages.
            optional: *global == "ZONE_FREE_CMA",
        })
        .collect()
}

fn value(btf: &Btf, from: &From) -> Option<u32> {
    match from {
        Member(structure, paths) => {
            paths.iter().find_map(|path| btf.member(structure, path)).map(|m| m.offset)
        }
        Size(structure) => btf.size_of(structure),
        Elements(structure, member) => btf.array_len(btf.member(structure, member)?),
        ZoneCounter(name) => {
            let start = btf.member("zone", "vm_stat")?.offset;
            Some(start + btf.enumerator("zone_stat_item", name)? * 8)
        }
        Enumerator(enumeration, name) => btf.enumerator(enumeration, name),
    }
}
