//! The cases, by group.

use anyhow::{Result, bail};

/// What the fragmentation of one node was.
pub(super) const INCIDENT: &str =
    include_str!("../../fixtures/incidents/2019-tke-order6-buddyinfo.txt");

/// What `trace` recorded when a container failed on a fragmented node.
pub(super) const CAPTURE: &str = include_str!("../../fixtures/captures/6.12-order6.jsonl");

/// Starts a container that ends at once.
pub(super) const RUNC: [&str; 6] =
    ["/sbin/runc", "run", "--no-pivot", "--bundle", "/run/bundle", "web"];

/// One run of fragwatch.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The arguments of `reproduce`.
    pub(super) args: &'static [&'static str],
    /// Whether network namespaces need a block of order 6.
    pub(super) module: bool,
    /// Whether the container is made in the cgroup with the limit.
    pub(super) below_limit: bool,
    pub(super) how: How,
    /// Files that are written before, and what.
    pub(super) settings: &'static [(&'static str, &'static str)],
}

/// How it ends.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// By itself.
    Finish,
    /// By itself, as a user without privileges.
    Unprivileged,
    /// It is killed when its command runs.
    Kill,
}

/// The cases of a group.
pub(super) fn of(group: &str) -> Result<Vec<Case>> {
    Ok(match group {
        "short" => short(),
        "fast" => fast(),
        "all" => [fast(), more()].into_iter().flatten().collect(),
        "v1" => v1(),
        "no-memcg" => no_memcg(),
        "memcg-ids" => memcg_ids(),
        "memory" => memory(),
        "swap" => swap(),
        "states" => states(),
        _ => bail!("there is no group {group}"),
    })
}

