//! Hooks on kernels that answer as real ones did, and on kernels in a bad state.
use std::fmt::Write as _;

use fragwatch_core::model::hook::Logical;

use super::*;
use crate::{
    hook::played::{NO_KPROBES, Played, Refusal, STOCK, play},
    kernel::fixtures::{self, SERIES},
};

fn status(hooks: &[HookStatus], wanted: Logical) -> &HookStatus {
    hooks.iter().find(|hook| hook.hook == wanted).expect("every hook has a status")
}

/// 6.12 with other symbols, or other answers.
fn with(kallsyms: &str, refuses: &'static [Refusal]) -> Vec<HookStatus> {
    play(&SERIES[2], kallsyms, Preference::Auto, &mut Played::new(refuses))
}

#[track_caller]
fn is_missing_because(hook: &HookStatus, words: &str) {
    assert_eq!((hook.state, &hook.via), (State::Missing, &None), "{hook:#?}");
    assert_eq!(hook.not_seen.as_deref(), Some(hook.hook.lost_without()));
    let why = hook.why.as_deref().unwrap_or_default();
    assert!(why.contains(words), "`{words}` is not in: {why}");
}

/// It lost something by it, whether a tracepoint stepped in or nothing.
#[track_caller]
fn is_poorer_because(hook: &HookStatus, words: &str) {
    let via = hook.via.as_deref().unwrap_or("tracepoint:");
    assert!(via.starts_with("tracepoint:") && hook.not_seen.is_some(), "{hook:#?}");
    let why = hook.why.as_deref().unwrap_or_default();
    assert!(why.contains(words), "`{words}` is not in: {why}");
}

