//! What each cause offers on kernels from 3.10 to 7.2.
use super::*;
use crate::{
    diagnose::diagnose,
    fixtures,
    model::{
        allocation::{Allocation, Outcome},
        event::{ChargeFailed, EventKind, ForkRefused, LimitKind, OomKill, OomScope},
        incident::{Incident, LogSource, Source},
        memcg::MemcgState,
        notice::{HungIn, HungTask},
        program_message::{ContainerFailure, OtherLimit},
        slab::SlabCache,
        verdict::Cause,
        vmalloc::{Lack, VmallocFailed},
    },
};

const KERNELS: &[&str] = &[
    "3.10.0-229.el7.x86_64",
    "3.10.0-514.el7.x86_64",
    "3.10.0-1160.el7.x86_64",
    "3.10.104-1-tlinux2",
    "3.16.0-4-amd64",
    "4.4.0-31-generic",
    "4.9.0-19-amd64",
    "4.14.336",
    "4.18.0-553.el8_10.x86_64",
    "4.19.0-27-amd64",
    "5.4.0-174-generic",
    "5.8.0-63-generic",
    "5.9.16",
    "5.10.0-46-amd64",
    "5.14.0-503.el9.x86_64",
    "5.15.0-91-generic",
    "6.1.0-30-amd64",
    "6.8.0-51-generic",
    "6.12.8",
    "6.14.0-15-generic",
    "6.15.1",
    "7.2.0",
];

/// Settings that all of these have.
const ALWAYS: &[&str] = &[
    "vm.min_free_kbytes",
    "vm.lowmem_reserve_ratio",
    "kernel.pid_max",
    "kernel.threads-max",
    "kernel.keys",
    "fs.inotify",
    "fs.file-nr",
    "memory.usage_in_bytes",
    "memory.limit_in_bytes",
    "memory.kmem.limit_in_bytes",
    "memory.kmem.usage_in_bytes",
    "memory.stat",
    // kubelet's name.
    "memory.available",
    "cpuset.",
    "cgroup.procs",
    "cgroup.stat",
];

fn log(incident: Incident) -> Incident {
    Incident { source: Source::Log(LogSource::default()), page_size: 4096, ..incident }
}

fn said(error: StartError, errno: i32) -> Incident {
    let failure = ContainerFailure {
        program: None,
        container: None,
        pod: None,
        namespace: None,
        pod_uid: None,
        errno: Some(errno),
        error,
        said: String::new(),
    };
    log(Incident { messages: vec![failure], errno: Some(errno), ..Incident::default() })
}

fn allocation(change: impl FnOnce(&mut Allocation)) -> Incident {
    let mut allocation = fixtures::failed_creation().allocations.remove(0);
    change(&mut allocation);
    log(Incident { allocations: vec![allocation], ..Incident::default() })
}

fn killed(path: &str, state: MemcgState) -> Incident {
    let kill = OomKill { scope: OomScope::Memcg(Some(path.to_owned())), ..OomKill::default() };
    log(Incident { oom_kills: vec![kill], memcg: Some(state), ..Incident::default() })
}

