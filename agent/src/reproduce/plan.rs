//! Which states a cause asks for.
use std::path::Path;

use anyhow::{Context as _, bail};
use fragwatch_core::units::bytes;
use fragwatch_states::{
    Spec, default_keep_kib,
    like::free_pages,
    memory::meminfo_kib,
    spec::{
        CgroupLimit, Fragmentation, Hog, HogSize, Kind, Limit, MemcgIds, NamespaceKind, Namespaces,
    },
};

use crate::{
    cli::{self, ReproduceCause, Run},
    reproduce::target,
};

/// Processes that the OOM killer takes before others, and what each of them holds, in KiB.
const VICTIMS: usize = 4;
const VICTIM_KIB: u64 = 4 << 10;
/// The cgroup of memory cgroups that only hold ids.
const IDS_CGROUP: &str = "/fragwatch-reproduce";
/// KiB of a page.
const PAGE_KIB: u64 = 4;

/// What is to be done.
pub(super) struct Plan<'a> {
    /// The cause's name on the command line.
    pub(super) asked: &'static str,
    /// The states, in the order in which they are reached.
    pub(super) specs: Vec<Spec>,
    /// The cgroup in which containers are to be made.
    pub(super) cgroup: Option<&'a str>,
    /// What is common to all causes.
    pub(super) run: &'a Run,
}

impl<'a> Plan<'a> {
    /// The plan for a cause.
    ///
    /// # Errors
    /// If a file can't be read or holds no state.
    pub(super) fn of(cause: &'a ReproduceCause) -> anyhow::Result<Self> {
        let plan = |asked, specs, run| Self { asked, specs, cgroup: None, run };
        Ok(match cause {
            ReproduceCause::Fragmentation(args) => {
                plan("fragmentation", vec![fragmentation(args)?], &args.run)
            }
            ReproduceCause::SlowCompaction(args) => {
                let keep = keep(args.keep, args.order)?;
                let spec = blocks(args.order, keep, Kind::PageCache);
                plan("slow-compaction", vec![Spec::Fragmentation(spec)], &args.run)
            }
            ReproduceCause::OomFragmentation(args) => {
                let mut specs = victims();
                let keep = keep(args.keep, 1)?;
                specs.push(Spec::Fragmentation(blocks(1, keep, Kind::Pinned)));
                plan("oom-fragmentation", specs, &args.run)
            }
            ReproduceCause::Exhaustion(args) => {
                let mut specs = victims();
                specs.push(Spec::Hog(Hog {
                    size: HogSize::AllBut(keep(args.keep, 0)?),
                    oom_score_adj: -1000,
                    procs: Vec::new(),
                }));
                plan("exhaustion", specs, &args.run)
            }
            ReproduceCause::MemcgLimit(args) => {
                let limit = Limit::Memory(args.headroom);
                let spec = CgroupLimit { cgroup: args.cgroup.clone(), limit };
                let plan = plan("memcg-limit", vec![Spec::CgroupLimit(spec)], &args.run);
                Self { cgroup: Some(&args.cgroup), ..plan }
            }
            ReproduceCause::PidsLimit(args) => {
                let limit = Limit::Pids(args.max);
                let spec = CgroupLimit { cgroup: args.cgroup.clone(), limit };
                let plan = plan("pids-limit", vec![Spec::CgroupLimit(spec)], &args.run);
                Self { cgroup: Some(&args.cgroup), ..plan }
            }
            ReproduceCause::MemcgIds(args) => {
                let spec = MemcgIds { cgroup: IDS_CGROUP.to_owned(), left: args.left };
                plan("memcg-ids", vec![Spec::MemcgIds(spec)], &args.run)
            }
            ReproduceCause::NetnsLimit(args) => {
                let spec = Namespaces { kind: NamespaceKind::Net, left: args.left };
                plan("netns-limit", vec![Spec::Namespaces(spec)], &args.run)
            }
        })
    }

