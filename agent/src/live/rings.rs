//! Sizes of the ring buffers.
use fragwatch_ebpf::Kind;

/// Failures with all their zones that the creations' ring has room for. A creation sends at most some ten: the
/// agent may be kept from reading while forty creations fail.
const FAILURES: usize = 400;
/// OOM kills with all their zones that the other ring has room for, without `--all`.
const KILLS: usize = 32;
/// The largest ring, however many zones there are.
const LARGEST: u32 = 8 << 20;
/// With `--all` the other ring has no less than this.
const ALL: u32 = 512 << 10;

/// Bytes of each ring.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Of the creations'.
    pub(super) creations: u32,
    /// Of the one for what happens outside creations.
    pub(super) others: u32,
}

/// The sizes for a machine with so many zones.
pub(super) fn sizes(zones: usize, all: bool) -> Sizes {
    // The ring has a head of eight bytes for each record.
    let of_zones = zones.saturating_mul(Kind::ZoneRead.size() + 8);
    let with_zones = |kind: Kind| of_zones.saturating_add(kind.size() + 8);
    let ring = |count: usize, kind: Kind| {
        let bytes = u32::try_from(with_zones(kind).saturating_mul(count)).unwrap_or(LARGEST);
        // The kernel wants a power of two.
        bytes.min(LARGEST).next_power_of_two()
    };
    let others = ring(KILLS, Kind::OomKilled);
    Sizes {
        creations: ring(FAILURES, Kind::AllocationFailed),
        others: if all { others.max(ALL) } else { others },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_grow_with_the_zones_and_no_further_than_a_limit() {
        assert_eq!(sizes(3, false), Sizes { creations: 1 << 19, others: 128 << 10 });
        assert_eq!(sizes(3, true), Sizes { creations: 1 << 19, others: 512 << 10 });
        let eight_nodes = sizes(10, false);
        assert!(eight_nodes.creations > sizes(3, false).creations, "{eight_nodes:?}");
        assert_eq!(sizes(usize::MAX, false), Sizes { creations: 8 << 20, others: 8 << 20 });
    }
}
