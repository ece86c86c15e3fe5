//! Steps of creations.
use jiff::Timestamp;

use super::{
    View,
    allocation::{allocation, function},
    cgroup,
    container::{candidates, container},
    memcg::{charge, fork_refused, oom_kill},
    node::node,
    slab::slab_cache,
    verdict::verdict,
};
use crate::{
    model::{
        creation::{self, Certainty},
        errno,
        event::{CgroupSetup, FailedStep, StartStep},
        node::Reading,
        step::{CreationStep, NAMESPACES, Outcome, PernetInit, StepKind},
        verdict::Verdict,
    },
    report::line::{
        Line,
        creation::{self as line, CgroupRefused, Creation, Start, StartPart, Step, UserProcesses},
        memcg::MemcgReclaims,
        slab::SlabCache,
    },
};

impl View {
    /// A step that ended at that time; no verdict if nothing was wrong.
    pub fn creation(
        &self,
        time: Timestamp,
        step: &CreationStep,
        verdict_on_it: Option<&Verdict>,
        reading: Option<Reading>,
    ) -> Line {
        let made = step.namespaces();
        let oom_kills = || step.oom_kills.iter().map(oom_kill).collect();
        Line::Creation(Box::new(Creation {
            time: time.into(),
            id: step.id,
            outcome: step.outcome(),
            errno: step.errno.map(errno::name),
            step: step_name(&step.kind),
            namespaces: namespaces(made.map_or(0, |made| made.flags)),
            duration_us: step.ended_ns.saturating_sub(step.began_ns) / 1000,
            pid: step.task.pid,
            tid: step.task.tid,
            comm: step.task.comm.clone(),
            netns: made.and_then(|made| made.netns),
            cgroup: cgroup(&step.task, step.cgroup.as_ref()),
            container: step.container.as_ref().map(container),
            candidates: candidates(&step.candidates),
            allocations: step.allocations.iter().map(|a| allocation(a, self.page_size)).collect(),
            allocations_omitted: step.allocations_omitted,
            cheap_tries: step.cheap_tries(),
            near_miss: step.outcome() == Outcome::Stalled,
            stall_us: step.stall_ns / 1000,
            slab_caches: slab_caches(step),
            oom_kills: self.sees_oom_kills.then(oom_kills),
            memcg_reclaims: step.memcg_reclaims.as_ref().map(|reclaims| MemcgReclaims {
                memcg: reclaims.memcg.clone(),
                count: reclaims.count,
                reclaimed_kib: self.kib(reclaims.reclaimed),
                stall_us: reclaims.stall_ns / 1000,
            }),
            charges_failed: step.charges.iter().map(charge).collect(),
            pernet_init: step.pernet_init().map(pernet_init),
            killed: step.killed,
            continues: step.continues(),
            namespaces_refused: made
                .map(|made| made.refused.iter().map(|kind| kind.name()).collect())
                .unwrap_or_default(),
            cgroup_refused: step.cgroup_setup().and_then(cgroup_refused),
            fork_refused: step.fork_refused().map(fork_refused),
            user_processes: step.failed().and_then(user_processes),
            start: step.start.as_ref().map(|creation| start(creation, step.ended_ns)),
            node: reading.map(|reading| node(reading, self.page_size)),
            verdict: verdict_on_it.map(verdict),
        }))
    }
}

/// Which step it is.
pub fn step_name(kind: &StepKind) -> Step {
    match kind {
        StepKind::Namespaces(_) => Step::Namespaces,
        StepKind::Cgroup(_) => Step::Cgroup,
        StepKind::Fork(_) => Step::Fork,
        StepKind::OomKill { .. } => Step::OomKill,
        StepKind::Allocation => Step::Allocation,
        StepKind::Failed(failed) => match failed.step {
            StartStep::Fork => Step::Fork,
            StartStep::Exec => Step::Exec,
            StartStep::Mount => Step::Mount,
            StartStep::Link => Step::Link,
            StartStep::CgroupEntry => Step::CgroupEntry,
            StartStep::Keyring => Step::Keyring,
            StartStep::Seccomp => Step::Seccomp,
            StartStep::BpfProgram => Step::BpfProgram,
        },
    }
}

/// Names of the namespaces among `CLONE_NEW*` flags.
pub(super) fn namespaces(flags: u64) -> Vec<&'static str> {
    NAMESPACES.iter().filter(|&&(flag, _)| flags & flag != 0).map(|&(_, name)| name).collect()
}

/// The kernel's function returns no more than NULL: the error is what the creation made of it.
fn slab_caches(step: &CreationStep) -> Vec<SlabCache> {
    let errno = |cache: &SlabCache| step.errno.filter(|_| cache.failed).map(errno::name);
    let view = |cache: SlabCache| SlabCache { errno: errno(&cache), ..cache };
    step.slab_caches.iter().map(slab_cache).map(view).collect()
}

fn pernet_init(failed: &PernetInit) -> line::PernetInit {
    line::PernetInit {
        init: failed.init.as_ref().map(function),
        module: failed.init.as_ref().and_then(|frame| frame.module.clone()),
        errno: failed.errno.map_or_else(|| "an unknown error".to_owned(), errno::name),
    }
}

fn cgroup_refused(setup: &CgroupSetup) -> Option<CgroupRefused> {
    Some(CgroupRefused {
        parent: setup.parent.display(),
        name: setup.name.clone(),
        errno: errno::name(setup.errno?),
        controller: setup.memory_errno.map(|_| "memory"),
        controller_errno: setup.memory_errno.map(errno::name),
    })
}

fn user_processes(failed: &FailedStep) -> Option<UserProcesses> {
    if !matches!(failed.step, StartStep::Fork | StartStep::Exec) {
        return None;
    }
    let (count, limit) = (failed.processes?, failed.process_limit?);
    Some(UserProcesses { uid: failed.uid, count, limit })
}

fn start(creation: &creation::Creation, ended_ns: u64) -> Start {
    let part = |part: &creation::StepRef| StartPart {
        what: part.piece.name(),
        before_us: ended_ns.saturating_sub(part.at_ns) / 1000,
        certain: part.tie == Certainty::Certain,
        why: part.why.to_owned(),
    };
    Start { parts: creation.parts.iter().map(part).collect() }
}
