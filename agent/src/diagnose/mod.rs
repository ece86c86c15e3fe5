//! From evidence to a verdict: pure functions, one file per cause. A wrong cause is worse than
//! `undetermined`.
mod fragmentation;
mod undetermined;

use crate::{
    allocation::{Allocation, Outcome},
    creation::{Creation, Incident, PernetInit},
};

/// Why it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Enough free memory, but in no block that is large enough.
    Fragmentation,
    /// What was seen does not carry a cause.
    Undetermined,
}

impl Cause {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fragmentation => "fragmentation",
            Self::Undetermined => "undetermined",
        }
    }
}

/// How much of what the cause rests on was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// All of it, at the moment of the failure.
    High,
    /// The decisive part; what is missing, or speaks against it, stands in the verdict.
    Medium,
    /// Not enough for a cause.
    Low,
}

impl Confidence {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Something that can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What it does.
    pub title: &'static str,
    /// How; never run by fragwatch.
    pub command: &'static str,
    /// What it costs.
    pub risk: &'static str,
    /// It keeps the failure from coming back.
    pub durable: bool,
}

/// A cause with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// What was seen that says so, in sentences.
    pub because: Vec<String>,
    /// What was not seen, in sentences.
    pub not_seen: Vec<String>,
    /// What can be done.
    pub remedies: Vec<Remedy>,
}

/// What a diagnosis is made from.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The error that a creation ended with, as a positive errno.
    pub errno: Option<i32>,
    /// Its allocations in trouble, in time order.
    pub allocations: &'a [Allocation],
    /// The subsystem whose initialisation failed.
    pub pernet_init: Option<&'a PernetInit>,
    /// Its beginning was not seen.
    pub no_beginning: bool,
    /// Events of it were lost.
    pub events_lost: bool,
    /// What can't be seen on this kernel at all, in sentences.
    pub blind_to: &'a [String],
}

impl<'a> Case<'a> {
    /// A creation, on a kernel where `blind_to` can't be seen.
    pub fn creation(creation: &'a Creation, blind_to: &'a [String]) -> Self {
        Self {
            errno: creation.errno,
            allocations: &creation.allocations,
            pernet_init: creation.pernet_init.as_ref(),
            no_beginning: creation.cgroup.is_none(),
            events_lost: creation.events_lost,
            blind_to,
        }
    }

    /// Trouble outside any creation, on a kernel where `blind_to` can't be seen.
    pub fn incident(incident: &'a Incident, blind_to: &'a [String]) -> Self {
        Self {
            errno: None,
            allocations: std::slice::from_ref(&incident.allocation),
            pernet_init: None,
            no_beginning: false,
            events_lost: false,
            blind_to,
        }
    }

    /// The allocation that decided it: the last one that failed without a fallback or, where the
    /// whole was no failure, the last one that failed at all.
    ///
    /// An error is never blamed on an allocation whose caller had a fallback; and when a
    /// subsystem's initialisation returned the error, on none that failed outside of it.
    fn decisive(&self) -> Option<&'a Allocation> {
        let last = |outcome| {
            self.allocations.iter().rev().find(|a| a.outcome == outcome && self.could_cause(a))
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

    /// What is missing from the story as a whole.
    fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if self.no_beginning {
            gaps.push("the beginning of this creation".to_owned());
        }
        if self.events_lost {
            gaps.push("events of this creation that were lost".to_owned());
        }
        gaps.extend(self.blind_to.iter().cloned());
        gaps
    }
}