const fn case(name: &'static str, args: &'static [&'static str]) -> Case {
    let how = How::Finish;
    Case { name, args, module: false, below_limit: false, how, settings: &[] }
}

const fn with_module(case: Case) -> Case {
    Case { module: true, ..case }
}

const fn below_limit(case: Case) -> Case {
    Case { below_limit: true, ..case }
}

/// A cause with an expectation, and runc: `runc!["netns-limit", "--expect", "ok"]`.
macro_rules! runc {
    ($($arg:expr),*) => {
        &[
            $($arg,)* "--format", "json", "--",
            RUNC[0], RUNC[1], RUNC[2], RUNC[3], RUNC[4], RUNC[5],
        ]
    };
}

/// A cause, and a command that does nothing: `nothing!["fragmentation", "--order", "30"]`.
macro_rules! nothing {
    ($($arg:expr),*) => {
        &[$($arg,)* "--format", "json", "--", "/bin/busybox", "true"]
    };
}

/// Two failures and their controls, and what is refused at once.
fn short() -> Vec<Case> {
    vec![
        case("order-6-control", runc!["fragmentation", "--order", "6", "--expect", "ok"]),
        with_module(case(
            "order-6",
            runc!["fragmentation", "--order", "6", "--expect", "fail:fragmentation"],
        )),
        case("netns", runc!["netns-limit", "--expect", "fail:namespace-limit"]),
        case("netns-control", runc!["netns-limit", "--left", "5", "--expect", "ok"]),
        case("large-order", nothing!["fragmentation", "--order", "30"]),
        case("no-state", nothing!["fragmentation", "--like", "/tmp/no-state.json"]),
    ]
}

/// More failures, and ends before the state is undone.
fn fast() -> Vec<Case> {
    let sleeper = &["fragmentation", "--order", "4", "--", "/bin/busybox", "sleep", "1000"];
    let missing = &["fragmentation", "--order", "6", "--", "/no/such/program"];
    let mut cases = short();
    cases.extend([
        with_module(case(
            "order-6-not-expected",
            runc!["fragmentation", "--order", "6", "--expect", "ok"],
        )),
        below_limit(case("pids", runc!["pids-limit", "--expect", "fail:pids-limit"])),
        Case { how: How::Kill, ..case("killed", sleeper) },
        case("no-program", missing),
        case("large-keep", nothing!["fragmentation", "--order", "6", "--keep", "90G"]),
    ]);
    cases
}

/// The rest of what has to do with limits, ends and settings.
fn more() -> Vec<Case> {
    let hang = &[
        "netns-limit",
        "--format",
        "json",
        "--timeout",
        "3s",
        "--",
        "/bin/busybox",
        "sleep",
        "1000",
    ];
    let fails = &["netns-limit", "--left", "3", "--format", "json", "--", "/bin/busybox", "false"];
    let dry = &["fragmentation", "--order", "6", "--dry-run", "--", "/bin/busybox", "true"];
    let save = &["fragmentation", "--save", "/tmp/saved.json"];
    let convert = &["fragmentation", "--like", "/tmp/incident.txt", "--save", "/tmp/target.json"];
    let junit = &["netns-limit", "--left", "3", "--format", "junit", "--", "/bin/busybox", "true"];
    let github =
        &["netns-limit", "--left", "3", "--format", "github", "--", "/bin/busybox", "true"];
    vec![
        below_limit(case("pids-control", runc!["pids-limit", "--max", "64", "--expect", "ok"])),
        below_limit(case("memcg", runc!["memcg-limit", "--expect", "fail:memcg-limit"])),
        below_limit(case(
            "memcg-control",
            runc!["memcg-limit", "--headroom", "256M", "--expect", "ok"],
        )),
        case("hanging", hang),
        case("failing", fails),
        Case { how: How::Unprivileged, ..case("no-root", nothing!["netns-limit"]) },
        case("dry-run", dry),
        case("like", nothing!["fragmentation", "--like", "/tmp/incident.txt"]),
        case("like-capture", nothing!["fragmentation", "--like", "/tmp/capture.jsonl"]),
        case("convert", convert),
        case("like-converted", nothing!["fragmentation", "--like", "/tmp/target.json"]),
        case("save", save),
        case("like-healthy", nothing!["fragmentation", "--like", "/tmp/saved.json"]),
        case("junit", junit),
        case("github", github),
        with_module(Case {
            settings: &[("/sys/kernel/mm/transparent_hugepage/enabled", "always")],
            ..case(
                "order-6-huge-pages",
                runc!["fragmentation", "--order", "6", "--expect", "fail:fragmentation"],
            )
        }),
    ]
}

/// With cgroup v1.
fn v1() -> Vec<Case> {
    vec![
        case("order-6-control", runc!["fragmentation", "--order", "6", "--expect", "ok"]),
        below_limit(case("pids", runc!["pids-limit", "--expect", "fail:pids-limit"])),
        below_limit(case("pids-control", runc!["pids-limit", "--max", "64", "--expect", "ok"])),
        below_limit(case("memcg", runc!["memcg-limit", "--expect", "fail:memcg-limit"])),
        below_limit(case(
            "memcg-control",
            runc!["memcg-limit", "--headroom", "256M", "--expect", "ok"],
        )),
        with_module(case(
            "order-6",
            runc!["fragmentation", "--order", "6", "--expect", "fail:fragmentation"],
        )),
    ]
}

/// What a kernel without the memory controller can't have.
fn no_memcg() -> Vec<Case> {
    vec![case("memcg", nothing!["memcg-limit"]), case("ids", nothing!["memcg-ids"])]
}

fn memcg_ids() -> Vec<Case> {
    vec![
        case("ids-control", runc!["memcg-ids", "--left", "50", "--expect", "ok"]),
        case("ids", runc!["memcg-ids", "--expect", "fail:memcg-ids"]),
    ]
}

/// The other states of the memory. The controls come first: a module stays loaded.
fn memory() -> Vec<Case> {
    const TAKE: &str = "/sys/module/fragwatch_pernet/parameters/take_mib";
    const ORDER: &str = "/sys/module/fragwatch_pernet/parameters/order";
    const INSIST: &str = "/sys/module/fragwatch_pernet/parameters/insist";
    vec![
        case(
            "page-cache-control",
            runc!["fragmentation", "--order", "6", "--kind", "page-cache", "--expect", "ok"],
        ),
        case("stall-control", runc!["slow-compaction", "--expect", "ok"]),
        // The same free memory, but compaction can put two pages together.
        case("oom-control", runc!["slow-compaction", "--order", "1", "--expect", "ok"]),
        case(
            "slab-control",
            runc!["fragmentation", "--order", "6", "--kind", "slab", "--expect", "ok"],
        ),
        // Larger than any cache's objects: those may find room in slabs that are there.
        with_module(Case {
            settings: &[(ORDER, "2")],
            ..case("oom", runc!["oom-fragmentation", "--expect", "fail:oom-fragmentation"])
        }),
        with_module(Case {
            settings: &[(ORDER, "6")],
            ..case("exhaustion-control", runc!["exhaustion", "--expect", "ok"])
        }),
        with_module(Case {
            settings: &[(TAKE, "256"), (INSIST, "1")],
            ..case("exhaustion", runc!["exhaustion", "--expect", "fail:exhaustion"])
        }),
        with_module(Case {
            settings: &[(TAKE, "0")],
            ..case("stall", runc!["slow-compaction", "--expect", "stall"])
        }),
        with_module(case(
            "page-cache",
            runc!["fragmentation", "--order", "6", "--kind", "page-cache", "--expect", "stall"],
        )),
        // Last: the kernel frees no slab of its objects for a while.
        with_module(case(
            "slab",
            runc![
                "fragmentation",
                "--order",
                "6",
                "--kind",
                "slab",
                "--expect",
                "fail:fragmentation"
            ],
        )),
    ]
}

/// With a swap area.
fn swap() -> Vec<Case> {
    vec![
        case("order-6-control", runc!["fragmentation", "--order", "6", "--expect", "ok"]),
        below_limit(case("memcg", runc!["memcg-limit", "--expect", "fail:memcg-limit"])),
        with_module(case(
            "order-6",
            runc!["fragmentation", "--order", "6", "--expect", "fail:fragmentation"],
        )),
        with_module(case("stall", runc!["slow-compaction", "--expect", "stall"])),
    ]
}

/// The same state twenty times.
fn states() -> Vec<Case> {
    const ARGS: &[&str] = nothing!["fragmentation", "--order", "4", "--keep", "128M"];
    (0..20).map(|_| case("order-4", ARGS)).collect()
}