/// One of each kind that has remedies of its own, with the cause that it must have.
fn incidents() -> Vec<(Cause, Incident)> {
    let mkdir = |path: &str| StartError::CgroupMkdir(path.to_owned());
    let refused = |cgroup: &str| {
        let refused = ForkRefused { cgroup: Some(cgroup.to_owned()), ..ForkRefused::default() };
        log(Incident { fork_refused: Some(refused), ..Incident::default() })
    };
    let kmem = MemcgState { kmem_usage: Some(5), kmem_limit: Some(5), ..MemcgState::default() };
    let v2 = MemcgState { v2: true, ..MemcgState::default() };
    let vmalloc = |bytes, lack| {
        let failed = VmallocFailed { bytes: Some(bytes), gfp: None, lack };
        log(Incident { vmalloc: vec![failed], ..Incident::default() })
    };
    let refused_cache = SlabCache {
        name: "nf_conntrack_1".to_owned(),
        size: None,
        failed: true,
        errno: Some(libc::ENOMEM),
    };
    let hung = HungTask { seconds: 120, waits_in: HungIn::Reclaim };
    let mut found = vec![
        (Cause::Fragmentation, allocation(|_| ())),
        (Cause::Fragmentation, allocation(|a| a.gfp.raw |= 1)),
        (Cause::Fragmentation, Incident { slab_caches: vec![refused_cache], ..allocation(|_| ()) }),
        (
            Cause::Exhaustion,
            allocation(|a| {
                let zones = &mut a.failure.as_mut().expect("it failed").zones;
                for zone in zones {
                    zone.min_watermark = zone.free;
                }
            }),
        ),
        (
            Cause::AtomicPressure,
            allocation(|a| {
                a.order = 0;
                a.gfp.traits.as_mut().expect("they are known").direct_reclaim = false;
                let zones = &mut a.failure.as_mut().expect("it failed").zones;
                for zone in zones {
                    zone.min_watermark = zone.free;
                }
            }),
        ),
        (Cause::Undetermined, allocation(|a| a.outcome = Outcome::Recovered)),
        (Cause::PidsLimit, said(StartError::Process, libc::EAGAIN)),
        (Cause::NamespaceLimit, said(StartError::Namespace, libc::ENOSPC)),
        (Cause::MemcgLimit, said(StartError::MemoryLimit("killed"), libc::EBUSY)),
        (Cause::NotMemory, vmalloc(0, Lack::Unsaid)),
        (Cause::VmallocExhaustion, vmalloc(4096, Lack::Addresses)),
        (Cause::Undetermined, log(Incident { hung: Some(hung), ..Incident::default() })),
        (Cause::MemcgLimit, killed("/a", kmem)),
        (Cause::MemcgLimit, killed("/a", v2)),
    ];
    for path in [
        "/kubepods",
        "/kubepods/pod1",
        "/docker/1",
        "/machine.slice/libpod-1.scope",
        "/lxc/1",
        "/ecs/1",
        "/nomad/1",
        "/user.slice/user-1.slice",
        "/system.slice/a.service",
        "/a",
    ] {
        found.push((Cause::MemcgLimit, killed(path, MemcgState::default())));
        found.push((Cause::PidsLimit, refused(path)));
    }
    for limit in [
        OtherLimit::Cgroups,
        OtherLimit::Keys,
        OtherLimit::Inotify,
        OtherLimit::Mounts,
        OtherLimit::OpenFiles,
        OtherLimit::BridgePorts,
        OtherLimit::Resctrl,
        OtherLimit::Cpuset,
        OtherLimit::FileSystem,
        OtherLimit::FileQuota,
    ] {
        found.push((Cause::NotMemory, said(StartError::OtherLimit(limit), libc::ENOSPC)));
    }
    // The errno of kernels before 5.8.
    found.push((Cause::MemcgIds, said(mkdir("/sys/fs/cgroup/memory/a"), libc::ENOSPC)));
    found.push((Cause::MemcgIds, said(mkdir("/sys/fs/cgroup/kubepods/a"), libc::ENOSPC)));
    found
}

fn on(kernel: &KernelVersion, incident: &Incident) -> crate::model::verdict::Verdict {
    let incident = Incident { kernel: Some(kernel.clone()), ..incident.clone() };
    diagnose(&Evidence::incident(&incident, &[]))
}

fn kernels() -> impl Iterator<Item = KernelVersion> {
    KERNELS.iter().map(|release| release.parse().expect("a release"))
}

#[test]
fn every_setting_in_a_command_is_known() {
    const PREFIXES: &[&str] =
        &["vm.", "kernel.", "user.", "fs.", "cgroup.", "memory.", "pids.", "cpuset."];
    for kernel in kernels() {
        for (_, incident) in incidents() {
            for remedy in on(&kernel, &incident).remedies {
                let words = remedy
                    .command
                    .split(|c: char| !(c.is_ascii_alphanumeric() || "._-/".contains(c)))
                    .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)));
                for word in words {
                    let known = ALWAYS.iter().any(|name| word.starts_with(name))
                        || SETTINGS.iter().any(|setting| {
                            word.contains(setting.name) || setting.name.starts_with(word)
                        })
                        // `memory.{current,max}`, beside the same of v1.
                        || word.ends_with('.');
                    assert!(known, "{word} in {}", remedy.command);
                }
            }
        }
    }
}