/// The verdict on a case; `page_size` in bytes.
pub fn diagnose(case: &Case, page_size: u64) -> Verdict {
    fragmentation::diagnose(case, page_size)
        .unwrap_or_else(|| undetermined::diagnose(case, page_size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{creation::tests as stories, kernel::zone::tests::fragmented};

    fn verdict(creation: &Creation) -> (Cause, Confidence) {
        let verdict = diagnose(&Case::creation(creation, &[]), 4096);
        (verdict.cause, verdict.confidence)
    }

    /// Changes the zone that the failed creation's allocation saw.
    fn with_zone(change: impl FnOnce(&mut crate::kernel::zone::Zone)) -> Creation {
        let mut creation = stories::failed_creation();
        let mut zone = fragmented();
        change(&mut zone);
        if let Some(failure) = &mut creation.allocations[0].failure {
            failure.zones = vec![zone];
        }
        creation
    }

    #[test]
    fn fragmentation_is_seen() {
        let creation = stories::failed_creation();
        assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::High));
        let creation = stories::degraded_creation();
        assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::High));
    }

    #[test]
    fn a_zone_without_free_memory_is_not_fragmented() {
        let creation = with_zone(|zone| zone.min_watermark = zone.free);
        assert_eq!(verdict(&creation), (Cause::Undetermined, Confidence::Low));
    }

    #[test]
    fn a_block_that_was_there_is_not_fragmentation() {
        let creation = with_zone(|zone| {
            zone.blocks[6] = 1;
            zone.usable_orders = 1 << 6;
        });
        assert_eq!(verdict(&creation).0, Cause::Undetermined);
        // One zone that could have served is enough against it.
        let mut creation = stories::failed_creation();
        if let Some(failure) = &mut creation.allocations[0].failure {
            let mut served = fragmented();
            served.blocks[9] = 3;
            served.usable_orders = 1 << 9;
            failure.zones = vec![fragmented(), served];
        }
        assert_eq!(verdict(&creation).0, Cause::Undetermined);
    }

    #[test]
    fn reserved_blocks_serve_nobody() {
        let creation = with_zone(|zone| zone.blocks[6] = 1);
        assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::Medium));
    }

    #[test]
    fn an_exhausted_zone_beside_a_fragmented_one_changes_nothing() {
        let mut creation = stories::failed_creation();
        if let Some(failure) = &mut creation.allocations[0].failure {
            let mut empty = fragmented();
            empty.min_watermark = empty.free;
            failure.zones = vec![empty, fragmented()];
        }
        assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::High));
    }

    #[test]
    fn unread_zones_carry_no_cause() {
        let mut creation = stories::failed_creation();
        if let Some(failure) = &mut creation.allocations[0].failure {
            failure.zones_complete = false;
        }
        let verdict = diagnose(&Case::creation(&creation, &[]), 4096);
        assert_eq!(verdict.cause, Cause::Undetermined);
        assert!(!verdict.not_seen.is_empty());
        let creation = with_zone(|zone| zone.incomplete = true);
        assert_eq!(self::verdict(&creation).0, Cause::Undetermined);
    }

    #[test]
    fn order_0_is_never_fragmentation() {
        let mut creation = stories::failed_creation();
        creation.allocations[0].order = 0;
        assert_eq!(verdict(&creation).0, Cause::Undetermined);
    }

    #[test]
    fn an_error_is_not_blamed_on_what_had_a_fallback() {
        let mut creation = stories::failed_creation();
        creation.allocations[0].outcome = Outcome::FellBack;
        assert_eq!(verdict(&creation).0, Cause::Undetermined);
    }

    #[test]
    fn an_error_without_a_failed_allocation_is_undetermined() {
        let mut creation = stories::failed_creation();
        creation.allocations.clear();
        assert_eq!(verdict(&creation), (Cause::Undetermined, Confidence::Low));
    }

    #[test]
    fn gaps_lower_the_confidence() {
        let mut creation = stories::failed_creation();
        creation.events_lost = true;
        assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::Medium));
        let mut creation = stories::failed_creation();
        creation.errno = Some(libc::EINTR);
        assert_eq!(verdict(&creation).0, Cause::Undetermined);
    }

    #[test]
    fn an_error_is_not_blamed_on_what_failed_outside_the_subsystem() {
        let mut creation = stories::failed_creation();
        if let Some(init) = &mut creation.pernet_init {
            // It was entered after the allocation had failed.
            init.began_ns = creation.allocations[0].failed_ns.map(|failed| failed + 1);
        }
        assert_eq!(verdict(&creation).0, Cause::Undetermined);
        let mut creation = stories::failed_creation();
        // Taking back what was set up may fail too, after the error.
        creation.allocations[0].failed_ns = creation.pernet_init.as_ref().map(|i| i.ended_ns + 1);
        assert_eq!(verdict(&creation).0, Cause::Undetermined);
    }

    #[test]
    fn a_mask_that_is_not_known_carries_no_cause() {
        let mut creation = stories::failed_creation();
        (creation.allocations[0].gfp.flags, creation.allocations[0].gfp.traits) = (None, None);
        let verdict = diagnose(&Case::creation(&creation, &[]), 4096);
        assert_eq!(verdict.cause, Cause::Undetermined);
        assert!(verdict.not_seen.iter().any(|n| n.contains("gfp")), "{verdict:?}");
    }

    /// The failed creation with another mask.
    fn with_mask(raw: u32) -> Creation {
        let mut creation = stories::failed_creation();
        creation.allocations[0].gfp = crate::kernel::gfp::tests::names_6_12().decode(raw);
        creation
    }

    #[test]
    fn a_mask_with_other_watermarks_or_lists_carries_no_cause() {
        // GFP_ATOMIC may go below the watermark and take of the atomic reserve.
        assert_eq!(verdict(&with_mask(0x820)).0, Cause::Undetermined);
        // Nobody tried to make room for it.
        assert_eq!(verdict(&with_mask(0xc0)).0, Cause::Undetermined);
        assert_eq!(verdict(&with_mask(0x40cc0)).0, Cause::Fragmentation);
    }

    #[test]
    fn what_lowers_the_confidence() {
        // __GFP_NOWARN: its caller may have had a fallback.
        let medium = (Cause::Fragmentation, Confidence::Medium);
        assert_eq!(verdict(&with_mask(0x42cc0)), medium);
        // __GFP_HARDWALL on two nodes: its cpuset may have allowed one of them alone.
        let mut creation = with_mask(0x140cc0);
        assert_eq!(verdict(&creation), (Cause::Fragmentation, Confidence::High));
        if let Some(failure) = &mut creation.allocations[0].failure {
            let other = crate::kernel::zone::Zone { node: Some(1), ..fragmented() };
            failure.zones.push(other);
        }
        assert_eq!(verdict(&creation), medium);
        // A hook that is missing.
        let creation = stories::failed_creation();
        let blind_to = ["which subsystem's initialisation failed".to_owned()];
        let verdict = diagnose(&Case::creation(&creation, &blind_to), 4096);
        assert_eq!((verdict.cause, verdict.confidence), medium);
        assert_eq!(verdict.not_seen, blind_to);
    }
}
