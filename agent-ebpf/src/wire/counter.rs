//! What the kernel side counts instead of recording it.
use super::numbered;

numbered! {
    /// What the kernel side counts, per CPU; the index into the map `COUNTERS`.
    Counter {
        /// Records for which the creations' ring had no room.
        LostCreationEvents,
        /// Records for which the ring of everything else (`--all`) had no room.
        LostOtherEvents,
        /// Creations that could not be tracked: the table of threads was full, or the arguments of the
        /// system call could not be read in time.
        UntrackedCreations,
        /// Returns that were never seen: of a creation, found when its thread id came up again, or of
        /// something inside one, found when that ended.
        UnseenReturns,
        /// Slow paths entered outside any creation, retries included.
        OutsideSlowPaths,
        /// Allocations that failed outside any creation.
        OutsideFailures,
        /// Direct compactions outside any creation.
        OutsideCompactions,
        /// Direct reclaims outside any creation.
        OutsideReclaims,
        /// Records of cgroups for which their ring had no room.
        LostCgroupEvents,
        /// Allocations that failed outside any creation and were wanted, but only counted: too many alike.
        OmittedFailures,
        /// Creations whose beginning was seen, cgroups not among them.
        BegunCreations,
        /// Of these, those whose end was seen.
        EndedCreations,
        /// Of these, those that ended without trouble and were not recorded.
        UntroubledCreations,
        /// Failed steps of a start that were only counted: too many alike.
        OmittedSteps,
    }
}