    /// The command and its arguments as text.
    pub(super) fn command_text(&self) -> Vec<String> {
        self.run.command.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    /// What would be done, in sentences.
    pub(super) fn describe(&self) -> Vec<String> {
        let mut steps = vec!["trace would watch this machine".to_owned()];
        steps.extend(self.specs.iter().map(describe));
        if !self.run.command.is_empty() {
            steps.push(format!("this would run: {}", self.command_text().join(" ")));
        }
        steps.push("then all of this would be undone".to_owned());
        steps
    }
}

/// What is asked for, or what this machine needs.
fn keep(asked_kib: Option<u64>, order: u32) -> anyhow::Result<u64> {
    asked_kib.map_or_else(|| default_keep_kib(order), Ok)
}

fn blocks(order: u32, keep_kib: u64, kind: Kind) -> Fragmentation {
    Fragmentation { order, keep_kib, kind, left: 0, like: Vec::new() }
}

fn victims() -> Vec<Spec> {
    let size = HogSize::Kib(VICTIM_KIB);
    vec![Spec::Hog(Hog { size, oom_score_adj: 500, procs: Vec::new() }); VICTIMS]
}

fn fragmentation(args: &cli::Fragmentation) -> anyhow::Result<Spec> {
    let kind = match args.kind {
        cli::Kind::Pinned => Kind::Pinned,
        cli::Kind::PageCache => Kind::PageCache,
        cli::Kind::Slab => Kind::Slab,
    };
    if let Some(path) = &args.like {
        if kind == Kind::Slab {
            bail!(
                "blocks between objects of the kernel have one size: --like needs another --kind"
            );
        }
        return Ok(Spec::Fragmentation(like(path, args.keep, kind)?));
    }
    // clap asks for one of the three.
    let order = args.order.context("there is no --order")?;
    let keep = keep(args.keep, order)?;
    Ok(Spec::Fragmentation(Fragmentation { left: args.left, ..blocks(order, keep, kind) }))
}

/// The free blocks of another machine, scaled to `keep` or to a third of what is available here.
fn like(path: &Path, keep: Option<u64>, kind: Kind) -> anyhow::Result<Fragmentation> {
    let state = target::read(path)?;
    let most = match keep {
        Some(keep) => keep,
        None => meminfo_kib("MemAvailable")? / 3,
    };
    let like = state.scaled(most / PAGE_KIB);
    if like.is_empty() {
        bail!(
            "{} has free blocks, but too few of them to be scaled to this machine",
            path.display()
        );
    }
    let keep_kib = free_pages(&like) * PAGE_KIB;
    Ok(Fragmentation { like: like.clone(), ..blocks(like.len() as u32, keep_kib, kind) })
}

fn describe(spec: &Spec) -> String {
    let size = |kib: u64| bytes(kib.saturating_mul(1024));
    match spec {
        Spec::Fragmentation(spec) => {
            let lies = match spec.kind {
                Kind::Pinned => "locked pages",
                Kind::PageCache => "pages of a file in memory",
                Kind::Slab => "objects of the kernel",
            };
            let blocks: Vec<String> = spec.like.iter().map(u64::to_string).collect();
            let like = if blocks.is_empty() {
                String::new()
            } else {
                format!(", in blocks from order 0: {}", blocks.join(" "))
            };
            format!(
                "caches of files would be dropped, vm.compaction_proactiveness and, for locked pages, \
                 vm.compact_unevictable_allowed set to 0, and all memory taken but {}, with {lies} in \
                 between{like}; {} blocks of order {} or above would be left",
                size(spec.keep_kib),
                spec.left,
                spec.order
            )
        }
        Spec::Hog(hog) => {
            let what = match hog.size {
                HogSize::Kib(kib) => size(kib),
                HogSize::AllBut(kib) => format!("all available memory but {}", size(kib)),
            };
            format!("a process would hold {what}, with oom_score_adj {}", hog.oom_score_adj)
        }
        Spec::CgroupLimit(CgroupLimit { cgroup, limit }) => match limit {
            Limit::Memory(kib) => {
                format!("cgroup {cgroup} would be made, with {} of memory as its limit", size(*kib))
            }
            Limit::Pids(max) => {
                format!("cgroup {cgroup} would be made, with {max} processes as its limit")
            }
        },
        Spec::MemcgIds(MemcgIds { cgroup, left }) => format!(
            "memory cgroups would be made in cgroup {cgroup} until {left} ids are left, which takes \
             minutes and some 4 GiB"
        ),
        Spec::Namespaces(Namespaces { kind, left }) => {
            let name = match kind {
                NamespaceKind::Net => "net",
                NamespaceKind::Pid => "pid",
            };
            format!("user.max_{name}_namespaces would be set so that {left} more can be made")
        }
    }
}
