//! A report that waits for names and the node's facts, and how long each step towards it took.
use std::collections::HashSet;

use fragwatch_core::{
    correlate::Correlated,
    model::{entry::Entry, identity::Query},
};
use log::Level;

/// A report waits for names until this long after the creation's end.
const NAMES_NS: u64 = 15_000_000;

/// A report waits for the node's facts this long. Reading them takes 3 ms in an emulated machine.
const FACTS_NS: u64 = 10_000_000;

/// Above this delay between a creation's end and its event the node is considered overloaded. Reports
/// do not wait for names then, because the lookup thread would compete for the CPU.
const OVERLOAD_NS: u64 = 5_000_000;

/// A report later than this after the creation's end is worth a warning: the node has no CPU time left for
/// fragwatch, or something blocks it.
const LATE_NS: u64 = 1_000_000_000;

/// An entry that is to be processed. Times are `CLOCK_MONOTONIC` in nanoseconds.
pub(super) struct Taken {
    pub(super) entry: Entry,
    /// When taking it began.
    pub(super) began_ns: u64,
    /// When it was decoded.
    pub(super) decoded_ns: u64,
}

/// A completed step or incident whose report waits.
pub(super) struct Waiting {
    pub(super) correlated: Vec<Correlated>,
    /// Queries without reply.
    pub(super) queries: HashSet<Query>,
    /// Whether the node's facts are being read for it.
    pub(super) facts: bool,
    /// When it is reported in any case.
    pub(super) deadline_ns: u64,
    pub(super) stages: Stages,
    /// When the first of its creations ended; `None` if it is about none.
    ended_ns: Option<u64>,
}

impl Waiting {
    /// What an entry has completed. It waits for nothing yet.
    pub(super) fn new(correlated: Vec<Correlated>, stages: Stages) -> Self {
        let ended_ns = correlated.iter().filter_map(Correlated::ended_ns).min();
        let deadline_ns = stages.correlated;
        Self { correlated, queries: HashSet::new(), facts: false, deadline_ns, stages, ended_ns }
    }

    /// Waits for replies to these.
    pub(super) fn wait_for_names(&mut self, queries: HashSet<Query>) {
        let ended_ns = self.ended_ns.unwrap_or(self.stages.correlated);
        self.queries = queries;
        self.deadline_ns = self.deadline_ns.max(ended_ns.saturating_add(NAMES_NS));
    }

    /// Waits for the node's facts.
    pub(super) fn wait_for_facts(&mut self) {
        self.facts = true;
        self.deadline_ns = self.deadline_ns.max(self.stages.correlated.saturating_add(FACTS_NS));
    }

    /// Whether it is to be reported.
    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.deadline_ns || self.queries.is_empty() && !self.facts
    }

    /// Whether its event came so late that it should not wait for names.
    pub(super) fn is_late(&self) -> bool {
        self.ended_ns
            .is_some_and(|ended_ns| self.stages.decoded.saturating_sub(ended_ns) > OVERLOAD_NS)
    }

    /// Logs how long each step took of a report that was complete at `now_ns`.
    pub(super) fn log_stages(&self, now_ns: u64) {
        let Some(ended_ns) = self.ended_ns else { return };
        let Stages { began, decoded, correlated, names, facts, due } = self.stages;
        let us = |from: u64, to: u64| to.saturating_sub(from) / 1000;
        let late = now_ns.saturating_sub(ended_ns);
        if late > LATE_NS {
            log::warn!("a report came {} ms after the creation's end", late / 1_000_000);
        }
        let level = if late > LATE_NS { Level::Warn } else { Level::Debug };
        log::log!(
            level,
            "report stages: ring_us={} decode_us={} correlate_us={} lookup_us={} facts_us={} \
             wait_us={} write_us={}",
            us(ended_ns, began),
            us(began, decoded),
            us(decoded, correlated),
            us(correlated, names),
            us(correlated, facts),
            us(correlated, due),
            us(due, now_ns),
        );
    }
}

/// When each step towards a report was complete, `CLOCK_MONOTONIC` in nanoseconds; 0 for what was not
/// waited for.
#[derive(Clone, Copy, Default)]
pub(super) struct Stages {
    /// Taking the event from its ring began.
    pub(super) began: u64,
    pub(super) decoded: u64,
    pub(super) correlated: u64,
    /// The last reply.
    pub(super) names: u64,
    /// The node's facts.
    pub(super) facts: u64,
    /// The end of waiting; what follows is the diagnosis and the report.
    pub(super) due: u64,
}

#[cfg(test)]
mod tests {
    use fragwatch_core::{fixtures, model::step::CreationStep};

    use super::*;

    const MS: u64 = 1_000_000;

    /// A step that ended at 1 s and was correlated this much later.
    fn waiting(after_ns: u64) -> Waiting {
        let step = CreationStep { ended_ns: 1_000 * MS, ..fixtures::failed_creation() };
        let decoded = 1_000 * MS + after_ns;
        let stages = Stages { decoded, correlated: decoded, ..Stages::default() };
        Waiting::new(vec![Correlated::CreationStep(Box::new(step))], stages)
    }

    #[test]
    fn what_waits_for_nothing_is_due() {
        assert!(waiting(MS).is_due(1_001 * MS));
    }

    #[test]
    fn a_report_waits_for_all_that_it_asked_for_until_its_deadline() {
        let query = Query::Pod { uid: "uid".to_owned() };
        let mut one = waiting(2 * MS);
        one.wait_for_names(HashSet::from([query.clone()]));
        one.wait_for_facts();
        assert!(!one.is_due(1_003 * MS));
        one.queries.remove(&query);
        assert!(!one.is_due(1_004 * MS), "the facts are missing");
        one.facts = false;
        assert!(one.is_due(1_004 * MS));
        one.facts = true;
        assert!(one.is_due(1_000 * MS + NAMES_NS), "the deadline counts from the end");
    }

    #[test]
    fn facts_are_waited_for_also_after_the_deadline_for_names() {
        let mut one = waiting(40 * MS);
        one.wait_for_facts();
        assert!(!one.is_due(1_045 * MS));
        assert!(one.is_due(1_040 * MS + FACTS_NS));
    }

    #[test]
    fn an_event_that_came_late_does_not_wait_for_names() {
        assert!(!waiting(4 * MS).is_late());
        assert!(waiting(6 * MS).is_late());
    }
}
