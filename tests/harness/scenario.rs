//! The scenarios: the one list of them. The guest has a file for each.

use std::time::Duration;

use anyhow::Result;

use crate::Usage;
use crate::disk::Disk;
use crate::job::Cgroups;
use crate::kernel::Series;

/// A scenario, as the host sees it.
pub struct Scenario {
    /// Its name on the command line and in the guest.
    pub name: &'static str,
    /// The machine's memory.
    pub memory_mib: u32,
    /// How large a disk for swap is, which the guest swaps to; none if 0.
    pub swap_mib: u32,
    /// On how many NUMA nodes that is.
    pub nodes: u32,
    /// Its processors, unless its instructions are counted: then it has one.
    pub processors: u32,
    /// What is on its root; nothing but the programs under test if not set.
    pub disk: Option<Disk>,
    /// What it needs on the kernel's command line.
    pub append: &'static str,
    /// How its cgroups are mounted.
    pub cgroups: Cgroups,
    /// Further arguments of `fragwatch trace`, where its truth is looked for.
    pub args: &'static [&'static str],
    /// The first version, major and minor, on which it can happen.
    pub since: Option<(u64, u64)>,
    /// The first version on which it can't happen any more.
    pub until: Option<(u64, u64)>,
    /// The machine is killed after this time.
    pub deadline: Duration,
    /// What fragwatch must report of it, if it is about causes.
    pub truth: Option<Truth>,
}

/// The faults of a scenario and their causes. Every scenario has controls too: creations without a
/// fault, which fragwatch must not report as failed.
#[derive(Clone, Copy)]
pub struct Truth {
    /// Each fault that containers meet, by its name in the guest, and its cause.
    pub faults: &'static [(&'static str, &'static str)],
    /// It takes many minutes.
    pub slow: bool,
}

const MEMORY_MIB: u32 = 768;
/// For most scenarios. A machine needs a minute; the rest is for a busy host.
pub(crate) const DEADLINE: Duration = Duration::from_mins(8);
/// From this version on Debian's kernels have no v1 memory controller.
const NO_V1: Option<(u64, u64)> = Some((6, 12));

/// The scenario of real container runtimes, whose outcome is a table.
pub const RUNTIMES: &str = "runtimes";

/// All scenarios.
pub const SCENARIOS: [Scenario; 41] = [
    with("healthy", truth(&[])),
    with("order6", truth(&[("order6", "fragmentation")])),
    with("fallback", truth(&[])),
    plain("endings"),
    plain("burst"),
    plain("flood"),
    Scenario { processors: 16, ..slow("many-nodes", 2048, 8) },
    plain("doctor"),
    Scenario {
        // Page tables then begin with two pages in one piece. Kernels from 6.14 on ask the processor
        // first whether it needs that, and an emulated one doesn't.
        append: "pti=on",
        ..with("oom-order1", truth(&[("fork", "oom-fragmentation")]))
    },
    // As for oom-order1.
    Scenario { append: "pti=on", ..plain("oom-victims") },
    with("oom-real", truth(&[("single", "exhaustion")])),
    with("exhausted", truth(&[("gives-up", "exhaustion"), ("atomic", "atomic-pressure")])),
    with("memcg-limit", truth(&[("memory", "memcg-limit"), ("both", "memcg-limit")])),
    with("full-pod", truth(&[("mkdir", "memcg-limit")])),
    Scenario {
        cgroups: Cgroups::V1,
        // Later kernels ignore that limit (since 5.16, mm/memcontrol.c).
        until: Some((5, 16)),
        ..with("memcg-kmem-v1", truth(&[("kmem", "memcg-limit")]))
    },
    Scenario {
        memory_mib: 4096,
        deadline: Duration::from_mins(30),
        ..with("memcg-ids", Truth { slow: true, ..truth(&[("mkdir", "memcg-ids")]) })
    },
    with("netns-limit", truth(&[("net", "namespace-limit"), ("pid", "namespace-limit")])),
    with("pids-limit", truth(&[("fork", "pids-limit")])),
    with("fork-memcg", truth(&[("fork", "memcg-limit")])),
    with("fork-nproc", truth(&[("fork", "pids-limit")])),
    with("exec-enomem", truth(&[("exec", "fragmentation")])),
    with("mount-enomem", truth(&[("mount", "fragmentation")])),
    with("link-order6", truth(&[("link", "fragmentation"), ("plugin", "fragmentation")])),
    with("keyring-quota", truth(&[("keyring", "not-memory")])),
    Scenario {
        // From here on programs are charged to memory cgroups (kernel/bpf/core.c).
        since: Some((5, 11)),
        ..with("seccomp-memcg", truth(&[("seccomp", "memcg-limit")]))
    },
    Scenario {
        // They are charged to memory cgroups from there on.
        until: Some((5, 11)),
        ..with("memlock", truth(&[("device-filter", "not-memory")]))
    },
    Scenario {
        cgroups: Cgroups::V1,
        until: NO_V1,
        ..with("cpuset-empty", truth(&[("cpuset", "not-memory")]))
    },
    with("killed", truth(&[("wait", "not-memory")])),
    with("oom-group", truth(&[("group", "memcg-limit")])),
    Scenario {
        args: &["--stall", "100us"],
        ..with("near-miss", truth(&[("memcg", "memcg-limit"), ("compaction", "fragmentation")]))
    },
    plain("check"),
    plain("serve"),
    plain("cgroup-storm"),
    plain("hostile"),
    with("userns-flood", truth(&[("order6", "fragmentation")])),
    plain("stuck"),
    plain("reader-stopped"),
    with("sandbox", truth(&[("net", "namespace-limit")])),
    Scenario { cgroups: Cgroups::V1, until: NO_V1, ..plain("cgroup-renamed") },
    plain("cgroup-namespace"),
    Scenario {
        // Their daemons take as much as a small node has.
        memory_mib: 2048,
        disk: Some(Disk::Runtimes),
        deadline: Duration::from_mins(25),
        ..plain(RUNTIMES)
    },
];

