//! OOM kills that belong to no container's start. A process may have many killed, one after the other, before
//! it gets its memory: that is one incident.
use std::collections::HashMap;

use crate::{
    correlate::MAX_OPEN,
    model::{
        event::OomKill,
        incident::{Incident, Source},
    },
};

/// What is further apart has another reason.
pub(super) const KILLS_APART_NS: u64 = 1_000_000_000;

/// Incidents to which kills may still be added, by the thread that asked for memory.
#[derive(Default)]
pub(super) struct Kills {
    open: HashMap<u32, Incident>,
}

impl Kills {
    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes the incident of one kill. Returns those that are over.
    pub(super) fn push(&mut self, mut incident: Incident) -> Vec<Incident> {
        let tid = incident.tid.unwrap_or(0);
        let mut ended = if self.open.len() >= MAX_OPEN { self.flush(None) } else { Vec::new() };
        match self.open.get_mut(&tid) {
            Some(open) if continues(open, &incident) => {
                open.oom_kills.append(&mut incident.oom_kills);
                open.source = incident.source;
                // The zones of the first call are kept: later ones have the victims' memory.
                if open.allocations.is_empty() {
                    open.allocations = incident.allocations;
                }
            }
            _ => ended.extend(self.open.insert(tid, incident)),
        }
        ended
    }

    /// Ends those to which nothing was added for a while, all of them if `now_ns` is `None`. In the order
    /// of their last kills.
    pub(super) fn flush(&mut self, now_ns: Option<u64>) -> Vec<Incident> {
        let is_over = |incident: &Incident| {
            now_ns.is_none_or(|now| now.saturating_sub(last_ns(incident)) >= KILLS_APART_NS)
        };
        let mut ended: Vec<Incident> =
            self.open.extract_if(|_, incident| is_over(incident)).map(|(_, i)| i).collect();
        ended.sort_by_key(|incident| (last_ns(incident), incident.tid));
        ended
    }
}

/// Whether a kill is a further one for the same allocation.
fn continues(open: &Incident, next: &Incident) -> bool {
    let request =
        |kill: &OomKill| (kill.order, kill.gfp.as_ref().map(|gfp| gfp.raw), kill.scope.clone());
    last_ns(next).saturating_sub(last_ns(open)) < KILLS_APART_NS
        && open.oom_kills.last().map(request) == next.oom_kills.first().map(request)
}

fn last_ns(incident: &Incident) -> u64 {
    match incident.source {
        Source::Live { time_ns } => time_ns,
        Source::Log(_) => 0,
    }
}

#[cfg(test)]
mod tests;
