//! What a diagnosis is made from, whatever source it came from.
use crate::{
    model::{
        allocation::{Allocation, Outcome},
        event::{CgroupSetup, ChargeFailed, FailedStep, ForkRefused, NamespaceKind, OomKill},
        incident::{Incident, Source},
        kernel_version::KernelVersion,
        memcg::MemcgState,
        node::{Buddyinfo, NodeMemory, Reading},
        notice::{ExcludedZones, HungTask, PercpuFailed, UnitTasks},
        program_message::ContainerFailure,
        slab::{SlabCache, SlabFailed},
        step::{CreationStep, MemcgReclaims, PernetInit},
        vmalloc::VmallocFailed,
    },
    units,
};

/// Page size of x86-64, for evidence that says no other.
const USUAL_PAGE_SIZE: u64 = 4096;

/// What a diagnosis is made from. What a source can't know is `None` or empty.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// It was seen live, and not found in a log.
    pub live: bool,
    /// The kernel's release, if it is known.
    pub kernel: Option<&'a KernelVersion>,
    /// The kernel's page size in bytes.
    pub page_size: u64,
    /// The error that a creation ended with, as a positive errno.
    pub errno: Option<i32>,
    /// Its allocations in trouble, in time order.
    pub allocations: &'a [Allocation],
    /// vmalloc that failed.
    pub vmalloc: &'a [VmallocFailed],
    /// Slab caches that got no pages.
    pub slab_failures: &'a [SlabFailed],
    /// Slab caches that were asked for.
    pub slab_caches: &'a [SlabCache],
    /// The subsystem whose initialisation failed.
    pub pernet_init: Option<&'a PernetInit>,
    /// Charges to a memory cgroup that failed.
    pub charges: &'a [ChargeFailed],
    /// What its charges to a memory cgroup waited for.
    pub memcg_reclaims: Option<&'a MemcgReclaims>,
    /// After an error, whether its process is a victim of the OOM killer.
    pub oom_victim: Option<bool>,
    /// The memory cgroup that was at its limit.
    pub memcg: Option<&'a MemcgState>,
    /// Calls of the OOM killer for its allocations, and the processes that were killed.
    pub oom_kills: &'a [OomKill],
    /// Limits on namespaces that refused one.
    pub namespaces_refused: &'a [NamespaceKind],
    /// The cgroup that could not be made.
    pub cgroup_setup: Option<&'a CgroupSetup>,
    /// The fork that was refused.
    pub fork_refused: Option<&'a ForkRefused>,
    /// The step that failed, if only failures are seen of it.
    pub failed_step: Option<&'a FailedStep>,
    /// Tasks of the unit in which a process was refused, as read at another time.
    pub tasks: Option<&'a UnitTasks>,
    /// `kernel.pid_max`, where it was read.
    pub pid_max: Option<u64>,
    /// The per-CPU allocator failed.
    pub percpu: Option<&'a PercpuFailed>,
    /// A task hangs in reclaim or compaction.
    pub hung: Option<&'a HungTask>,
    /// Free memory that the task was kept from.
    pub excluded: Option<&'a ExcludedZones>,
    /// What programs say of the container.
    pub messages: &'a [ContainerFailure],
    /// The node's memory as a whole at that moment.
    pub memory: Option<&'a NodeMemory>,
    /// What /proc/buddyinfo said at another time.
    pub buddyinfo: &'a [Buddyinfo],
    /// Flags of the system call, where the error may be that of anything in it.
    pub call_flags: Option<u64>,
    /// Events of it were lost.
    pub events_lost: bool,
    /// What can't be seen on this kernel, or is missing from the log, in sentences.
    pub unobservable: &'a [String],
    /// The node's facts, read at another time: they prove nothing, so that no cause may rest on
    /// them.
    pub node: Option<Reading<'a>>,
}

impl Default for Evidence<'_> {
    fn default() -> Self {
        Self {
            live: true,
            kernel: None,
            page_size: USUAL_PAGE_SIZE,
            errno: None,
            allocations: &[],
            vmalloc: &[],
            slab_failures: &[],
            slab_caches: &[],
            pernet_init: None,
            charges: &[],
            memcg_reclaims: None,
            oom_victim: None,
            memcg: None,
            oom_kills: &[],
            namespaces_refused: &[],
            cgroup_setup: None,
            fork_refused: None,
            failed_step: None,
            tasks: None,
            pid_max: None,
            percpu: None,
            hung: None,
            excluded: None,
            messages: &[],
            memory: None,
            buddyinfo: &[],
            call_flags: None,
            events_lost: false,
            unobservable: &[],
            node: None,
        }
    }
}

