//! The names of the programs' maps, by which the agent finds them.

/// Ring of what belongs to a creation. Never shared with anything that can flood it.
pub const CREATION_EVENTS: &str = "CREATION_EVENTS";
/// Ring of what happens outside creations: with `--all` all of it, else what is rare.
pub const OTHER_EVENTS: &str = "OTHER_EVENTS";
/// Ring of cgroups that were created, renamed or removed: a node can create thousands in a second.
pub const CGROUP_EVENTS: &str = "CGROUP_EVENTS";
/// Threads that allocate outside a creation.
pub const OUTSIDE: &str = "OUTSIDE";
/// The program that reads one zone.
pub const ZONE_WALK: &str = "ZONE_WALK";
/// See [`Counter`](crate::Counter).
pub const COUNTERS: &str = "COUNTERS";
/// The name that `symbol_name` put there.
pub const SYMBOL: &str = "SYMBOL";
/// Counts of `block_fallback`.
pub const FALLBACKS: &str = "FALLBACKS";
