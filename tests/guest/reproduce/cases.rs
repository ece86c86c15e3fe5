//! The cases, by group.

use anyhow::{Result, bail};

/// What the fragmentation of one node was.
pub(super) const INCIDENT: &str =
    include_str!("../../fixtures/incidents/2019-tke-order6-buddyinfo.txt");

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
    /// A file that is written before, and what.
    pub(super) setting: Option<(&'static str, &'static str)>,
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
        "fast" => fast(),
        "all" => [fast(), more()].into_iter().flatten().collect(),
        "v1" => v1(),
        "memcg-ids" => memcg_ids(),
        "oom" => oom(),
        "states" => states(),
        _ => bail!("there is no group {group}"),
    })
}

const fn case(name: &'static str, args: &'static [&'static str]) -> Case {
    let how = How::Finish;
    Case { name, args, module: false, below_limit: false, how, setting: None }
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

/// The failures and their controls, and arguments that are refused at once.
fn fast() -> Vec<Case> {
    let sleeper = &["fragmentation", "--order", "4", "--", "/bin/busybox", "sleep", "1000"];
    let missing = &["fragmentation", "--order", "6", "--", "/no/such/program"];
    let order = &["fragmentation", "--order", "30", "--", "/bin/busybox", "true"];
    let keep = &["fragmentation", "--order", "6", "--keep", "90G", "--", "/bin/busybox", "true"];
    let file = &["fragmentation", "--like", "/tmp/no-state.json", "--", "/bin/busybox", "true"];
    vec![
        case("order-6-control", runc!["fragmentation", "--order", "6", "--expect", "ok"]),
        with_module(case(
            "order-6",
            runc!["fragmentation", "--order", "6", "--expect", "fail:fragmentation"],
        )),
        with_module(case(
            "order-6-not-expected",
            runc!["fragmentation", "--order", "6", "--expect", "ok"],
        )),
        below_limit(case("pids", runc!["pids-limit", "--expect", "fail:pids-limit"])),
        case("netns", runc!["netns-limit", "--expect", "fail:namespace-limit"]),
        Case { how: How::Kill, ..case("killed", sleeper) },
        case("no-program", missing),
        case("large-order", order),
        case("large-keep", keep),
        case("no-state", file),
    ]
}

/// The rest of what has to do with limits, ends and settings.
fn more() -> Vec<Case> {
    let root = &["netns-limit", "--", "/bin/busybox", "true"];
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
    let like = &[
        "fragmentation",
        "--like",
        "/tmp/incident.txt",
        "--format",
        "json",
        "--",
        "/bin/busybox",
        "true",
    ];
    let save = &["fragmentation", "--save", "/tmp/saved.json"];
    let saved = &["fragmentation", "--like", "/tmp/saved.json", "--", "/bin/busybox", "true"];
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
        case("netns-control", runc!["netns-limit", "--left", "5", "--expect", "ok"]),
        case("hanging", hang),
        case("failing", fails),
        Case { how: How::Unprivileged, ..case("no-root", root) },
        case("dry-run", dry),
        case("like", like),
        case("save", save),
        case("like-healthy", saved),
        case("junit", junit),
        case("github", github),
        with_module(Case {
            setting: Some(("/sys/kernel/mm/transparent_hugepage/enabled", "always")),
            ..case(
                "order-6-huge-pages",
                runc!["fragmentation", "--order", "6", "--expect", "fail:fragmentation"],
            )
        }),
    ]
}

fn v1() -> Vec<Case> {
    vec![
        below_limit(case("pids", runc!["pids-limit", "--expect", "fail:pids-limit"])),
        below_limit(case("memcg", runc!["memcg-limit", "--expect", "fail:memcg-limit"])),
        with_module(case(
            "order-6",
            runc!["fragmentation", "--order", "6", "--expect", "fail:fragmentation"],
        )),
    ]
}

fn memcg_ids() -> Vec<Case> {
    vec![
        case("ids-control", runc!["memcg-ids", "--left", "50", "--expect", "ok"]),
        case("ids", runc!["memcg-ids", "--expect", "fail:memcg-ids"]),
    ]
}

/// States of the memory without a fault of one order.
fn oom() -> Vec<Case> {
    vec![
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
        with_module(case("stall", runc!["slow-compaction", "--expect", "stall"])),
        case("exhaustion", runc!["exhaustion", "--keep", "24M"]),
        case("oom", runc!["oom-fragmentation"]),
    ]
}

/// The same state twenty times.
fn states() -> Vec<Case> {
    const ARGS: &[&str] = &[
        "fragmentation",
        "--order",
        "4",
        "--keep",
        "128M",
        "--format",
        "json",
        "--",
        "/bin/busybox",
        "true",
    ];
    (0..20).map(|_| case("order-4", ARGS)).collect()
}