impl<'a> Evidence<'a> {
    /// A creation's step, on a kernel with this page size (in bytes) where `unobservable` can't be
    /// seen.
    pub fn step(step: &'a CreationStep, page_size: u64, unobservable: &'a [String]) -> Self {
        let namespaces = step.namespaces();
        Self {
            page_size,
            errno: step.errno,
            allocations: &step.allocations,
            slab_caches: &step.slab_caches,
            pernet_init: step.pernet_init(),
            charges: &step.charges,
            memcg_reclaims: step.memcg_reclaims.as_ref(),
            oom_victim: step.oom_victim,
            oom_kills: &step.oom_kills,
            namespaces_refused: namespaces.map(|made| &made.refused[..]).unwrap_or_default(),
            cgroup_setup: step.cgroup_setup(),
            fork_refused: step.fork_refused(),
            failed_step: step.failed(),
            call_flags: namespaces.and_then(|made| made.call_flags),
            events_lost: step.events_lost,
            unobservable,
            ..Self::default()
        }
    }

    /// Of a kernel with this release.
    #[must_use]
    pub fn on_kernel(self, kernel: Option<&'a KernelVersion>) -> Self {
        Self { kernel: self.kernel.or(kernel), ..self }
    }

    /// With the node's facts beside it.
    #[must_use]
    pub fn with_node(self, node: Option<Reading<'a>>) -> Self {
        Self { node, ..self }
    }

    /// A failure outside a creation's steps, or one in a log; live, `unobservable` can't be seen.
    pub fn incident(incident: &'a Incident, unobservable: &'a [String]) -> Self {
        let (live, buddyinfo) = match &incident.source {
            Source::Live { .. } => (true, &[][..]),
            Source::Log(log) => (false, &log.buddyinfo[..]),
        };
        Self {
            live,
            kernel: incident.kernel.as_ref(),
            page_size: incident.page_size,
            errno: incident.errno,
            allocations: &incident.allocations,
            vmalloc: &incident.vmalloc,
            slab_failures: &incident.slab_failures,
            slab_caches: &incident.slab_caches,
            memcg: incident.memcg.as_ref(),
            oom_kills: &incident.oom_kills,
            fork_refused: incident.fork_refused.as_ref(),
            tasks: incident.tasks.as_ref(),
            pid_max: incident.pid_max,
            percpu: incident.percpu.as_ref(),
            hung: incident.hung.as_ref(),
            excluded: incident.excluded.as_ref(),
            messages: &incident.messages,
            memory: incident.memory.as_ref(),
            buddyinfo,
            unobservable: if live { unobservable } else { &incident.gaps },
            ..Self::default()
        }
    }

