//! Offsets of four real kernels, against what pahole says of the same kernels.
use fragwatch_ebpf::table::Candidate;

use super::*;
use crate::kernel::{btf::tests::Writer, fixtures::SERIES};

/// Each global's value on 5.10, 6.1, 6.12 and 7.2; `-` where the kernel does not have it. Taken with
/// `pahole -C <structure>` from the whole type information of each kernel.
const EXPECTED: &str = "
TASK_START_TIME             2536   2776   2776   3152
TASK_CGROUPS                3328   3600   3584   4000
CSS_SET_DFL_CGRP             120    128    128    128
CSS_SET_MEMORY                32     32     32     32
CSS_CGROUP                     0      0      0      0
CGROUP_KN                    248    248    256    296
CGROUP_ROOT                  480    656    720    808
KN_ID                        104    104     96     96
KN_NAME                       16     16     16     16
KN_PARENT                      8      8      8      8
NET_INUM                     144    144    136    280
PERNET_INIT                   16     16     16     16
PGDAT_ZONELISTS             7360   7680   7680   9280
ZONELIST_SIZE              81936  81936  81936  81936
ZONELIST_ZONEREFS              0      0      0      0
ZONEREF_ZONE                   0      0      0      0
ZONEREF_IDX                    8      8      8      8
ZONEREF_SIZE                  16     16     16     16
ZONE_WATERMARK                 0      0      0      0
ZONE_WATERMARK_BOOST          24     32     32     32
ZONE_RESERVED_HIGHATOMIC      32     40     48     48
ZONE_LOWMEM_RESERVE           40     48     56     56
ZONE_PGDAT                    88     96    104    104
ZONE_MANAGED                 112    136    152    152
ZONE_NAME                    136    168    184    192
ZONE_FREE_AREA               192    256    256    256
AREA_SIZE                     88     88     88    104
AREA_NR_FREE                  80     80     80     96
AREA_LISTS                     0      0      0      0
ZONE_FREE_PAGES             1280   1344   1344   1536
ZONE_FREE_CMA               1368   1424   1424   1616
TASK_CRED                   2720   2960   2960   3328
CRED_USER_NS                 136    136    144    144
USER_NS_PARENT               224    216    192    192
USER_NS_OWNER                236    228    204    204
TASK_PID                    2232   2416   2432   2808
PGDAT_NODE_ID             171264 171584 171584 173184
MEMCG_CGROUP                   0      0      0      0
MEMCG_MEMORY                 208    256    256    256
MEMCG_KMEM                   432    640      -      -
MEMCG_MEMSW                  320    448    512    448
TASK_ACTIVE_MEMCG           4848   5112   5088   5568
CSS_PARENT                   192    192    192    184
COUNTER_USAGE                  0      0      0      0
COUNTER_MAX                   32    152    224    160
OC_ZONELIST                    0      0      0      0
OC_NODEMASK                    8      8      8      8
OC_ORDER                      28     28     28     28
OC_GFP                        24     24     24     24
OC_MEMCG                      16     16     16     16
OC_CHOSEN                     40     40     40     40
TASK_TGID                   2236   2420   2436   2812
TASK_COMM                   2736   2976   2976   3344
SIGNAL_OOM_MM               1016   1032   1024   1080
AC_NODEMASK                    8      8      8      8
MARK_VICTIM_PID                8      8      8      8
ROOT_HIERARCHY                12     12     12     12
ZONE_TYPE_DMA                  0      0      0      0
ZONE_TYPE_DMA32                1      1      1      1
ZONE_TYPE_NORMAL               2      2      2      2
ZONE_TYPE_MOVABLE              3      3      3      3
CSS_SET_PIDS                  88     88     88     88
PIDS_COUNTER                 200    200    208    248
PIDS_LIMIT                   208    208    216    256
UCOUNT_NAMESPACES              8      8      8      8
TASK_SIGNAL                 2832   3072   3072   3448
SIGNAL_LIMITS                672    688    680    704
TASK_REAL_CRED              2712   2952   2952   3320
CRED_USER                    128    128    136    136
USER_PROCESS_COUNT             4      -      -      -
CRED_UCOUNTS                   -    144    152    152
UCOUNTS_COUNTS                32     32     32     56
UCOUNT_PROCESSES               -      -      -      -
UCOUNTS_LIMITED                -    128    128    152
LIMITED_PROCESSES              -      0      0      0
TASK_NSPROXY                 2824   3064   3064   3440
NSPROXY_NET_NS                 40     40     40     40
SYSCALL_ARGS                   16     16     16     16
SYSCALL_RETURNED               16     16     16     16
COMPACTION_TRY_ORDER            8      8      8      8
COMPACTION_TRY_GFP             12     16     16     16
COMPACTION_END_STATUS          44     44     44     44
COMPACTION_DEFERRED_ORDER      16     16     16     16
RECLAIM_BEGIN_ORDER             8      8      8     24
RECLAIM_BEGIN_GFP              12     16     16      8
RECLAIM_END_RECLAIMED           8      8      8      8
";

