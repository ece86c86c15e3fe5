//! Undetermined: no cause is carried by what was seen. Says what was seen, and what was not.
use crate::{
    diagnose::{Evidence, memcg_slots, remedies, vmalloc_exhaustion, zones},
    model::{
        allocation::{Allocation, Outcome},
        errno,
        notice::HungIn,
        verdict::{Cause, Confidence, Verdict},
        vmalloc::Lack,
        zone::{Access, Offer, Zone},
    },
    units,
};

/// The verdict when no other holds.
pub(super) fn diagnose(evidence: &Evidence) -> Verdict {
    let mut because = Vec::new();
    let mut not_seen = evidence.gaps();
    match (evidence.errno, evidence.decisive()) {
        (Some(number), Some(allocation)) => {
            because.push(format!("the creation failed with {}", errno::name(number)));
            describe(evidence, allocation, &mut because, &mut not_seen);
        }
        (Some(number), None) if kernel_reports(evidence) => {
            because.push(format!("the creation failed with {}", errno::name(number)));
            of_the_rest(evidence, &mut because, &mut not_seen);
        }
        (Some(number), None) => {
            because.push(format!(
                "the creation failed with {}, and no allocation that could be the reason was seen \
                 to fail",
                errno::name(number)
            ));
            let unseen = evidence.allocations.iter().filter(|a| a.outcome == Outcome::Unknown);
            because.extend(unseen.map(|a| made_room(evidence, a)));
            if let Some(reclaims) = evidence.memcg_reclaims {
                because.push(format!(
                    "its memory cgroup had to make room {} times: it may have been at its limit",
                    reclaims.count
                ));
            }
            if evidence.oom().is_some() {
                because.push("its process was killed by the OOM killer".to_owned());
                not_seen.push("for which allocation, and whose memory ran out".to_owned());
            }
            // Live, the hook of charges sees them, or is among what can't be seen.
            if number == libc::ENOMEM && !evidence.live {
                not_seen.push(
                    "charges to a memory cgroup, which fail without any allocation failing"
                        .to_owned(),
                );
                not_seen.push(what_decides(evidence));
            }
            if number == libc::EAGAIN && !evidence.live {
                not_seen.push(WHICH_PROCESSES.to_owned());
            }
        }
        (None, Some(allocation)) => {
            describe(evidence, allocation, &mut because, &mut not_seen);
        }
        (None, None) => of_the_rest(evidence, &mut because, &mut not_seen),
    }
    Verdict {
        cause: Cause::Undetermined,
        confidence: Confidence::Low,
        because,
        not_seen,
        remedies: Vec::new(),
        no_help: Vec::new(),
    }
}

/// Whether a log has a report of the kernel's that says something about a failed start.
fn kernel_reports(evidence: &Evidence) -> bool {
    !evidence.live
        && (evidence.percpu.is_some()
            || evidence.hung.is_some()
            || evidence.oom().is_some()
            || !evidence.vmalloc.is_empty()
            || !evidence.slab_failures.is_empty())
}

/// How to find out what refused a process.
const WHICH_PROCESSES: &str = "whether a limit on processes refused it, which is what EAGAIN mostly means: \
     `dmesg | grep 'fork rejected'`, `max` in pids.events of the pod's cgroup and those above it, \
     `ulimit -u` of its user, kernel.pid_max and kernel.threads-max";

/// How to find out what a start lacked that failed with ENOMEM.
fn what_decides(evidence: &Evidence) -> String {
    let charges = match evidence.cgroup_v1() {
        Some(true) => "memory.failcnt and memory.kmem.failcnt",
        Some(false) => "`max` in memory.events",
        None => "`max` in memory.events (v1: memory.failcnt and memory.kmem.failcnt)",
    };
    format!(
        "the kernel's log of that moment: in `dmesg -T` a page allocation failure shows order and \
         zones, and an OOM kill shows whose limit was hit. Without either it was a charge: {charges} \
         of the pod's cgroup and those above it rise then. `cat /proc/buddyinfo` while it fails \
         shows whether large blocks are lacking"
    )
}