/// The package on a Debian whose process 1 is systemd: what happens is up to the guest, and fragwatch is the
/// package's.
pub static PACKAGED: Scenario = Scenario {
    memory_mib: 1024,
    disk: Some(Disk::Debian),
    deadline: Duration::from_mins(15),
    ..plain("packaged")
};

/// What `cargo xtask page` boots: as `order6`, and then time to look at the page of `serve`.
pub static PAGE: Scenario = plain("page");

/// The line on stream `node` by which the page can be looked at.
pub const PAGE_READY: &str = "the page has the failure";

/// The DaemonSet's pod on containerd: fragwatch is in the pod, and none is beside it.
pub static DAEMONSET: Scenario = Scenario {
    memory_mib: 1536,
    disk: Some(Disk::Runtimes),
    deadline: Duration::from_mins(25),
    ..plain("daemonset")
};

/// What `cargo xtask bench overhead` boots: it compares fragwatch's costs, and is about no report.
pub static OVERHEAD: Scenario = measurement("overhead");

/// What `cargo xtask bench soak` boots.
pub static SOAK: Scenario = measurement("soak");

/// What `cargo xtask bench forecast` boots, one for each of its courses.
pub static FORECASTS: [Scenario; 8] = [
    measurement("forecast-leak"),
    // As many memory cgroups as there can be take three GiB.
    Scenario { memory_mib: 4096, ..measurement("forecast-cgroups") },
    measurement("forecast-namespaces"),
    measurement("forecast-growth"),
    Scenario { disk: Some(Disk::Runtimes), ..measurement("forecast-cache") },
    measurement("forecast-churn"),
    measurement("forecast-deployment"),
    measurement("forecast-few"),
];

/// A scenario that measures, and starts fragwatch itself.
const fn measurement(name: &'static str) -> Scenario {
    Scenario {
        // bpftrace takes a hundred more than the others.
        memory_mib: 1024,
        deadline: Duration::from_hours(2),
        ..plain(name)
    }
}

/// Runs of `fragwatch reproduce`, without another fragwatch beside them. The machines' arguments are groups
/// of cases.
pub static REPRODUCE: [Scenario; 9] = [
    slow("reproduce", MEMORY_MIB, 1),
    Scenario { swap_mib: 512, ..slow("reproduce-swap", MEMORY_MIB, 1) },
    slow("reproduce-ids", 4096, 1),
    slow("reproduce-512m", 512, 1),
    slow("reproduce-2g", 2048, 1),
    slow("reproduce-6g", 6144, 1),
    slow("reproduce-512m-4-nodes", 512, 4),
    slow("reproduce-2g-4-nodes", 2048, 4),
    slow("reproduce-6g-4-nodes", 6144, 4),
];

/// One that takes many minutes.
const fn slow(name: &'static str, memory_mib: u32, nodes: u32) -> Scenario {
    Scenario { memory_mib, nodes, deadline: Duration::from_mins(45), ..plain(name) }
}

/// A scenario that is about no cause.
const fn plain(name: &'static str) -> Scenario {
    Scenario {
        name,
        memory_mib: MEMORY_MIB,
        swap_mib: 0,
        nodes: 1,
        processors: 2,
        disk: None,
        append: "",
        cgroups: Cgroups::V2,
        args: &[],
        since: None,
        until: None,
        deadline: DEADLINE,
        truth: None,
    }
}

const fn with(name: &'static str, truth: Truth) -> Scenario {
    Scenario { truth: Some(truth), ..plain(name) }
}

const fn truth(faults: &'static [(&'static str, &'static str)]) -> Truth {
    Truth { faults, slow: false }
}

impl Scenario {
    /// Whether it can happen on a kernel with cgroups mounted so.
    #[must_use]
    pub fn can_run(&self, series: &Series, cgroups: Cgroups) -> bool {
        let before = |limit: Option<(u64, u64)>| {
            limit.is_none_or(|(major, minor)| series.is_before(major, minor))
        };
        let is_there = self.since.is_none_or(|(major, minor)| !series.is_before(major, minor));
        is_there && before(self.until) && (cgroups == Cgroups::V2 || before(NO_V1))
    }
}

/// The scenario of that name; [`Usage`] if there is none.
pub fn find(name: &str) -> Result<&'static Scenario> {
    let known = || {
        SCENARIOS
            .iter()
            .chain([&OVERHEAD, &SOAK, &PACKAGED, &DAEMONSET, &PAGE])
            .chain(&FORECASTS)
            .chain(&REPRODUCE)
    };
    known().find(|scenario| scenario.name == name).ok_or_else(|| {
        let names: Vec<&str> = known().map(|scenario| scenario.name).collect();
        Usage::new(format!("there is no scenario {name}; there are {}", names.join(", "))).into()
    })
}