#[test]
fn no_kernel_is_offered_what_it_does_not_have() {
    for kernel in kernels() {
        let before = |major, minor| !kernel.is_at_least(major, minor);
        let missing = [
            ("compaction_proactiveness", before(5, 9)),
            ("defrag_mode", before(6, 15)),
            ("watermark_scale_factor", before(4, 6)),
            ("cgroup.max.descendants", before(4, 14)),
            ("cgroup.stat", before(4, 14)),
            ("/proc/pressure", before(4, 20)),
            ("memory.current", before(4, 5)),
            ("MemoryMax", before(4, 5)),
        ];
        for (_, incident) in incidents() {
            let verdict = on(&kernel, &incident);
            let commands = verdict.remedies.iter().map(|remedy| remedy.command);
            for text in commands.chain(verdict.not_seen.iter().map(String::as_str)) {
                for (name, missing) in missing {
                    assert!(!(missing && text.contains(name)), "{kernel}: {text}");
                }
                let names_v2_alone = text.contains("memory.max") && !text.contains("v1");
                assert!(!(before(4, 5) && names_v2_alone), "{kernel}: {text}");
            }
            let order: Vec<bool> = verdict.remedies.iter().map(|r| r.durable).collect();
            assert!(order.is_sorted(), "{kernel}: {order:?}");
        }
    }
}

#[test]
fn each_kind_has_its_cause_and_something_to_do() {
    let kernel: KernelVersion = "5.4.0-174-generic".parse().expect("a release");
    for (cause, incident) in incidents() {
        let verdict = on(&kernel, &incident);
        assert_eq!(verdict.cause, cause, "{incident:?}");
        assert!(cause == Cause::Undetermined || !verdict.remedies.is_empty(), "{incident:?}");
    }
}

#[track_caller]
fn offers(kernel: &str, incident: &Incident, name: &str) -> bool {
    let verdict = on(&kernel.parse().expect("a release"), incident);
    verdict.remedies.iter().any(|remedy| remedy.command.contains(name))
}

#[test]
fn newer_settings_come_with_their_kernel() {
    let fragmented = allocation(|_| ());
    for (name, without, with) in [
        ("compaction_proactiveness", "5.8.0", "5.9.0"),
        ("defrag_mode", "6.14.0", "6.15.0"),
        ("compact_memory", "", "3.10.0-229.el7.x86_64"),
    ] {
        assert!(without.is_empty() || !offers(without, &fragmented, name), "{name}");
        assert!(offers(with, &fragmented, name), "{name}");
    }
    let ids = said(StartError::CgroupMkdir("/sys/fs/cgroup/memory/a".to_owned()), libc::ENOMEM);
    assert!(offers("3.10.0-1160.el7.x86_64", &ids, "nokmem"));
    assert!(!offers("3.10.0-1160.el7.x86_64", &ids, "yum update"));
    assert!(offers("3.10.0-514.el7.x86_64", &ids, "yum update"));
    assert!(!offers("5.4.0", &ids, "nokmem"), "it gives ids back by itself");
    let namespace = said(StartError::Namespace, libc::ENOSPC);
    assert!(offers("3.10.0-1160.el7.x86_64", &namespace, "user.max_"));
    assert!(!offers("3.10.0-229.el7.x86_64", &namespace, "user.max_"));
}

#[test]
fn low_zones_have_their_own_remedy() {
    let low = allocation(|a| a.gfp.raw |= 1);
    assert!(offers("6.1.0", &low, "lowmem_reserve_ratio"));
    assert!(!offers("6.1.0", &low, "min_free_kbytes"));
    assert!(!offers("6.1.0", &allocation(|_| ()), "lowmem_reserve_ratio"));
}

#[test]
fn limits_are_raised_by_their_owner() {
    let of = |path: &str| killed(path, MemcgState::default());
    for (path, with, without) in [
        ("/kubepods/burstable/pod1/2", "kubectl set resources", "docker update"),
        ("/kubepods.slice", "kubectl describe node", "kubectl set resources"),
        ("/docker/2", "docker update", "kubectl"),
        ("/user.slice/user-7.slice", "user-<uid>.slice MemoryMax", "kubectl"),
    ] {
        assert!(offers("5.15.0", &of(path), with), "{path}");
        assert!(!offers("5.15.0", &of(path), without), "{path}");
    }
    assert!(offers("3.10.0-1160.el7.x86_64", &of("/system.slice/a.service"), "MemoryLimit"));
    let charge = fixtures::every_event().into_iter().find_map(|event| match event {
        EventKind::ChargeFailed(charge) => Some(charge),
        _ => None,
    });
    let charge = charge.expect("one of each kind");
    let charge = ChargeFailed { limit_kind: Some(LimitKind::Kmem), ..charge };
    let evidence = Evidence { charges: std::slice::from_ref(&charge), ..Evidence::default() };
    assert_eq!(evidence.cgroup_v1(), Some(true));
}
