//! Hooks on kernels that answer as real ones did, and on kernels with something wrong.
use std::fmt::Write as _;

use fragwatch_core::model::hook::{AttachKind, Hook, Reason};

use super::*;
use crate::{
    hook::fake_kernel::{Answer, FakeKernel, NO_KPROBES, Rule, STOCK, attach_on},
    kernel::{
        btf::Btf,
        fixtures::{self, SERIES},
        function_names::own_text,
    },
};

fn status(hooks: &[HookStatus], wanted: Hook) -> &HookStatus {
    hooks.iter().find(|hook| hook.hook == wanted).expect("every hook has a status")
}

/// 6.12 with other symbols, or other answers.
fn with(kallsyms: &str, rules: &'static [Rule]) -> Vec<HookStatus> {
    attach_on(&SERIES[2], kallsyms, Preference::Auto, &mut FakeKernel::new(rules))
}

fn shown(hook: &HookStatus) -> String {
    hook.via.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[track_caller]
fn is_missing_because(hook: &HookStatus, words: &str) {
    assert_eq!((hook.state, &hook.via), (State::Missing, &None), "{hook:#?}");
    assert_eq!(hook.not_seen.as_deref(), Some(hook.hook.info().lost));
    let why = hook.why.as_deref().unwrap_or_default();
    assert!(why.contains(words), "`{words}` is not in: {why}");
}

/// It shows less because of that, whether tracepoints are its fallback or nothing is.
#[track_caller]
fn is_poorer_because(hook: &HookStatus, words: &str) {
    let attached = hook.via.as_ref().is_none_or(|via| via.method == Method::Tracepoint);
    assert!(attached && hook.not_seen.is_some(), "{hook:#?}");
    let why = hook.why.as_deref().unwrap_or_default();
    assert!(why.contains(words), "`{words}` is not in: {why}");
}

/// Every hook by its name and what it is attached by, on each kernel.
#[test]
fn each_kernel_has_its_candidates() {
    let mut table = String::new();
    for kernel in &SERIES {
        for hook in
            attach_on(kernel, kernel.kallsyms, Preference::Auto, &mut FakeKernel::new(STOCK))
        {
            let name = hook.hook.name();
            let via = hook.via.map_or_else(|| "-".to_owned(), |via| via.to_string());
            let state: &str = hook.state.into();
            writeln!(table, "{:<5} {name:<18} {state:<9} {via}", kernel.name)
                .expect("memory takes all");
            assert_eq!(hook.not_seen, None, "{name} on {}", kernel.name);
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn preference_for_kprobes_uses_neither_trampolines_nor_tracepoints() {
    for kernel in &SERIES {
        for hook in
            attach_on(kernel, kernel.kallsyms, Preference::Kprobe, &mut FakeKernel::new(STOCK))
        {
            let method = hook.via.as_ref().map(|via| via.method);
            // These have no other candidates than tracepoints; no other hook may use them here.
            let allowed = match hook.hook {
                Hook::CgroupMade | Hook::MemcgReclaim => method == Some(Method::RawTracepoint),
                _ => method.is_some_and(Method::is_kprobe),
            };
            assert!(allowed, "{hook:#?} on {}", kernel.name);
        }
    }
}

#[test]
fn without_kprobes_tracepoints_are_left() {
    let kernel = &fixtures::NO_KPROBES;
    let mut attacher = FakeKernel::new(NO_KPROBES);
    for hook in attach_on(kernel, kernel.kallsyms, Preference::Auto, &mut attacher) {
        let expected = match hook.hook {
            Hook::CgroupMade | Hook::MemcgReclaim => Method::RawTracepoint,
            _ => Method::Tracepoint,
        };
        match &hook.via {
            Some(via) => assert_eq!(via.method, expected, "{hook:#?}"),
            None => is_missing_because(&hook, "this kernel was built without kprobes"),
        }
        if ![Hook::CgroupMade, Hook::MemcgReclaim].contains(&hook.hook) {
            assert!(hook.reasons.contains(&Reason::KprobesNotBuiltIn), "{hook:#?}");
        }
    }
    assert!(attacher.attached.iter().all(|name| name.ends_with("_tracepoint")));
}

/// kptr_restrict=2: names are there, addresses are zero.
#[test]
fn hidden_addresses_cost_no_hook() {
    for kernel in &SERIES {
        let hooks = attach_on(
            kernel,
            &kernel.hidden_kallsyms(),
            Preference::Auto,
            &mut FakeKernel::new(STOCK),
        );
        let seen =
            attach_on(kernel, kernel.kallsyms, Preference::Auto, &mut FakeKernel::new(STOCK));
        assert_eq!(hooks, seen, "on {}", kernel.name);
    }
}

/// kallsyms can't be read, or not yet: the kernel itself has to know the names.
#[test]
fn without_symbols_the_kernel_finds_the_names() {
    const PLAIN: Rule = (AttachKind::Kprobe, "__alloc_pages_slowpath", Answer::Errno(libc::ENOENT));
    const REFUSED: Rule =
        (AttachKind::Kprobe, "__alloc_pages_slowpath.constprop.0", Answer::Errno(libc::EINVAL));
    let hooks = with("", &[PLAIN, REFUSED]);
    assert!(hooks.iter().all(|hook| hook.via.is_some()), "{hooks:#?}");
    let slow_path = status(&hooks, Hook::SlowPathEntered);
    assert_eq!(shown(slow_path), "kprobe:wake_all_kswapds");
    // A kernel that allows it.
    let hooks = with("", &[PLAIN]);
    let slow_path = status(&hooks, Hook::SlowPathEntered);
    assert_eq!(shown(slow_path), "kprobe:__alloc_pages_slowpath.constprop.0");
}

#[test]
fn of_two_functions_with_one_name_neither_is_used() {
    for (name, hook, losing) in [
        ("warn_alloc", Hook::AllocationFailed, 1),
        ("copy_net_ns", Hook::NetnsSetup, 1),
        ("pids_can_fork", Hook::ForkRefused, 1),
        ("try_to_compact_pages", Hook::Compaction, 2),
    ] {
        let twice = format!("{}ffffffffb7000000 t {name}\n", SERIES[2].kallsyms);
        let hooks = with(&twice, STOCK);
        is_poorer_because(status(&hooks, hook), &format!("more than one function {name}"));
        assert_eq!(hooks.iter().filter(|hook| hook.not_seen.is_some()).count(), losing);
    }
}

/// Half of its calls would not be seen, whichever is probed.
#[test]
fn of_a_split_function_neither_part_is_used() {
    let split = format!("{}ffffffffb7000000 t warn_alloc.constprop.0\n", SERIES[2].kallsyms);
    is_missing_because(
        status(&with(&split, STOCK), Hook::AllocationFailed),
        "more than one function warn_alloc",
    );
}

#[test]
fn a_cold_part_is_never_used() {
    for part in ["warn_alloc.cold", "warn_alloc.part.0", "warn_alloc.constprop.0.cold"] {
        let cold = SERIES[2].kallsyms.replace(" warn_alloc\n", &format!(" {part}\n"));
        assert_ne!(cold, SERIES[2].kallsyms);
        let hooks = with(&cold, STOCK);
        let hook = status(&hooks, Hook::AllocationFailed);
        is_missing_because(hook, "this kernel has no function warn_alloc");
    }
}

/// A module may have a function of the same name, which is another one.
#[test]
fn a_function_of_a_module_is_no_candidate() {
    let line = "ffffffffc0000000 t warn_alloc\t[other]\n";
    let beside = format!("{}{line}", SERIES[2].kallsyms);
    let hooks = with(&beside, STOCK);
    assert_eq!(status(&hooks, Hook::AllocationFailed).state, State::Attached);
    let alone: String = SERIES[2]
        .kallsyms
        .lines()
        .filter(|line| !line.ends_with(" warn_alloc"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let hooks = with(&(alone + line), STOCK);
    is_missing_because(status(&hooks, Hook::AllocationFailed), "no function warn_alloc");
}

#[test]
fn a_suffix_of_the_compiler_is_found() {
    let suffixed = SERIES[2].kallsyms.replace(" inc_ucount\n", " inc_ucount.isra.0\n");
    assert_ne!(suffixed, SERIES[2].kallsyms);
    let hooks = with(&suffixed, STOCK);
    let hook = status(&hooks, Hook::NamespaceRefused);
    assert_eq!(shown(hook), "kprobe+kretprobe:inc_ucount.isra.0");
}

#[test]
fn a_function_with_other_arguments_gets_no_trampoline() {
    // 7.2's kallsyms on the types of 5.10, where kmem_cache_create took other arguments.
    let types = Btf::index(SERIES[0].btf).expect("a kernel's own");
    let symbols =
        FunctionNames::read(SERIES[3].kallsyms.as_bytes(), own_text).expect("reads from memory");
    let target = Target {
        symbols: &symbols,
        prototypes: &types.prototypes(&trampoline_functions()),
        unusable_records: &[],
        preference: Preference::Auto,
    };
    let copy_net_ns = Hook::NetnsSetup.info().function;
    assert!(check_prototype(&target, &copy_net_ns).is_ok());
    let other = Function { parameters: 4, ..copy_net_ns };
    let refusal = check_prototype(&target, &other).expect_err("it has three");
    assert_eq!(refusal.to_string(), "copy_net_ns takes 3 arguments on this kernel, not 4");
    assert!(
        check_prototype(&target, &Function { name: "__kmem_cache_create_args", ..other }).is_err()
    );
}

/// tracefs is not mounted.
#[test]
fn without_tracefs_tracepoints_are_reported_missing() {
    const UNMOUNTED: &[Rule] = &[(AttachKind::Tracepoint, "*", Answer::NoTracefs)];
    let kernel = &SERIES[2];
    let attacher = &mut FakeKernel::new(UNMOUNTED);
    let hooks = attach_on(kernel, kernel.kallsyms, Preference::Tracepoint, attacher);
    is_missing_because(status(&hooks, Hook::NetnsSetup), "mount -t tracefs");
    // These need no tracefs.
    assert_eq!(status(&hooks, Hook::CgroupMade).not_seen, None);
    let hooks = with(kernel.kallsyms, UNMOUNTED);
    assert!(hooks.iter().all(|hook| hook.state != State::Missing), "{hooks:#?}");
}

/// An entry whose exit is missing would begin what never ends, and an exit alone means nothing.
#[test]
fn half_a_candidate_is_detached() {
    const NO_ENTRY: &[Rule] = &[
        (AttachKind::Fentry, "*", Answer::Errno(libc::EBUSY)),
        (AttachKind::Kprobe, "*", Answer::Errno(libc::EBUSY)),
    ];
    let mut attacher = FakeKernel::new(NO_ENTRY);
    let kernel = &SERIES[2];
    let hooks = attach_on(kernel, kernel.kallsyms, Preference::Auto, &mut attacher);
    is_poorer_because(status(&hooks, Hook::NetnsSetup), "Device or resource busy");
    let halves: Vec<_> = attacher
        .attached
        .iter()
        .filter(|name| name.starts_with("netns_setup") || name.starts_with("cgroup_setup"))
        .collect();
    assert!(halves.is_empty(), "{halves:?}");
}
