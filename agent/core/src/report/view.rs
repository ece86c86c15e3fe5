//! From the model to what is printed. What the model looks like is known here, and in no format.
mod allocation;
mod container;
mod creation;
mod hook;
mod incident;
mod memcg;
mod node;
mod notice;
mod recording;
mod repeats;
mod slab;
mod unfinished;
mod verdict;

use jiff::Timestamp;

use crate::{
    attribution::late::LateAttribution,
    model::{
        event::{CgroupPath, Task},
        hook::{Hook, HookStatus, State},
        loss::{Loss, OutsideCounts},
    },
    report::line::{
        Line,
        container::{Cgroup, LateContainer},
        loss, ready, summary,
    },
};

pub use creation::step_name;
pub use hook::hook;
pub use incident::log_incident;
pub use repeats::repeats;
pub use unfinished::unfinished;

/// What every line of one kernel's report is made with.
#[derive(Clone, Debug)]
pub struct View {
    kernel: String,
    page_size: u64,
    sees_oom_kills: bool,
}

impl View {
    /// For the kernel of this release and page size (in bytes) where these hooks are attached.
    pub fn new(kernel: String, page_size: u64, hooks: &[HookStatus]) -> Self {
        let oom_kill = hooks.iter().find(|hook| hook.hook == Hook::OomKill);
        let sees_oom_kills = oom_kill.is_some_and(|hook| hook.state != State::Missing);
        Self { kernel, page_size, sees_oom_kills }
    }

    /// The same where only these hooks are attached.
    #[must_use]
    pub fn with_hooks(&self, hooks: &[HookStatus]) -> Self {
        Self::new(self.kernel.clone(), self.page_size, hooks)
    }

    /// The first line of a trace, which comes again if a hook is detached.
    pub fn ready(&self, hooks: &[HookStatus], not_seen: &[String]) -> Line {
        Line::Ready(ready::Ready {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: self.kernel.clone(),
            hooks: hooks.iter().map(hook).collect(),
            not_seen: hook::all_not_seen(hooks, not_seen),
        })
    }

    fn kib(&self, pages: u64) -> u64 {
        pages.saturating_mul(self.page_size) / 1024
    }
}

/// The container of an earlier creation, which ended at that time.
pub fn late_container(ended: Timestamp, late: &LateAttribution) -> Line {
    Line::Container(LateContainer {
        time: ended.into(),
        creation: late.creation,
        pid: late.task.pid,
        comm: late.task.comm.clone(),
        container: late.container.as_ref().map(container::container),
        candidates: container::candidates(&late.candidates),
    })
}

/// What was lost so far.
pub fn loss(loss: &Loss) -> Line {
    Line::Loss(loss::Loss {
        lost: loss.total(),
        creation_events: loss.creation_events,
        other_events: loss.other_events,
        cgroup_events: loss.cgroup_events,
        untracked_creations: loss.untracked_creations,
        unseen_returns: loss.unseen_returns,
        missed_runs: loss.missed_runs,
    })
}

/// What was counted outside creations.
pub fn outside(counts: OutsideCounts) -> summary::Outside {
    summary::Outside {
        slow_paths: counts.slow_paths,
        failures: counts.failures,
        compactions: counts.compactions,
        reclaims: counts.reclaims,
    }
}

fn cgroup(task: &Task, path: Option<&CgroupPath>) -> Cgroup {
    Cgroup { id: Some(task.cgroup_id), path: path.map(CgroupPath::display) }
}