    /// The allocation that decided it: the last one that failed without a fallback or, where the
    /// whole was no failure, the last one that failed at all.
    ///
    /// An error is never blamed on an allocation whose caller had a fallback; and when a
    /// subsystem's initialisation returned the error, on none that failed outside of it. A log's
    /// slab cache that failed without a report of the page allocator's is none, and neither is a
    /// vmalloc that lacked no page.
    pub(super) fn decisive(&self) -> Option<&'a Allocation> {
        let last = |outcome| {
            self.allocations.iter().rev().find(|a| {
                a.outcome == outcome
                    && self.could_cause(a)
                    && self.vmalloc.is_empty()
                    && a.failure.is_some()
            })
        };
        match self.errno {
            Some(_) => last(Outcome::Failed),
            None => last(Outcome::Failed).or_else(|| last(Outcome::FellBack)).filter(|a| {
                // What it waited for counts more than an attempt that cost nothing.
                let waited = self.waited().is_some() || self.memcg_reclaims.is_some();
                !a.gfp.is_cheap_try() || !waited
            }),
        }
    }

    /// The allocation that it waited for longest and that got its pages.
    pub(super) fn waited(&self) -> Option<&'a Allocation> {
        let waited = self.allocations.iter().filter(|a| a.outcome == Outcome::Recovered);
        waited.filter(|a| a.stall_ns != 0).max_by_key(|a| a.stall_ns)
    }

    /// Whether an allocation could be why the subsystem's initialisation failed, if one did. One outside of it
    /// could be if none inside is known: a function that ends by calling another is not on the stack.
    fn could_cause(&self, allocation: &Allocation) -> bool {
        let (Some(init), Some(failed)) = (self.pernet_init, allocation.failed_ns) else {
            return true;
        };
        let is_inside = |allocation: &Allocation| init.called(allocation);
        failed <= init.ended_ns
            && (is_inside(allocation)
                || init.errno.is_none_or(|errno| errno == libc::ENOMEM)
                    && !self.allocations.iter().any(is_inside))
    }

    /// The allocation that had the OOM killer called.
    pub(super) fn asked_for_kill(&self) -> Option<&'a Allocation> {
        self.allocations.iter().find(|a| a.outcome == Outcome::CalledOomKiller)
    }

    /// The call of the OOM killer.
    pub(super) fn oom(&self) -> Option<&'a OomKill> {
        self.oom_kills.first()
    }

    /// How many memory cgroups there were at another time, and when that was.
    pub(super) fn memory_cgroups_beside(&self) -> Option<String> {
        let reading = self.node?;
        Some(format!("{}, {}", reading.facts.memory_cgroups?.describe(), reading.when()))
    }

    /// What the node's slab held at another time, and when that was.
    pub(super) fn slab_beside(&self) -> Option<String> {
        let reading = self.node?;
        let unreclaimable = reading.facts.memory?.slab_unreclaimable_kib?;
        let bytes = units::bytes(unreclaimable.saturating_mul(1024));
        let caches = reading.facts.slab_caches;
        let caches = caches.map(|n| format!(" in {} caches", units::grouped(n)));
        let caches = caches.unwrap_or_default();
        Some(format!("{bytes} of slab that can't be reclaimed{caches}, {}", reading.when()))
    }

    /// Whether something of what happened is missing, and not only what can't be seen here at all.
    pub(super) fn is_incomplete(&self) -> bool {
        self.events_lost
    }

    /// What is missing as a whole.
    pub(super) fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if self.events_lost {
            gaps.push("events of this creation that were lost".to_owned());
        }
        let beside = self.call_flags.map(namespaces_beside).unwrap_or_default();
        if self.errno.is_some() && !beside.is_empty() {
            gaps.push(format!(
                "which namespace the error comes from: the same system call asked for {} too",
                beside.join(", ")
            ));
        }
        gaps.extend(self.unobservable.iter().cloned());
        gaps
    }

    /// What else was not seen, and lowers no confidence.
    pub(super) fn beside(&self) -> Vec<String> {
        let mut beside = Vec::new();
        let of_pages = self.allocations.iter().filter_map(|a| a.failure.as_ref());
        let without_zones =
            of_pages.clone().count() != 0 && of_pages.clone().all(|f| f.zones.is_empty());
        if let Some(order) = self.allocations.iter().map(|a| a.order).max()
            && without_zones
            && !self.buddyinfo.is_empty()
        {
            beside.push(later(self.buddyinfo, order));
        }
        beside
    }
}

/// The namespaces that a system call's flags ask for beside the network's
/// (include/uapi/linux/sched.h).
fn namespaces_beside(flags: u64) -> Vec<&'static str> {
    const FLAGS: [(i32, &str); 6] = [
        (libc::CLONE_NEWNS, "mount"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWPID, "pid"),
    ];
    let asked = FLAGS.iter().filter(|&&(flag, _)| flags & u64::from(flag.cast_unsigned()) != 0);
    asked.map(|&(_, name)| name).collect()
}

/// What /proc/buddyinfo says about an order, and why that is no proof.
fn later(zones: &[Buddyinfo], order: u32) -> String {
    let of = |zone: &Buddyinfo| {
        zone.blocks.iter().skip(order as usize).fold(0u64, |sum, n| sum.saturating_add(*n))
    };
    let blocks: u64 = zones.iter().map(of).fold(0, u64::saturating_add);
    format!(
        "free blocks at the failure: the /proc/buddyinfo that was given, which shows {blocks} of order \
         {order} and above, was read at another time and proves nothing about that moment"
    )
}
