//! Ubuntu's kernels, as far as their functions are known from DepSurf's records of each series' first build
//! (amd64, generic): written by hand, not extracted.
use std::{fmt::Write as _, ops::ControlFlow};

use fragwatch_core::model::hook::AttachKind;

use super::*;
use crate::{
    hook::fake_kernel::{Answer, FakeKernel, Rule},
    kernel::btf::tests::Writer,
};

/// A function as kallsyms names it, and its parameters in BTF; 0 if BTF does not have it, as where the compiler
/// gave it a suffix.
type Function = (&'static str, u32);

/// What all series from 5.8 to 6.8 have.
const COMMON: &[Function] = &[
    ("copy_net_ns", 3),
    ("create_new_namespaces", 4),
    ("setup_net", 2),
    ("ops_init", 2),
    ("__alloc_pages_slowpath.constprop.0", 0),
    ("wake_all_kswapds", 3),
    ("wakeup_kswapd", 4),
    ("warn_alloc", 4),
    ("try_to_compact_pages", 6),
    ("try_to_free_pages", 4),
    ("kmem_cache_create", 5),
    ("kmem_cache_create_usercopy", 7),
    ("page_counter_try_charge", 3),
    ("oom_kill_process", 2),
    ("cgroup_mkdir", 3),
    ("mem_cgroup_css_alloc", 1),
    ("inc_ucount", 3),
    ("pids_can_fork", 2),
    ("copy_process", 4),
    ("copy_process.cold", 0),
    ("rtnl_newlink", 3),
    ("cgroup_attach_task", 3),
    ("join_session_keyring", 1),
    ("do_seccomp", 3),
    ("do_mount", 5),
];

/// The series with what else it has.
const SERIES: &[(&str, &[Function])] = &[
    ("5.8", &[("exec_binprm", 1), ("__do_execve_file", 6), ("bpf_prog_load", 2)]),
    (
        "5.11",
        &[
            ("path_mount", 5),
            ("do_execveat_common", 5),
            ("bprm_execve", 4),
            ("bprm_execve.part.0", 0),
            ("exec_binprm", 1),
            ("bpf_prog_load", 2),
        ],
    ),
    ("5.13", LATER),
    ("5.15", LATER),
    ("5.19", WITH_FPROBE),
    ("6.2", WITH_FPROBE),
    (
        "6.5",
        &[
            ("path_mount", 5),
            ("do_execveat_common.isra.0", 0),
            ("bprm_execve", 4),
            ("bpf_prog_load", 3),
            ("register_fprobe_ips", 3),
        ],
    ),
    (
        "6.8",
        &[
            ("path_mount", 5),
            ("do_execveat_common.isra.0", 0),
            ("bprm_execve", 1),
            ("bpf_prog_load", 3),
            ("register_fprobe_ips", 3),
        ],
    ),
];

const LATER: &[Function] = &[
    ("path_mount", 5),
    ("do_execveat_common.isra.0", 0),
    ("bprm_execve", 4),
    ("exec_binprm", 1),
    ("bpf_prog_load", 2),
];

const WITH_FPROBE: &[Function] = &[
    ("path_mount", 5),
    ("do_execveat_common.isra.0", 0),
    ("bprm_execve", 4),
    ("exec_binprm", 1),
    ("bpf_prog_load", 2),
    ("register_fprobe_ips", 3),
];

/// Notrace functions can't be probed, and a structure as a parameter refuses a trampoline before 6.1.
const BEFORE_6_1: &[Rule] = &[
    (AttachKind::Kprobe, "__alloc_pages_slowpath.constprop.0", Answer::Errno(libc::EINVAL)),
    (AttachKind::Fexit, "inc_ucount", Answer::Errno(libc::EINVAL)),
];

const FROM_6_1: &[Rule] = &[BEFORE_6_1[0]];

fn kallsyms(functions: &[Function]) -> String {
    let mut text = "ffffffff81000000 T _text\n".to_owned();
    for (at, (name, _)) in (1..).zip(functions) {
        let address = 0xffff_ffff_8100_0000_u64 + at * 0x1000;
        writeln!(text, "{address:016x} t {name}").expect("memory takes all");
    }
    text.push_str("ffffffff82000000 T _etext\n");
    text
}

fn btf(functions: &[Function]) -> Vec<u8> {
    let mut writer = Writer::new();
    for (name, parameters) in functions.iter().filter(|(_, parameters)| *parameters != 0) {
        writer.function(name, *parameters);
    }
    writer.bytes()
}

fn attached(series: &str, functions: &[Function]) -> Vec<HookStatus> {
    let (text, bytes) = (kallsyms(functions), btf(functions));
    let types = btf::Btf::index(&bytes).expect("it was just written");
    let symbols = FunctionNames::read(text.as_bytes(), |_| ControlFlow::Continue(()))
        .expect("reads from memory");
    let target = Target {
        symbols: &symbols,
        types: &types,
        unusable_records: &[],
        preference: Preference::Auto,
    };
    let old = !series.starts_with('6');
    attach_all(&mut FakeKernel::new(if old { BEFORE_6_1 } else { FROM_6_1 }), &target)
}

#[test]
fn each_of_ubuntus_kernels_has_a_candidate_for_each_hook() {
    let mut table = String::new();
    for (series, more) in SERIES {
        let functions: Vec<Function> = COMMON.iter().chain(*more).copied().collect();
        for hook in attached(series, &functions) {
            let name = hook.hook.name();
            let via = hook.via.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            writeln!(table, "{series:<5} {name:<18} {via}").expect("memory takes all");
            assert!(hook.via.is_some(), "{name} on {series}: {hook:#?}");
        }
    }
    insta::assert_snapshot!(table);
}

/// A part of a function, or one of two clones, is not the function.
#[test]
fn parts_and_clones_are_not_attached_to() {
    for names in [
        &[("copy_process.part.0", 0)][..],
        &[("copy_process.isra.0", 0), ("copy_process.isra.1", 0)],
    ] {
        let functions: Vec<Function> = COMMON
            .iter()
            .filter(|(name, _)| *name != "copy_process")
            .chain(names)
            .copied()
            .collect();
        let hooks = attached("6.5", &functions);
        let fork = hooks.iter().find(|hook| hook.hook == fragwatch_ebpf::table::Hook::Fork);
        assert_eq!(fork.expect("a status").via, None, "{names:?}");
    }
}
