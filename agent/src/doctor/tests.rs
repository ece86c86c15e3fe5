//! `doctor` reports for kernels known by their BTF and kallsyms extracts.
use caps::Capability;
use fragwatch_core::{
    model::hook::AttachKind,
    report::{Format as _, Json, Text},
};
use jiff::tz::TimeZone;

use super::*;
use crate::{
    hook::fake_kernel::{Answer, FakeKernel, NO_KPROBES, Rule, STOCK, attach_on},
    kernel::{
        environment::{Cgroups, Lockdown},
        fixtures::{self, Fixture, SERIES},
    },
};

/// A node with this kernel and default settings, fragwatch running as root.
fn node(kernel: &Fixture, rules: &'static [Rule]) -> Checkup {
    let types = Btf::index(kernel.btf).expect("a kernel's own");
    Checkup {
        kernel: kernel.name.to_owned(),
        btf: Ok(BtfFound {
            // The size of the complete file, not of the extract.
            size: 5 << 20,
            missing: offsets::resolve(&types).missing,
        }),
        kallsyms: Kallsyms::Complete,
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

/// A kernel without kprobes, in lockdown integrity mode, on cgroup v1.
fn without_kprobes() -> Checkup {
    let mut checkup = node(&fixtures::NO_KPROBES, NO_KPROBES);
    checkup.environment.kprobes = false;
    checkup.environment.lockdown = Lockdown::Integrity;
    checkup.environment.cgroups = Cgroups::V1;
    checkup
}

/// `doctor` run without any capability on 6.12.
fn unprivileged() -> Checkup {
    let kernel = &SERIES[2];
    let symbols = FunctionNames::read(kernel.hidden_kallsyms().as_bytes(), own_text)
        .expect("reads from memory");
    let types = Btf::index(kernel.btf).expect("a kernel's own");
    let target = Target {
        symbols: &symbols,
        prototypes: &types.prototypes(&hook::trampoline_functions()),
        unusable_records: &[],
        preference: Preference::Auto,
    };
    let missing = vec!["CAP_BPF".to_owned(), "CAP_PERFMON".to_owned()];
    let mut checkup = node(kernel, STOCK);
    checkup.capabilities.iter_mut().for_each(|(_, held)| *held = false);
    checkup.kallsyms = Kallsyms::NamesOnly;
    checkup.hooks = hook::dry_run(&target);
    checkup.obstacle = Some(privileges::MissingCapabilities { missing }.to_string());
    checkup
}

/// As on a kernel before 5.13 that hides addresses.
fn hide_names(checkup: &mut Checkup) {
    checkup.kallsyms = Kallsyms::NamesOnly;
    checkup.not_seen.push(format!("names of functions: {}", SymbolError::Hidden));
}

fn text(checkup: &Checkup) -> String {
    let mut styled = Vec::new();
    Text::new(&mut styled, TimeZone::UTC).line(&view::line(checkup)).expect("memory takes all");
    let plain = anstream::adapter::strip_bytes(&styled).into_vec();
    String::from_utf8(plain).expect("UTF-8")
}

fn json(checkup: &Checkup) -> String {
    let mut line = Vec::new();
    Json::new(&mut line).line(&view::line(checkup)).expect("memory takes all");
    let line = String::from_utf8(line).expect("UTF-8");
    assert_eq!(line.lines().count(), 1, "one object a line");
    let value: serde_json::Value = serde_json::from_str(&line).expect("one object");
    serde_json::to_string_pretty(&value).expect("it was just parsed")
}

#[test]
fn stock_kernels_have_status_full() {
    for kernel in &SERIES {
        let checkup = node(kernel, STOCK);
        assert_eq!(checkup.status(), DoctorStatus::Full);
        insta::assert_snapshot!(format!("text-{}", kernel.name), text(&checkup));
        insta::assert_snapshot!(format!("json-{}", kernel.name), json(&checkup));
    }
}

#[test]
fn a_kernel_without_kprobes_is_degraded() {
    let checkup = without_kprobes();
    assert_eq!(checkup.status(), DoctorStatus::Degraded);
    insta::assert_snapshot!("text-no-kprobes", text(&checkup));
    insta::assert_snapshot!("json-no-kprobes", json(&checkup));
}

#[test]
fn without_capabilities_the_report_lists_all_hooks() {
    let checkup = unprivileged();
    assert_eq!(checkup.status(), DoctorStatus::CannotRun);
    insta::assert_snapshot!("text-unprivileged", text(&checkup));
    insta::assert_snapshot!("json-unprivileged", json(&checkup));
}

#[test]
fn a_kernel_without_btf_cannot_run() {
    let mut checkup = node(&SERIES[2], STOCK);
    let error = StartError::NoBtf(io::Error::from_raw_os_error(libc::ENOENT)).to_string();
    checkup.btf = Err(error.clone());
    checkup.hooks.clear();
    checkup.obstacle = Some(error);
    assert_eq!(checkup.status(), DoctorStatus::CannotRun);
    insta::assert_snapshot!("text-no-btf", text(&checkup));
}

#[test]
fn exit_codes_match_the_documentation() {
    let codes = [DoctorStatus::Full, DoctorStatus::Degraded, DoctorStatus::CannotRun]
        .map(DoctorStatus::exit_code);
    assert_eq!(codes, [0, 1, 2]);
}

#[test]
fn hidden_function_names_degrade_the_status() {
    let mut checkup = node(&SERIES[2], STOCK);
    checkup.not_seen.push("names of functions: they are hidden".to_owned());
    assert_eq!(checkup.status(), DoctorStatus::Degraded);
    assert_eq!(checkup.lost(), ["names of functions: they are hidden"]);
}

/// The advice after one change to a node that needs none.
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
fn advice_names_the_missing_prerequisite() {
    const NO_TRACEPOINTS: &[Rule] = &[(AttachKind::Tracepoint, "*", Answer::NoTracefs)];
    const PARANOID: &[Rule] = &[
        (AttachKind::Kprobe, "*", Answer::Errno(libc::EACCES)),
        (AttachKind::Tracepoint, "*", Answer::Errno(libc::EACCES)),
    ];
    let no_tracepoints = || {
        let kernel = &SERIES[2];
        let mut attacher = FakeKernel::new(NO_TRACEPOINTS);
        attach_on(kernel, kernel.kallsyms, Preference::Tracepoint, &mut attacher)
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
        hide_names(checkup);
        checkup.environment.kptr_restrict = Some(2);
    });
    assert!(hidden.contains("sysctl -w kernel.kptr_restrict=1"), "{hidden}");
    let no_syslog = advice_without(|checkup| {
        hide_names(checkup);
        drop_capability(checkup, Capability::CAP_SYSLOG);
    });
    assert_eq!(no_syslog, "give it CAP_SYSLOG, for names of functions");
    // Since 5.13 the kernel prints them.
    let printed = advice_without(|checkup| {
        checkup.kallsyms = Kallsyms::NamesOnly;
        drop_capability(checkup, Capability::CAP_SYSLOG);
    });
    assert_eq!(printed, "");
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
    // These two are not needed on this node, so no advice is given.
    assert_eq!(advice_without(|c| c.environment.bpffs = None), "");
    assert_eq!(advice_without(|c| drop_capability(c, Capability::CAP_SYS_ADMIN)), "");
}

/// Before 5.11 maps count against RLIMIT_MEMLOCK.
#[test]
fn a_refused_map_advises_to_raise_the_memlock_limit() {
    let mut checkup = unprivileged();
    checkup.capabilities.iter_mut().for_each(|(u, held)| *held = u.required);
    checkup.obstacle =
        Some(StartError::Load("Operation not permitted (os error 1)".to_owned()).to_string());
    let advice = advice::advice(&checkup);
    assert!(advice[0].starts_with("give it CAP_SYS_RESOURCE, or"), "{advice:#?}");
}

/// Also on 7.2, which inlines the function that slow paths are noticed by elsewhere.
#[test]
fn no_kernel_needs_cap_sys_admin() {
    for kernel in &SERIES {
        let mut checkup = node(kernel, STOCK);
        drop_capability(&mut checkup, Capability::CAP_SYS_ADMIN);
        assert_eq!(checkup.status(), DoctorStatus::Full, "{}", kernel.name);
        assert_eq!(advice::advice(&checkup), Vec::<String>::new(), "{}", kernel.name);
    }
}