/// Every hook by its name and what it is attached by, on each kernel.
#[test]
fn each_kernel_has_its_candidates() {
    let mut table = String::new();
    for kernel in &SERIES {
        for hook in play(kernel, kernel.kallsyms, Preference::Auto, &mut Played::new(STOCK)) {
            let (name, via) = (hook.hook.name(), hook.via.as_deref().unwrap_or("-"));
            let state = hook.state.name();
            writeln!(table, "{:<5} {name:<18} {state:<9} {via}", kernel.name)
                .expect("memory takes all");
            assert_eq!(hook.not_seen, None, "{name} on {}", kernel.name);
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn kprobes_alone_do_where_they_are_wanted() {
    for kernel in &SERIES {
        for hook in play(kernel, kernel.kallsyms, Preference::Kprobe, &mut Played::new(STOCK)) {
            let via = hook.via.as_deref().unwrap_or_default();
            assert!(!via.is_empty() && !via.starts_with('f'), "{hook:#?} on {}", kernel.name);
        }
    }
}

#[test]
fn without_kprobes_tracepoints_are_left() {
    let kernel = &fixtures::NO_KPROBES;
    let mut attacher = Played::new(NO_KPROBES);
    for hook in play(kernel, kernel.kallsyms, Preference::Auto, &mut attacher) {
        match hook.via.as_deref() {
            Some(via) => assert!(via.starts_with("tracepoint:"), "{hook:#?}"),
            None => is_missing_because(&hook, "No such file or directory"),
        }
    }
    assert!(attacher.attached.iter().all(|name| name.ends_with("_tracepoint")));
}

/// kptr_restrict=2: names are there, addresses are zero.
#[test]
fn hidden_addresses_cost_the_breakpoint_only() {
    for kernel in &SERIES {
        let hooks =
            play(kernel, &kernel.hidden_kallsyms(), Preference::Auto, &mut Played::new(STOCK));
        let seen = play(kernel, kernel.kallsyms, Preference::Auto, &mut Played::new(STOCK));
        for (hook, seen) in hooks.iter().zip(&seen) {
            if seen.via.as_deref().is_some_and(|via| via.starts_with("breakpoint:")) {
                is_poorer_because(hook, "/proc/kallsyms hides it");
            } else {
                assert_eq!(hook, seen, "on {}", kernel.name);
            }
        }
    }
}

/// kallsyms can't be read at all: the kernel finds the plain names, and no other.
#[test]
fn without_symbols_the_kernel_finds_the_names() {
    const PLAIN: &[Refusal] =
        &[("a kprobe", "__alloc_pages_slowpath", "No such file or directory (os error 2)")];
    let hooks = with("", PLAIN);
    assert!(hooks.iter().all(|hook| hook.via.is_some()), "{hooks:#?}");
    let slow_path = status(&hooks, Logical::SlowPathEntered);
    assert_eq!(slow_path.via.as_deref(), Some("kprobe:wake_all_kswapds"));
}

#[test]
fn of_two_functions_with_one_name_neither_is_taken() {
    for (name, logical) in [
        ("warn_alloc", Logical::AllocationFailed),
        ("copy_net_ns", Logical::NetnsSetup),
        ("ops_init", Logical::PernetInit),
        ("try_to_compact_pages", Logical::Compaction),
    ] {
        let twice = format!("{}ffffffffb7000000 t {name}\n", SERIES[2].kallsyms);
        let hooks = with(&twice, STOCK);
        is_poorer_because(status(&hooks, logical), &format!("more than one function {name}"));
        assert_eq!(hooks.iter().filter(|hook| hook.not_seen.is_some()).count(), 1);
    }
}

/// Half of its calls would not be seen, whichever is probed.
#[test]
fn of_a_function_made_two_neither_is_taken() {
    let split = format!("{}ffffffffb7000000 t warn_alloc.constprop.0\n", SERIES[2].kallsyms);
    is_missing_because(
        status(&with(&split, STOCK), Logical::AllocationFailed),
        "more than one function warn_alloc",
    );
}

#[test]
fn a_cold_part_is_never_taken() {
    for part in ["warn_alloc.cold", "warn_alloc.part.0", "warn_alloc.constprop.0.cold"] {
        let cold = SERIES[2].kallsyms.replace(" warn_alloc\n", &format!(" {part}\n"));
        assert_ne!(cold, SERIES[2].kallsyms);
        let hooks = with(&cold, STOCK);
        let hook = status(&hooks, Logical::AllocationFailed);
        is_missing_because(hook, "this kernel has no function warn_alloc");
    }
}

/// A module may have a function of the same name, which is another one.
#[test]
fn a_modules_function_is_no_candidate() {
    let line = "ffffffffc0000000 t warn_alloc\t[other]\n";
    let beside = format!("{}{line}", SERIES[2].kallsyms);
    let hooks = with(&beside, STOCK);
    assert_eq!(status(&hooks, Logical::AllocationFailed).state, State::Attached);
    let alone: String = SERIES[2]
        .kallsyms
        .lines()
        .filter(|line| !line.ends_with(" warn_alloc"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let hooks = with(&(alone + line), STOCK);
    is_missing_because(status(&hooks, Logical::AllocationFailed), "no function warn_alloc");
}

#[test]
fn a_suffix_of_the_compiler_is_found() {
    let suffixed = SERIES[2].kallsyms.replace(" ops_init\n", " ops_init.isra.0\n");
    let hooks = with(&suffixed, STOCK);
    let hook = status(&hooks, Logical::PernetInit);
    assert_eq!(hook.via.as_deref(), Some("kprobe+kretprobe:ops_init.isra.0"));
}

#[test]
fn a_function_with_other_arguments_gets_no_trampoline() {
    // 7.2's kallsyms on the types of 5.10, where kmem_cache_create took other arguments.
    let types = btf::Btf::index(SERIES[0].btf).expect("a kernel's own");
    let symbols = Symbols::parse(SERIES[3].kallsyms.as_bytes()).expect("reads from memory");
    let target = Target {
        symbols: &symbols,
        types: &types,
        unusable_records: &[],
        preference: Preference::Auto,
    };
    assert!(check_prototype(&target, "copy_net_ns", 3).is_ok());
    let error = check_prototype(&target, "copy_net_ns", 4).expect_err("it takes three");
    assert_eq!(error.to_string(), "copy_net_ns takes 3 arguments on this kernel, not 4");
    assert!(check_prototype(&target, "__kmem_cache_create_args", 4).is_err());
}

/// tracefs is not mounted.
#[test]
fn without_tracefs_tracepoints_are_said_to_be_missing() {
    const UNMOUNTED: &[Refusal] = &[("a tracepoint", "*", "tracefs not found")];
    let hooks = with(SERIES[2].kallsyms, UNMOUNTED);
    is_missing_because(status(&hooks, Logical::CgroupMade), "tracefs not found");
    assert_eq!(hooks.iter().filter(|hook| hook.state == State::Missing).count(), 1);
}

/// An entry whose exit is missing would begin what never ends, and an exit alone means nothing.
#[test]
fn half_a_candidate_is_taken_back() {
    const NO_ENTRY: &[Refusal] = &[
        ("fentry", "*", "Device or resource busy (os error 16)"),
        ("a kprobe", "*", "Device or resource busy (os error 16)"),
    ];
    let mut attacher = Played::new(NO_ENTRY);
    let kernel = &SERIES[2];
    let hooks = play(kernel, kernel.kallsyms, Preference::Auto, &mut attacher);
    is_poorer_because(status(&hooks, Logical::NetnsSetup), "Device or resource busy");
    let halves: Vec<_> = attacher
        .attached
        .iter()
        .filter(|name| name.starts_with("netns_setup") || name.starts_with("pernet_init"))
        .collect();
    assert!(halves.is_empty(), "{halves:?}");
}
