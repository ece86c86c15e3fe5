//! What files cost, and how much each lane may have.
use super::{Lane, seal::MAX_SEGMENT};

/// Files take whole blocks of a file system.
const BLOCK: u64 = 4096;

/// What a file of `size` bytes counts as.
pub(super) fn cost(size: u64) -> u64 {
    size.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// What a lane may cost, of a store of `max_size` bytes: a half for incidents, a quarter for each of the
/// others.
pub(super) fn of_lane(lane: Lane, max_size: u64) -> u64 {
    match lane {
        Lane::Incidents => max_size / 2,
        Lane::Creations | Lane::Samples => max_size / 4,
    }
}

/// How large a segment of a lane becomes: small enough that deleting the oldest one is no great loss.
pub(super) fn of_segment(budget: u64) -> u64 {
    (budget / 4).min(MAX_SEGMENT as u64)
}
