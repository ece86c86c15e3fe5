//! The scenarios there are; the guest has one file for each.

use std::time::Duration;

use anyhow::Result;

use super::Cgroups;
use crate::Usage;

/// A scenario, as the host sees it.
pub struct Scenario {
    /// What `--scenario` calls it.
    pub name: &'static str,
    /// The machine's memory.
    pub memory_mib: u32,
    /// Whether its root is the disk with container runtimes.
    pub disk: bool,
    /// What it needs on the kernel's command line.
    pub append: &'static str,
    /// How its cgroups are mounted.
    pub cgroups: Cgroups,
    /// How long the machine may live.
    pub deadline: Duration,
    /// What fragwatch must say of it, if it is about causes.
    pub truth: Option<Truth>,
}

/// What happens in a scenario, and so what fragwatch must say. Creations that nothing happens to, the
/// twins, are in each of them; of those it must say nothing.
#[derive(Clone, Copy)]
pub struct Truth {
    /// Each trouble that containers meet, as the guest calls it, and its cause.
    pub parts: &'static [(&'static str, &'static str)],
    /// The kernels where it can happen; all if there are none.
    pub kernels: &'static [&'static str],
    /// It takes many minutes.
    pub slow: bool,
}

const MEMORY_MIB: u32 = 768;
const DEADLINE: Duration = Duration::from_mins(5);

/// The scenario of real container runtimes, whose outcome is a table.
pub const RUNTIMES: &str = "runtimes";

/// All scenarios.
pub const SCENARIOS: [Scenario; 22] = [
    with("healthy", truth(&[])),
    with("order6", truth(&[("order6", "fragmentation")])),
    with("fallback", truth(&[])),
    plain("endings"),
    plain("burst"),
    plain("flood"),
    plain("doctor"),
    Scenario {
        // Page tables then begin with two pages in one piece. Kernels from 6.14 on ask the processor
        // first whether it needs that, and an emulated one doesn't.
        append: "pti=on",
        ..with("oom-order1", truth(&[("fork", "oom-fragmentation")]))
    },
    with("oom-real", truth(&[("single", "exhaustion")])),
    with("exhausted", truth(&[("gives-up", "exhaustion"), ("atomic", "atomic-pressure")])),
    with("memcg-limit", truth(&[("memory", "memcg-limit"), ("both", "memcg-limit")])),
    Scenario {
        cgroups: Cgroups::V1,
        // Later kernels ignore that limit.
        ..with("memcg-kmem-v1", Truth { kernels: &["5.10"], ..truth(&[("kmem", "memcg-limit")]) })
    },
    Scenario {
        memory_mib: 4096,
        deadline: Duration::from_mins(30),
        ..with("memcg-ids", Truth { slow: true, ..truth(&[("mkdir", "memcg-ids")]) })
    },
    with("netns-limit", truth(&[("net", "namespace-limit"), ("pid", "namespace-limit")])),
    with("pids-limit", truth(&[("fork", "pids-limit")])),
    with("killed", truth(&[("wait", "not-memory")])),
    plain("check"),
    plain("cgroup-storm"),
    plain("hostile"),
    Scenario { cgroups: Cgroups::V1, ..plain("cgroup-renamed") },
    plain("cgroup-namespace"),
    Scenario {
        // Their daemons take as much as a small node has.
        memory_mib: 2048,
        disk: true,
        deadline: Duration::from_mins(25),
        ..plain(RUNTIMES)
    },
];

/// A scenario that is about no cause.
const fn plain(name: &'static str) -> Scenario {
    Scenario {
        name,
        memory_mib: MEMORY_MIB,
        disk: false,
        append: "",
        cgroups: Cgroups::V2,
        deadline: DEADLINE,
        truth: None,
    }
}

const fn with(name: &'static str, truth: Truth) -> Scenario {
    Scenario { truth: Some(truth), ..plain(name) }
}

const fn truth(parts: &'static [(&'static str, &'static str)]) -> Truth {
    Truth { parts, kernels: &[], slow: false }
}

/// The scenario of that name.
pub fn find(name: &str) -> Result<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name).ok_or_else(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        Usage::new(format!("there is no scenario {name}; there are {}", names.join(", "))).into()
    })
}
