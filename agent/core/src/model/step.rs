//! A step of a container's start, as it was put together from events.
use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

use super::{
    allocation::{Allocation, Outcome as AllocationOutcome},
    container::{Candidate, Container},
    creation::Creation,
    event::{
        CgroupPath, CgroupSetup, ChargeFailed, FailedStep, ForkRefused, NamespaceKind, Omitted,
        OomKill, Task,
    },
    frame::Frame,
    slab::SlabCache,
};

/// A creation stalled if direct compaction and reclaim took longer than this in all, unless another limit is
/// set.
pub const STALL_NS: u64 = 10_000_000;

/// Allocations and slab caches kept for one creation.
pub(crate) const MAX_DETAILS: usize = 32;

/// How a creation ended.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was wrong.
    Ok,
    /// A near miss: it waited for memory, for longer than `--stall` sets.
    Stalled,
    /// An allocation failed and the kernel went on without it, or processes were killed for one. Attempts that
    /// cost nothing don't count.
    Degraded,
    /// It returned an error.
    Failed,
}

/// The subsystem whose per-netns initialisation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PernetInit {
    /// When it returned.
    pub ended_ns: u64,
    /// Its function.
    pub init: Option<Frame>,
    /// The error as a positive errno; `None` before the creation has ended, on kernels that show it only
    /// then.
    pub errno: Option<i32>,
}

impl PernetInit {
    /// Whether its function is on the stack of an allocation that failed.
    pub fn called(&self, allocation: &Allocation) -> bool {
        let (Some(init), Some(failure)) = (&self.init, &allocation.failure) else { return false };
        let is_same =
            |frame: &Frame| frame.function == init.function && frame.module == init.module;
        init.function.is_some() && failure.stack.iter().any(is_same)
    }
}

/// What a creation's charges to a memory cgroup waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemcgReclaims {
    /// Path of the cgroup that was at its limit last, if that is known.
    pub memcg: Option<String>,
    /// How often the cgroup's memory was reclaimed.
    pub count: u64,
    /// Pages freed in all.
    pub reclaimed: u64,
    /// How long that took in all, in nanoseconds; part of the creation's stall.
    pub stall_ns: u64,
}

/// `CLONE_NEW*` flags of the namespaces that one call can make, with their names
/// (include/uapi/linux/sched.h).
pub const NAMESPACES: &[(u64, &str)] = &[
    (0x4000_0000, "net"),
    (0x2000_0000, "pid"),
    (0x0002_0000, "mnt"),
    (0x0400_0000, "uts"),
    (0x0800_0000, "ipc"),
    (0x0200_0000, "cgroup"),
    (0x80, "time"),
];

/// What a step of a container's start does, with what only such a step has.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// Namespaces are made, a network's or a pid namespace among them.
    Namespaces(Namespaces),
    /// A cgroup is made.
    Cgroup(CgroupSetup),
    /// A process is forked, and the fork is refused.
    Fork(ForkRefused),
    /// A step that only failures are seen of.
    Failed(FailedStep),
    /// An allocation failed in it, and no step that is seen failed with it.
    Allocation,
    /// A process is killed, or has others killed, before the container's own program runs.
    OomKill {
        /// The step that this is a part of, if it is a further kill for the same process.
        continues: Option<u64>,
    },
}

/// The making of namespaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespaces {
    /// Those that are made, as `CLONE_NEW*` flags, as far as they are seen.
    pub flags: u64,
    /// Flags of the system call, where this is the whole call and not the namespaces' setup alone.
    pub call_flags: Option<u64>,
    /// Inode of the new network namespace.
    pub netns: Option<u32>,
    /// The subsystem that failed.
    pub pernet_init: Option<PernetInit>,
    /// Limits on namespaces that refused one.
    pub refused: Vec<NamespaceKind>,
}

/// A step of a container's start. Whether it is a container's is known by its cgroup only; a network
/// namespace may be any program's.
#[derive(Clone, Debug, PartialEq)]
pub struct CreationStep {
    /// Counts from 1 in the order of their ends.
    pub id: u64,
    /// What it does.
    pub kind: StepKind,
    /// Who.
    pub task: Task,
    /// Its cgroup, or the cgroup that was to be made; `None` if that was not seen.
    pub cgroup: Option<CgroupPath>,
    /// The container that it is for, if that is certain.
    pub container: Option<Container>,
    /// Those that it may be for, if that is not certain, the likeliest first.
    pub candidates: Vec<Candidate>,
    /// When it began, `CLOCK_MONOTONIC` in nanoseconds.
    pub began_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// The error as a positive errno.
    pub errno: Option<i32>,
    /// Allocations in trouble, in time order.
    pub allocations: Vec<Allocation>,
    /// More such allocations, not kept.
    pub allocations_omitted: u64,
    /// How long it waited in direct compaction and reclaim in all, in nanoseconds.
    pub stall_ns: u64,
    /// It stalled if that is longer than this.
    pub stall_limit_ns: u64,
    /// Reclaim of a memory cgroup's memory for its charges; `None` if there was none.
    pub memcg_reclaims: Option<MemcgReclaims>,
    /// Slab caches asked for, in time order.
    pub slab_caches: Vec<SlabCache>,
    /// Charges to a memory cgroup that failed, in time order.
    pub charges: Vec<ChargeFailed>,
    /// Processes that were killed for its allocations, in time order.
    pub oom_kills: Vec<OomKill>,
    /// It is itself what was killed: alone, or with others of its cgroup for the one in `oom_kills`.
    pub killed: bool,
    /// After an error, whether its process is a victim of the OOM killer; `None` if that was not read.
    pub oom_victim: Option<bool>,
    /// What else was seen of the same container's start.
    pub start: Option<Creation>,
    /// Events were lost while it was under way: something may be missing.
    pub events_lost: bool,
    /// It is taken for a part of a container's start. Others, such as a browser's sandbox, are reported only if all
    /// is.
    pub is_start: bool,
}

