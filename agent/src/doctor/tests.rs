//! The reports of kernels known from their extracts.
use caps::Capability;
use fragwatch_core::model::hook::AttachKind;

use super::*;
use crate::{
    hook::fake_kernel::{Answer, FakeKernel, NO_KPROBES, Rule, STOCK, attach_on},
    kernel::{
        environment::{Cgroups, Lockdown},
        fixtures::{self, Fixture, SERIES},
    },
};

/// A node of this kernel where all is as it should be, and fragwatch is run as root.
fn node(kernel: &Fixture, rules: &'static [Rule]) -> Checkup {
    let types = Btf::index(kernel.btf).expect("a kernel's own");
    Checkup {
        kernel: kernel.name.to_owned(),
        btf: Ok(BtfFound {
            // Of the whole file, not of its extract.
            size: 5 << 20,
            missing: offsets::resolve(&types).missing,
        }),
        kallsyms: Kallsyms::Whole,
        environment: Environment {
            lockdown: Lockdown::Off,
            kprobes: true,
            tracefs: Some("/sys/kernel/tracing".into()),
            bpffs: Some("/sys/fs/bpf".into()),
            cgroups: Cgroups::V2,
            perf_event_paranoid: Some(2),
            unprivileged_bpf_disabled: Some(2),
            kptr_restrict: Some(0),
        },
        capabilities: privileges::USES.map(|u| (u, true)).to_vec(),
        hooks: attach_on(kernel, kernel.kallsyms, Preference::Auto, &mut FakeKernel::new(rules)),
        not_seen: Vec::new(),
        obstacle: None,
    }
}

/// The kernel that has no kprobes, locked down to integrity, on cgroup v1.
fn without_kprobes() -> Checkup {
    let mut checkup = node(&fixtures::NO_KPROBES, NO_KPROBES);
    checkup.environment.kprobes = false;
    checkup.environment.lockdown = Lockdown::Integrity;
    checkup.environment.cgroups = Cgroups::V1;
    checkup
}

/// Somebody without any capability looks at 6.12.
fn unprivileged() -> Checkup {
    let kernel = &SERIES[2];
    let symbols = Symbols::parse(kernel.hidden_kallsyms().as_bytes()).expect("reads from memory");
    let types = Btf::index(kernel.btf).expect("a kernel's own");
    let target = Target {
        symbols: &symbols,
        types: &types,
        unusable_records: &[],
        preference: Preference::Auto,
    };
    let missing = vec!["CAP_BPF".to_owned(), "CAP_PERFMON".to_owned()];
    let mut checkup = node(kernel, STOCK);
    checkup.capabilities.iter_mut().for_each(|(_, held)| *held = false);
    checkup.kallsyms = Kallsyms::Attributions;
    checkup.hooks = hook::dry_run(&target);
    checkup.obstacle = Some(privileges::MissingCapabilities { missing }.to_string());
    checkup
}

fn text(checkup: &Checkup) -> String {
    let mut styled = Vec::new();
    text::write(checkup, &mut styled).expect("memory takes all");
    let plain = anstream::adapter::strip_bytes(&styled).into_vec();
    String::from_utf8(plain).expect("UTF-8")
}

fn json(checkup: &Checkup) -> String {
    let mut line = Vec::new();
    json::write(checkup, &mut line).expect("memory takes all");
    let line = String::from_utf8(line).expect("UTF-8");
    assert_eq!(line.lines().count(), 1, "one object a line");
    let value: serde_json::Value = serde_json::from_str(&line).expect("one object");
    serde_json::to_string_pretty(&value).expect("it was just parsed")
}

#[test]
fn stock_kernels_are_seen_in_full() {
    for kernel in &SERIES {
        let checkup = node(kernel, STOCK);
        assert_eq!(checkup.standing(), Standing::Full);
        insta::assert_snapshot!(format!("text-{}", kernel.name), text(&checkup));
        insta::assert_snapshot!(format!("json-{}", kernel.name), json(&checkup));
    }
}

#[test]
fn without_kprobes_it_is_degraded() {
    let checkup = without_kprobes();
    assert_eq!(checkup.standing(), Standing::Degraded);
    insta::assert_snapshot!("text-no-kprobes", text(&checkup));
    insta::assert_snapshot!("json-no-kprobes", json(&checkup));
}

#[test]
fn without_capabilities_it_tells_what_could_be() {
    let checkup = unprivileged();
    assert_eq!(checkup.standing(), Standing::CannotRun);
    insta::assert_snapshot!("text-unprivileged", text(&checkup));
    insta::assert_snapshot!("json-unprivileged", json(&checkup));
}

#[test]
fn without_type_information_it_can_not_run() {
    let mut checkup = node(&SERIES[2], STOCK);
    let error = StartError::NoBtf(io::Error::from_raw_os_error(libc::ENOENT)).to_string();
    checkup.btf = Err(error.clone());
    checkup.hooks.clear();
    checkup.obstacle = Some(error);
    assert_eq!(checkup.standing(), Standing::CannotRun);
    insta::assert_snapshot!("text-no-btf", text(&checkup));
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let codes = [Standing::Full, Standing::Degraded, Standing::CannotRun].map(Standing::exit_code);
    assert_eq!(codes, [0, 1, 2]);
}