/// What was seen where no allocation is known to have failed.
fn of_the_rest(evidence: &Evidence, because: &mut Vec<String>, not_seen: &mut Vec<String>) {
    let waited = evidence.allocations.iter().any(|a| a.outcome == Outcome::Recovered);
    if let Some(oom) = evidence.oom() {
        let order = oom.order.map(|order| format!(" for order {order}")).unwrap_or_default();
        because.push(format!("the OOM killer was called{order}"));
        if let Some(allocation) = evidence.asked_for_kill() {
            describe_zones(evidence, allocation, because, not_seen);
        }
        not_seen.push("whose memory ran out, and how far".to_owned());
    } else if let Some(failed) = evidence.vmalloc.first() {
        let amount = failed.bytes.map_or_else(|| "some".to_owned(), units::bytes);
        because.push(format!("a vmalloc of {amount} failed"));
        if vmalloc_exhaustion::too_large(evidence, failed) {
            because.push(
                "it asked for more than the machine has, which is an error of its caller"
                    .to_owned(),
            );
        } else if failed.lack != Lack::Pages {
            not_seen.push(
                "whether addresses were lacking or it asked for more than the machine has"
                    .to_owned(),
            );
        } else {
            not_seen
                .push("why it got no pages: the task may have been killed meanwhile".to_owned());
        }
    } else if let Some(failed) = evidence.percpu {
        because.push(format!(
            "the per-CPU allocator found no room for {} on each CPU: {}",
            failed.bytes.map_or_else(|| "some bytes".to_owned(), units::bytes),
            failed.reason
        ));
        not_seen.push(
            if failed.lacks_pages() {
                "how much memory was free: the kernel prints no zones with this failure"
            } else {
                "whether addresses, room in its chunks or pages were lacking: `grep Percpu \
                 /proc/meminfo` shows what it holds"
            }
            .to_owned(),
        );
    } else if let Some(hung) = evidence.hung {
        let pressure = "/proc/pressure/memory";
        let pressure = if remedies::has_all(evidence, pressure) { pressure } else { "`vmstat 1`" };
        let (waits, decides) = match hung.waits_in {
            HungIn::Compaction => (
                "direct compaction: it needs a large block of memory",
                "`cat /proc/buddyinfo` and compact_stall, compact_fail in /proc/vmstat".to_owned(),
            ),
            HungIn::Reclaim => (
                "direct reclaim: it needs free pages",
                format!(
                    "{pressure}, and what is slow to write or free: the disk, a network file \
                     system, a memory cgroup at its limit"
                ),
            ),
        };
        because.push(format!("the task has been blocked for {} s in {waits}", hung.seconds));
        not_seen.push(format!("the zones meanwhile: the log has none; {decides} would show why"));
    } else if !evidence.slab_failures.is_empty() {
        because.push("a slab cache got no pages".to_owned());
        not_seen
            .push("whether pages were lacking or a charge to a memory cgroup failed".to_owned());
    } else if !evidence.messages.is_empty() {
        because.push("a container didn't start".to_owned());
        not_seen.push(
            "why: its message doesn't say, and the kernel logged nothing that belongs to it"
                .to_owned(),
        );
    } else if evidence.live || waited {
        because.push("it waited for memory, and nothing failed".to_owned());
        let stalled = evidence.allocations.iter().filter(|a| a.outcome == Outcome::Recovered);
        for allocation in stalled {
            describe_zones(evidence, allocation, because, not_seen);
        }
    } else {
        not_seen.push("what failed: the log says no more".to_owned());
    }
}

fn describe(
    evidence: &Evidence,
    allocation: &Allocation,
    because: &mut Vec<String>,
    not_seen: &mut Vec<String>,
) {
    because.push(format!("an order-{} allocation failed", allocation.order));
    because.extend(memcg_slots::behind(evidence, allocation));
    describe_zones(evidence, allocation, because, not_seen);
    let zones = allocation.failure.iter().any(|failure| !failure.zones.is_empty());
    if !evidence.live && allocation.order > 0 && !zones {
        because.push("fragmentation and lack of memory both do that".to_owned());
    }
}

fn describe_zones(
    evidence: &Evidence,
    allocation: &Allocation,
    because: &mut Vec<String>,
    not_seen: &mut Vec<String>,
) {
    let Some(failure) = &allocation.failure else { return };
    because.extend(failure.zones.iter().map(|zone| offered(evidence, zone, allocation)));
    if allocation.gfp.traits.is_none() {
        not_seen.push("what its gfp mask says: this kernel's bits are not known".to_owned());
    }
    if !failure.zones_complete {
        not_seen.push(
            if evidence.live {
                "all zones at the failure: the allocation's context was not known, or records of \
                 it were lost"
            } else if is_bound_to_unknown_node(allocation) {
                "which node it had to come from: __GFP_THISNODE allows one, and the kernel doesn't \
                 print which"
            } else {
                "the zones at the failure: the log has no Mem-Info for it, or not all of it"
            }
            .to_owned(),
        );
    }
}

/// Whether its mask allows one node alone, and zones of several are there.
fn is_bound_to_unknown_node(allocation: &Allocation) -> bool {
    let bound =
        allocation.gfp.flags.as_deref().is_some_and(|flags| flags.contains("__GFP_THISNODE"));
    let zones = || allocation.failure.iter().flat_map(|failure| &failure.zones);
    let first = zones().next().and_then(|zone| zone.node);
    bound && zones().any(|zone| zone.node != first)
}

/// What was seen of an allocation whose outcome was not.
fn made_room(evidence: &Evidence, allocation: &Allocation) -> String {
    let order = allocation.order;
    let size = evidence.page_size.checked_shl(order).map_or_else(|| "?".to_owned(), units::bytes);
    let mut tried: Vec<String> =
        allocation.compactions.iter().map(|result| result.describe()).collect();
    if tried.is_empty() {
        tried.push("no result seen".to_owned());
    }
    format!(
        "an order-{order} allocation ({size}) needed room: direct compaction came to {}, reclaim \
         freed {}",
        tried.join(", "),
        units::bytes(allocation.reclaimed.saturating_mul(evidence.page_size))
    )
}

fn offered(evidence: &Evidence, zone: &Zone, allocation: &Allocation) -> String {
    let name = zone.label();
    let free = zones::free(evidence, zone);
    let pages = zones::block(evidence, allocation.order);
    let access = allocation.gfp.traits.map(Access::of).unwrap_or_default();
    match zone.offer_to(allocation.order, access) {
        Offer::Exhausted => format!("{name} had {free} free: not {pages} above its watermark"),
        Offer::Fragmented => format!("{name} had {free} free, but no block of {pages}"),
        Offer::Reserved => format!("{name} had blocks of {pages} only in reserves"),
        Offer::Usable => format!(
            "{name} held a block of {pages} when it was read: freed since the attempt, or \
             out of the allocation's reach"
        ),
        Offer::Unseen => format!("{name} had {free} free; its free blocks were not seen"),
        Offer::Unknown => format!("{name} could not be read whole"),
    }
}