/// Parameters of each function that hooks rely on, on the same kernels; `-` where BTF does not know
/// it: it is not there, or inlined, or the compiler gave it a suffix.
const PARAMETERS: &str = "
__alloc_pages_slowpath         -      -      -      3
__kmem_cache_create_args       -      -      4      4
bpf_prog_load                  2      2      3      3
bprm_execve                    4      4      1      1
cgroup_attach_task             3      3      3      3
cgroup_mkdir                   3      3      3      3
copy_net_ns                    3      3      3      3
copy_process                   4      4      4      4
create_new_namespaces          4      4      4      4
do_execveat_common             5      -      -      -
do_mount                       5      5      5      5
do_seccomp                     3      3      3      3
exec_binprm                    -      -      -      -
inc_ucount                     3      3      3      3
join_session_keyring           1      1      1      1
kmem_cache_create              5      5      -      -
kmem_cache_create_usercopy     7      7      -      -
mem_cgroup_css_alloc           1      1      1      1
oom_kill_process               2      2      2      2
ops_init                       2      2      2      2
ops_undo_list                  -      -      5      4
page_counter_try_charge        3      3      3      3
path_mount                     5      5      5      5
pids_can_fork                  2      2      2      2
rtnl_newlink                   3      3      3      3
try_to_compact_pages           6      6      6      6
try_to_free_pages              4      4      4      4
wake_all_kswapds               3      3      3      -
wakeup_kswapd                  4      4      4      4
warn_alloc                     4      4      4      4
";

/// Rows of a table above: a name, and a value for each kernel.
fn rows(table: &'static str) -> Vec<(&'static str, Vec<Option<u32>>)> {
    let rows: Vec<(&str, Vec<Option<u32>>)> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.map(|word| word.parse().ok()).collect()))
        })
        .collect();
    for (name, values) in &rows {
        assert_eq!(values.len(), SERIES.len(), "{name} has a value for each kernel");
    }
    rows
}

#[test]
fn offsets_are_those_that_pahole_prints() {
    for (i, kernel) in SERIES.iter().enumerate() {
        let offsets = resolve(&Btf::index(kernel.btf).expect("a kernel's own"));
        for (global, expected) in rows(EXPECTED) {
            let found = offsets.globals.iter().find(|(name, _)| *name == global).map(|&(_, v)| v);
            assert_eq!(found, expected[i], "{global} on {}", kernel.name);
        }
        for (global, _) in &offsets.globals {
            let known = rows(EXPECTED).iter().any(|(name, _)| name == global);
            assert!(known, "give {global} a row in EXPECTED, taken with pahole");
        }
        assert_eq!(offsets.missing, Vec::<&str>::new(), "on {}", kernel.name);
    }
}

#[test]
fn zones_are_read_on_every_kernel() {
    for kernel in &SERIES {
        let offsets = resolve(&Btf::index(kernel.btf).expect("a kernel's own"));
        assert!(offsets.zones_readable, "{}", kernel.name);
    }
}

#[test]
fn functions_have_the_parameters_that_pahole_prints() {
    for (i, kernel) in SERIES.iter().enumerate() {
        let btf = Btf::index(kernel.btf).expect("a kernel's own");
        for (function, expected) in rows(PARAMETERS) {
            assert_eq!(btf.parameters(function), expected[i], "{function} on {}", kernel.name);
        }
    }
}

