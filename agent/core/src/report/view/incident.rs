//! Incidents that were seen live.
use jiff::Timestamp;

use super::{
    View,
    allocation::allocation,
    cgroup,
    memcg::{fork_refused, oom_kill},
    node::node,
    verdict::verdict,
};
use crate::{
    model::{
        allocation::Outcome as AllocationOutcome, incident, node::Reading, step::Outcome,
        verdict::Verdict,
    },
    report::line::{Line, incident::Incident},
};

impl View {
    /// An incident that happened at that time.
    pub fn incident(
        &self,
        time: Timestamp,
        incident: &incident::Incident,
        verdict_on_it: &Verdict,
        reading: Option<Reading>,
    ) -> Line {
        let outcome = match incident.allocation.as_ref().map(|a| a.outcome) {
            // Without an allocation it is a kill or a refused fork.
            None | Some(AllocationOutcome::Failed | AllocationOutcome::CalledOomKiller) => {
                Outcome::Failed
            }
            Some(AllocationOutcome::FellBack) => Outcome::Degraded,
            // Without a stall it would be no incident.
            Some(AllocationOutcome::Recovered | AllocationOutcome::Unknown) => Outcome::Stalled,
        };
        let oom_kills = || incident.oom_kills.iter().map(oom_kill).collect();
        Line::Incident(Box::new(Incident {
            time: Some(time.into()),
            log: None,
            kernel: Some(self.kernel.clone()),
            outcome,
            errno: None,
            pid: Some(incident.task.pid),
            tid: Some(incident.task.tid),
            comm: Some(incident.task.comm.clone()),
            cgroup: Some(cgroup(&incident.task, incident.cgroup.as_ref())),
            container: None,
            allocations: incident
                .allocation
                .iter()
                .map(|a| allocation(a, self.page_size))
                .collect(),
            slab_caches: Vec::new(),
            slab_failures: Vec::new(),
            vmalloc: Vec::new(),
            oom_kills: self.sees_oom_kills.then(oom_kills),
            memcg: None,
            fork_refused: incident.fork_refused.as_ref().map(fork_refused),
            node: reading.map(|reading| node(reading, self.page_size)),
            verdict: verdict(verdict_on_it),
        }))
    }
}
