//! What a diagnosis is made from, whatever source it came from.
use crate::{
    model::{
        allocation::{Allocation, Outcome},
        event::{CgroupSetup, ChargeFailed, ForkRefused, NamespaceKind, OomKill, OomScope},
        incident::Incident,
        log_incident::{Buddyinfo, ContainerFailure, LogIncident, OomCall},
        node::Reading,
        step::{CreationStep, PernetInit},
    },
    units,
};

/// What a diagnosis is made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The error that a creation ended with, as a positive errno.
    pub errno: Option<i32>,
    /// Its allocations in trouble, in time order.
    pub allocations: &'a [Allocation],
    /// The subsystem whose initialisation failed.
    pub pernet_init: Option<&'a PernetInit>,
    /// Charges to a memory cgroup that failed.
    pub charges: &'a [ChargeFailed],
    /// How often its memory cgroup's memory was reclaimed for it.
    pub memcg_reclaims: u64,
    /// Processes that were killed for its allocations.
    pub oom_kills: &'a [OomKill],
    /// Limits on namespaces that refused one.
    pub namespaces_refused: &'a [NamespaceKind],
    /// The cgroup that could not be made.
    pub cgroup_setup: Option<&'a CgroupSetup>,
    /// The fork that was refused.
    pub fork_refused: Option<&'a ForkRefused>,
    /// Its beginning was not seen.
    pub no_beginning: bool,
    /// Flags of the system call, where the error may be that of anything in it.
    pub call_flags: Option<u64>,
    /// Events of it were lost.
    pub events_lost: bool,
    /// What can't be seen on this kernel at all, in sentences.
    pub unobservable: &'a [String],
    /// What only a log has, if it came from one.
    pub log: Option<&'a LogIncident>,
    /// The node's facts, read at another time: they prove nothing, so that no cause may rest on
    /// them.
    pub node: Option<Reading<'a>>,
}

/// A call of the OOM killer, as far as it was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oom<'a> {
    pub(super) order: Option<i32>,
    pub(super) scope: &'a OomScope,
    /// See [`OomCall::page_fault`].
    pub(super) page_fault: bool,
    /// See [`OomCall::bounded`].
    pub(super) bounded: bool,
}

impl<'a> Evidence<'a> {
    /// A creation, on a kernel where `unobservable` can't be seen.
    pub fn creation(creation: &'a CreationStep, unobservable: &'a [String]) -> Self {
        Self {
            errno: creation.errno,
            allocations: &creation.allocations,
            pernet_init: creation.pernet_init.as_ref(),
            charges: &creation.charges,
            memcg_reclaims: creation.memcg_reclaims.map_or(0, |reclaims| reclaims.count),
            oom_kills: &creation.oom_kills,
            namespaces_refused: &creation.namespaces_refused,
            cgroup_setup: creation.cgroup_setup.as_ref(),
            fork_refused: creation.fork_refused.as_ref(),
            no_beginning: !creation.beginning_seen,
            call_flags: creation.call_flags,
            events_lost: creation.events_lost,
            unobservable,
            log: None,
            node: None,
        }
    }

    /// With the node's facts beside it.
    #[must_use]
    pub fn with_node(self, node: Option<Reading<'a>>) -> Self {
        Self { node, ..self }
    }

    /// Trouble outside any creation, on a kernel where `unobservable` can't be seen.
    pub fn incident(incident: &'a Incident, unobservable: &'a [String]) -> Self {
        Self {
            allocations: incident.allocation.as_slice(),
            oom_kills: &incident.oom_kills,
            fork_refused: incident.fork_refused.as_ref(),
            unobservable,
            ..Self::default()
        }
    }

    /// What a log tells of.
    pub fn log(incident: &'a LogIncident) -> Self {
        let of_kernel = incident.slab_caches.iter().find_map(|cache| cache.errno);
        let of_program = || incident.containers.iter().find_map(|failure| failure.errno);
        Self {
            errno: of_kernel.or_else(of_program),
            allocations: &incident.allocations,
            oom_kills: &incident.oom_kills,
            unobservable: &incident.gaps,
            log: Some(incident),
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
                    && (self.log.is_none_or(|log| log.vmalloc.is_empty()) && a.failure.is_some())
            })
        };
        match self.errno {
            Some(_) => last(Outcome::Failed),
            None => last(Outcome::Failed).or_else(|| last(Outcome::FellBack)),
        }
    }

    fn could_cause(&self, allocation: &Allocation) -> bool {
        let (Some(init), Some(failed)) = (self.pernet_init, allocation.failed_ns) else {
            return true;
        };
        failed <= init.ended_ns && init.began_ns.is_none_or(|began| began <= failed)
    }

    /// The allocation that had the OOM killer called.
    pub(super) fn asked_for_kill(&self) -> Option<&'a Allocation> {
        self.allocations.iter().find(|a| a.outcome == Outcome::CalledOomKiller)
    }

    /// The call of the OOM killer.
    pub(super) fn oom(&self) -> Option<Oom<'a>> {
        let of_log = self.log.and_then(|log| log.oom.as_ref()).map(|call: &OomCall| Oom {
            order: call.order,
            scope: &call.scope,
            page_fault: call.page_fault,
            bounded: call.bounded,
        });
        of_log.or_else(|| {
            let kill = self.oom_kills.first()?;
            Some(Oom { order: kill.order, scope: &kill.scope, page_fault: false, bounded: false })
        })
    }

    /// The kernel's release, if it came from a log and is known.
    pub(super) fn kernel(&self) -> Option<&'a str> {
        self.log?.kernel.as_deref()
    }

    /// What programs said of the container.
    pub(super) fn containers(&self) -> &'a [ContainerFailure] {
        self.log.map(|log| log.containers.as_slice()).unwrap_or_default()
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

    /// Whether something of the story itself is missing, and not only what can't be seen here at all.
    pub(super) fn is_half_a_story(&self) -> bool {
        self.no_beginning || self.events_lost
    }

    /// What is missing from the story as a whole.
    pub(super) fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if self.no_beginning {
            gaps.push("the beginning of this creation".to_owned());
        }
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
        let Some(log) = self.log else { return beside };
        let of_pages = self.allocations.iter().filter_map(|a| a.failure.as_ref());
        let without_zones =
            of_pages.clone().count() != 0 && of_pages.clone().all(|f| f.zones.is_empty());
        if let Some(order) = self.allocations.iter().map(|a| a.order).max()
            && without_zones
            && !log.buddyinfo.is_empty()
        {
            beside.push(later(&log.buddyinfo, order));
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