#[test]
fn prototypes_of_the_table_are_those_of_the_kernels() {
    // Where only the result matters, the parameters don't.
    let reads_parameters = |candidate: &&Candidate| !matches!(candidate, Candidate::Return { .. });
    let candidates = || HOOKS.iter().flat_map(|hook| hook.candidates).filter(reads_parameters);
    let functions = || candidates().filter_map(|candidate| candidate.function());
    for function in functions() {
        for kernel in &SERIES {
            let btf = Btf::index(kernel.btf).expect("a kernel's own");
            let Some(found) = btf.parameters(function.name) else { continue };
            let mut same = functions().filter(|other| other.name == function.name);
            let known = same.any(|other| other.parameters == found);
            assert!(known, "{} has {found} on {}", function.name, kernel.name);
        }
    }
}

#[test]
fn a_missing_member_is_reported_with_the_hooks_that_read_it() {
    let sentence = not_seen_without("PERNET_INIT");
    assert_eq!(
        sentence,
        "what pernet_init reads by PERNET_INIT: this kernel's BTF does not have it"
    );
    assert!(not_seen_without("TASK_CGROUPS").starts_with("what every hook reads by TASK_CGROUPS"));
    assert!(not_seen_without("ZONE_NAME").starts_with("what is read of zones by ZONE_NAME"));
}

/// The fixture of 6.12 with every string `name` made another one of the same length.
fn without(name: &str) -> Vec<u8> {
    let mut bytes = SERIES[2].btf.to_vec();
    let whole = format!("\0{name}\0").into_bytes();
    let places: Vec<usize> =
        (0..bytes.len() - whole.len()).filter(|&at| bytes[at..].starts_with(&whole)).collect();
    assert!(!places.is_empty(), "the fixture has no {name}");
    for at in places {
        bytes[at + 1] = b'?';
    }
    bytes
}

#[test]
fn a_member_that_is_not_there_is_listed_and_nothing_else_changes() {
    let whole = resolve(&Btf::index(SERIES[2].btf).expect("a kernel's own"));
    let bytes = without("start_time");
    let offsets = resolve(&Btf::index(&bytes).expect("well formed"));
    assert_eq!(offsets.missing, ["TASK_START_TIME"]);
    assert_eq!(offsets.zones_readable, whole.zones_readable);
    let rest: Vec<_> =
        whole.globals.iter().filter(|(name, _)| *name != "TASK_START_TIME").copied().collect();
    assert_eq!(offsets.globals, rest);
}

#[test]
fn zones_are_not_read_when_a_part_of_them_is_unknown() {
    for (name, global) in [
        ("node_zonelists", "PGDAT_ZONELISTS"),
        ("_watermark", "ZONE_WATERMARK"),
        ("NR_FREE_PAGES", "ZONE_FREE_PAGES"),
    ] {
        let bytes = without(name);
        let offsets = resolve(&Btf::index(&bytes).expect("well formed"));
        assert_eq!(offsets.missing, [global]);
        assert!(!offsets.zones_readable, "without {name}");
    }
    for name in ["free_area", "nr_free", "MIGRATE_PCPTYPES"] {
        let bytes = without(name);
        let offsets = resolve(&Btf::index(&bytes).expect("well formed"));
        assert!(!offsets.zones_readable, "without {name}");
    }
}

#[test]
fn optional_members_are_not_listed() {
    let bytes = without("NR_FREE_CMA_PAGES");
    assert_eq!(resolve(&Btf::index(&bytes).expect("well formed")).missing, Vec::<&str>::new());
}

proptest::proptest! {
    #[test]
    fn a_damaged_kernel_is_an_error_or_resolves_without_panic(
        damage in proptest::collection::vec((0usize..60_000, proptest::num::u8::ANY), 1..20),
        cut in 0usize..60_000,
    ) {
        let mut bytes = SERIES[3].btf.to_vec();
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if cut % 2 == 0 {
            bytes.truncate(cut);
        }
        if let Ok(btf) = Btf::index(&bytes) {
            let _ = resolve(&btf);
        }
    }
}

#[test]
fn a_kernel_cut_off_anywhere_is_an_error() {
    let whole = SERIES[0].btf;
    for len in (0..whole.len()).step_by(97) {
        assert!(Btf::index(&whole[..len]).is_err(), "cut off at {len}");
    }
}

#[test]
fn a_number_of_another_size_is_absent() {
    let mut writer = Writer::new();
    writer.number("short", 2);
    writer.structure("cgroup_root", &[("hierarchy_id", 1, 8)]);
    let bytes = writer.bytes();
    let offsets = resolve(&Btf::index(&bytes).expect("it was just written"));
    assert!(offsets.missing.contains(&"ROOT_HIERARCHY"));
}