impl CreationStep {
    /// One of which nothing is known but who and when.
    pub(crate) fn new(kind: StepKind, task: Task, time_ns: u64) -> Self {
        Self {
            id: 0,
            kind,
            task,
            cgroup: None,
            container: None,
            candidates: Vec::new(),
            began_ns: time_ns,
            ended_ns: time_ns,
            errno: None,
            allocations: Vec::new(),
            allocations_omitted: 0,
            stall_ns: 0,
            stall_limit_ns: STALL_NS,
            memcg_reclaims: None,
            slab_caches: Vec::new(),
            charges: Vec::new(),
            oom_kills: Vec::new(),
            killed: false,
            oom_victim: None,
            start: None,
            events_lost: false,
            is_start: true,
        }
    }

    /// What it has of the making of namespaces, if it is that.
    pub fn namespaces(&self) -> Option<&Namespaces> {
        match &self.kind {
            StepKind::Namespaces(namespaces) => Some(namespaces),
            _ => None,
        }
    }

    /// The subsystem whose initialisation failed.
    pub fn pernet_init(&self) -> Option<&PernetInit> {
        self.namespaces()?.pernet_init.as_ref()
    }

    /// The cgroup that could not be made, or was made with trouble.
    pub fn cgroup_setup(&self) -> Option<&CgroupSetup> {
        match &self.kind {
            StepKind::Cgroup(setup) => Some(setup),
            _ => None,
        }
    }

    /// The fork that was refused.
    pub fn fork_refused(&self) -> Option<&ForkRefused> {
        match &self.kind {
            StepKind::Fork(refused) => Some(refused),
            _ => None,
        }
    }

    /// What failed, if only failures are seen of it.
    pub fn failed(&self) -> Option<&FailedStep> {
        match &self.kind {
            StepKind::Failed(failed) => Some(failed),
            _ => None,
        }
    }

    /// The step that this is a part of, if it is a further kill for the same process.
    pub fn continues(&self) -> Option<u64> {
        match self.kind {
            StepKind::OomKill { continues } => continues,
            _ => None,
        }
    }

    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        let failure = |a: &Allocation| {
            matches!(a.outcome, AllocationOutcome::Failed | AllocationOutcome::FellBack)
                && !a.gfp.is_cheap_try()
        };
        if self.errno.is_some() || self.killed {
            Outcome::Failed
        } else if self.allocations.iter().any(failure) || !self.oom_kills.is_empty() {
            Outcome::Degraded
        } else if self.stall_ns > self.stall_limit_ns {
            Outcome::Stalled
        } else {
            Outcome::Ok
        }
    }

    /// Attempts of its allocations that failed, cost nothing, and are known in detail.
    pub fn cheap_tries(&self) -> usize {
        let is_cheap =
            |a: &&Allocation| a.outcome == AllocationOutcome::FellBack && a.gfp.is_cheap_try();
        self.allocations.iter().filter(is_cheap).count()
    }

    /// Adds what was only counted of it.
    pub(crate) fn add(&mut self, omitted: Omitted) {
        self.allocations_omitted = self.allocations_omitted.saturating_add(omitted.failures);
        self.stall_ns = self.stall_ns.saturating_add(omitted.stall_ns);
    }

    pub(crate) fn keep(&mut self, allocation: Allocation) {
        self.stall_ns = self.stall_ns.saturating_add(allocation.stall_ns);
        if self.allocations.len() == MAX_DETAILS {
            // The last failures decide: what went well goes first, then what came first.
            let spare = |outcome| self.allocations.iter().position(|a| a.outcome == outcome);
            let at = spare(AllocationOutcome::Recovered)
                .or_else(|| spare(AllocationOutcome::FellBack))
                .or_else(|| spare(AllocationOutcome::Unknown))
                .unwrap_or(0);
            self.allocations.remove(at);
            self.allocations_omitted += 1;
        }
        self.allocations.push(allocation);
    }
}
