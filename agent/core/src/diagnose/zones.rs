//! What the zones in an allocation's reach say together.
use crate::{
    diagnose::Evidence,
    model::{
        allocation::Allocation,
        zone::{Access, Offer, Zone},
    },
    units,
};

/// What the zones in reach had for an allocation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading<'a> {
    /// One had the pages and not the block, and none had both.
    Fragmented(&'a Zone),
    /// One had plenty of pages, and its blocks were not seen; the others had too few pages.
    Plenty(&'a Zone),
    /// None had the pages.
    Exhausted,
    /// One could have served when it was read, or could not be read whole: blocks come and go while
    /// no lock is held.
    Inconclusive,
    /// Nothing was read.
    Nothing,
}

/// Reads the zones of an allocation that failed or called the OOM killer.
pub(super) fn read<'a>(evidence: &Evidence, allocation: &'a Allocation) -> Reading<'a> {
    let Some(failure) = &allocation.failure else { return Reading::Nothing };
    let order = allocation.order;
    // An unknown mask may allow either.
    let accesses = match allocation.gfp.traits {
        Some(traits) => vec![Access::of(traits)],
        None => vec![Access::default(), Access { high: true, atomic: true }],
    };
    let mut readings =
        accesses.iter().map(|access| of_access(evidence.live, &failure.zones, order, *access));
    let first = readings.next().unwrap_or(Reading::Nothing);
    let agrees = |other: Reading| std::mem::discriminant(&other) == std::mem::discriminant(&first);
    if readings.all(agrees) { first } else { Reading::Inconclusive }
}

fn of_access(live: bool, zones: &[Zone], order: u32, access: Access) -> Reading<'_> {
    let offers: Vec<(Offer, &Zone)> =
        zones.iter().map(|zone| (zone.offer_to(order, access), zone)).collect();
    let any = |wanted: Offer| offers.iter().any(|(offer, _)| *offer == wanted);
    let most_free = |wanted: &[Offer]| {
        let found = offers.iter().filter(|(offer, _)| wanted.contains(offer));
        found.map(|(_, zone)| *zone).max_by_key(|zone| zone.free)
    };
    // Watched live, a block that is in reserve may be in the one that an atomic allocation may use;
    // a log has the lists' letters.
    let unclear_reserve = access.atomic && live && any(Offer::Reserved);
    if offers.is_empty() {
        Reading::Nothing
    } else if any(Offer::Usable) || any(Offer::Unknown) || unclear_reserve {
        Reading::Inconclusive
    } else if let Some(zone) = most_free(&[Offer::Fragmented, Offer::Reserved]) {
        Reading::Fragmented(zone)
    } else if let Some(zone) = most_free(&[Offer::Unseen]) {
        // Close to the mark, pages come and go as blocks do.
        let plenty = zone.high_watermark.is_some_and(|mark| {
            zone.free > mark.saturating_add(zone.lowmem_reserve).saturating_add(1 << order.min(40))
        });
        if plenty { Reading::Plenty(zone) } else { Reading::Inconclusive }
    } else {
        Reading::Exhausted
    }
}

/// Whether every zone in reach is smaller than the block, so that nothing could ever have made room.
pub(super) fn too_small(allocation: &Allocation) -> bool {
    let block = 1u64.checked_shl(allocation.order).unwrap_or(u64::MAX);
    let zones = || allocation.failure.iter().flat_map(|failure| &failure.zones);
    zones().next().is_some() && zones().all(|zone| zone.managed < block)
}

/// What bounds the nodes of an allocation, if that leaves a doubt about them.
pub(super) fn doubt_about_nodes(allocation: &Allocation) -> Option<String> {
    let zones = &allocation.failure.as_ref()?.zones;
    let one_node = zones.iter().all(|zone| zone.node == zones[0].node);
    let hardwall = allocation.gfp.traits.is_none_or(|traits| traits.hardwall);
    (hardwall && !one_node).then(|| "which nodes its cpuset allowed".to_owned())
}

/// Free memory of a zone, as people read it.
pub(super) fn free(evidence: &Evidence, zone: &Zone) -> String {
    units::bytes(zone.free.saturating_mul(evidence.page_size))
}

/// A block of an order, as people read it.
pub(super) fn block(evidence: &Evidence, order: u32) -> String {
    evidence.page_size.checked_shl(order).map_or_else(|| format!("order {order}"), units::bytes)
}

/// What a zone lacked for an allocation that found too few pages.
pub(super) fn exhausted(evidence: &Evidence, zone: &Zone) -> String {
    let bytes = |pages: u64| units::bytes(pages.saturating_mul(evidence.page_size));
    let reserve = match zone.lowmem_reserve {
        0 => String::new(),
        pages => format!(" and {} kept for lower zones", bytes(pages)),
    };
    format!(
        "{} had {} free, with a watermark of {}{reserve}",
        zone.label(),
        free(evidence, zone),
        bytes(zone.min_watermark)
    )
}