#[test]
fn what_is_lost_besides_hooks_degrades_too() {
    let mut checkup = node(&SERIES[2], STOCK);
    checkup.not_seen.push("names of functions: they are hidden".to_owned());
    assert_eq!(checkup.standing(), Standing::Degraded);
    assert_eq!(checkup.lost(), ["names of functions: they are hidden"]);
}

/// Advice for a node that lacks one thing.
fn advice_without(change: impl FnOnce(&mut Checkup)) -> String {
    let mut checkup = node(&SERIES[2], STOCK);
    assert_eq!(advice::advice(&checkup), Vec::<String>::new());
    change(&mut checkup);
    advice::advice(&checkup).join("\n")
}

fn drop_capability(checkup: &mut Checkup, capability: Capability) {
    for (u, held) in &mut checkup.capabilities {
        *held &= u.capability != capability;
    }
}

#[test]
fn advice_names_what_is_missing() {
    const NO_TRACEPOINTS: &[Rule] = &[(AttachKind::Tracepoint, "*", Answer::NoTracefs)];
    const PARANOID: &[Rule] = &[
        (AttachKind::Kprobe, "*", Answer::Errno(libc::EACCES)),
        (AttachKind::Tracepoint, "*", Answer::Errno(libc::EACCES)),
        (AttachKind::Breakpoint, "*", Answer::Errno(libc::EACCES)),
    ];
    let no_tracepoints = || {
        let kernel = &SERIES[2];
        let mut attacher = FakeKernel::new(NO_TRACEPOINTS);
        attach_on(kernel, kernel.kallsyms, Preference::Auto, &mut attacher)
    };
    let unmounted = advice_without(|checkup| {
        checkup.hooks = no_tracepoints();
        checkup.environment.tracefs = None;
    });
    assert!(unmounted.contains("mount -t tracefs"), "{unmounted}");
    assert_eq!(unmounted.lines().count(), 1);
    let closed = advice_without(|checkup| {
        checkup.hooks = no_tracepoints();
        drop_capability(checkup, Capability::CAP_DAC_READ_SEARCH);
    });
    assert_eq!(closed, "give it CAP_DAC_READ_SEARCH, for tracepoints");
    let hidden = advice_without(|checkup| {
        checkup.kallsyms = Kallsyms::Attributions;
        checkup.environment.kptr_restrict = Some(2);
    });
    assert!(hidden.contains("sysctl -w kernel.kptr_restrict=1"), "{hidden}");
    let no_syslog = advice_without(|checkup| {
        checkup.kallsyms = Kallsyms::Attributions;
        drop_capability(checkup, Capability::CAP_SYSLOG);
    });
    assert_eq!(no_syslog, "give it CAP_SYSLOG, for names of functions");
    let paranoid = advice_without(|checkup| {
        let kernel = &SERIES[2];
        let mut attacher = FakeKernel::new(PARANOID);
        checkup.hooks = attach_on(kernel, kernel.kallsyms, Preference::Auto, &mut attacher);
        checkup.environment.perf_event_paranoid = Some(3);
        drop_capability(checkup, Capability::CAP_SYS_ADMIN);
    });
    assert!(paranoid.contains("sysctl -w kernel.perf_event_paranoid=2"), "{paranoid}");
    assert_eq!(paranoid.lines().count(), 1);
    let locked = advice_without(|c| c.environment.lockdown = Lockdown::Confidentiality);
    assert!(locked.contains("without lockdown=confidentiality"), "{locked}");
    // Nothing is lost without it here.
    assert_eq!(advice_without(|c| c.environment.bpffs = None), "");
    assert_eq!(advice_without(|c| drop_capability(c, Capability::CAP_SYS_ADMIN)), "");
}

/// Before 5.11 maps count against RLIMIT_MEMLOCK.
#[test]
fn refused_maps_ask_for_their_limit() {
    let mut checkup = unprivileged();
    checkup.capabilities.iter_mut().for_each(|(u, held)| *held = u.required);
    checkup.obstacle =
        Some(StartError::Load("Operation not permitted (os error 1)".to_owned()).to_string());
    let advice = advice::advice(&checkup);
    assert!(advice[0].starts_with("give it CAP_SYS_RESOURCE, or"), "{advice:#?}");
}

/// 7.2 has inlined what could be probed instead.
#[test]
fn a_refused_breakpoint_asks_for_its_capability() {
    const NO_BREAKPOINT: &[Rule] = &[
        (AttachKind::Kprobe, "__alloc_pages_slowpath.constprop.0", Answer::Errno(libc::EINVAL)),
        (AttachKind::Breakpoint, "*", Answer::Errno(libc::EPERM)),
    ];
    let mut checkup = node(&SERIES[3], NO_BREAKPOINT);
    drop_capability(&mut checkup, Capability::CAP_SYS_ADMIN);
    assert_eq!(checkup.standing(), Standing::Degraded);
    assert_eq!(advice::advice(&checkup), ["give it CAP_SYS_ADMIN, for the execution breakpoint"]);
}
