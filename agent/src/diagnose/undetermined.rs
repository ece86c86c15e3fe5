//! Undetermined: no cause is carried by what was seen. Says what was seen, and what was not.
use super::{Case, Cause, Confidence, Verdict};
use crate::{
    allocation::{Allocation, Outcome},
    kernel::{
        errno,
        zone::{Offer, Zone},
    },
    units,
};

/// The verdict when no other holds.
pub(super) fn diagnose(case: &Case, page_size: u64) -> Verdict {
    let mut because = Vec::new();
    let mut not_seen = case.gaps();
    match (case.errno, case.decisive()) {
        (Some(number), Some(allocation)) => {
            because.push(format!("the creation failed with {}", errno::name(number)));
            describe(allocation, page_size, &mut because, &mut not_seen);
        }
        (Some(number), None) => {
            because.push(format!(
                "the creation failed with {}, and no allocation that could be the reason was seen \
                 to fail",
                errno::name(number)
            ));
            let unseen = case.allocations.iter().filter(|a| a.outcome == Outcome::Unknown);
            because.extend(unseen.map(|a| made_room(a, page_size)));
            if case.memcg_reclaims != 0 {
                because.push(format!(
                    "its memory cgroup had to make room {} times: it may have been at its limit",
                    case.memcg_reclaims
                ));
            }
            if number == libc::ENOMEM {
                not_seen.push(
                    "charges to a memory cgroup, which fail without any allocation failing"
                        .to_owned(),
                );
            }
        }
        (None, Some(allocation)) => describe(allocation, page_size, &mut because, &mut not_seen),
        (None, None) => because.push("it waited for memory, and nothing failed".to_owned()),
    }
    Verdict {
        cause: Cause::Undetermined,
        confidence: Confidence::Low,
        because,
        not_seen,
        remedies: Vec::new(),
    }
}

fn describe(
    allocation: &Allocation,
    page_size: u64,
    because: &mut Vec<String>,
    not_seen: &mut Vec<String>,
) {
    let order = allocation.order;
    because.push(format!("an order-{order} allocation came back NULL"));
    let Some(failure) = &allocation.failure else { return };
    because.extend(failure.zones.iter().map(|zone| offered(zone, order, page_size)));
    if allocation.gfp.traits.is_none() {
        not_seen.push("what its gfp mask says: this kernel's bits are not known".to_owned());
    }
    if !failure.zones_complete {
        not_seen.push(
            "all zones at the failure: the allocation's context was not known, or records of it \
             were lost"
                .to_owned(),
        );
    }
}

/// What was seen of an allocation whose outcome was not.
fn made_room(allocation: &Allocation, page_size: u64) -> String {
    let order = allocation.order;
    let size = page_size.checked_shl(order).map_or_else(|| "?".to_owned(), units::bytes);
    let mut tried: Vec<String> =
        allocation.compactions.iter().map(|result| result.describe()).collect();
    if tried.is_empty() {
        tried.push("no result seen".to_owned());
    }
    format!(
        "an order-{order} allocation ({size}) needed room: direct compaction came to {}, reclaim \
         freed {}",
        tried.join(", "),
        units::bytes(allocation.reclaimed.saturating_mul(page_size))
    )
}

fn offered(zone: &Zone, order: u32, page_size: u64) -> String {
    let name = zone.label();
    let free = units::bytes(zone.free.saturating_mul(page_size));
    let pages = units::bytes(page_size << order.min(20));
    match zone.offer(order) {
        Offer::Exhausted => format!("{name} had {free} free: not {pages} above its watermark"),
        Offer::Fragmented => format!("{name} had {free} free, but no block of {pages}"),
        Offer::Reserved => format!("{name} had blocks of {pages} only in reserves"),
        Offer::Usable => format!(
            "{name} held a block of {pages} when it was read: freed since the attempt, or \
             out of the allocation's reach"
        ),
        Offer::Unknown => format!("{name} could not be read whole"),
    }
}
