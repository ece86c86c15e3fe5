//! Victims of the OOM killer, and the creations that ended because of it.
use std::collections::VecDeque;

use crate::{
    attribution::cgroup_path,
    model::{
        allocation::Allocation,
        event::{OomKill, OomScope},
        step::CreationStep,
    },
};

/// Victims remembered at a time.
const MAX_VICTIMS: usize = 64;

/// Processes that are killed together die within this time.
const GROUP_KILL_NS: u64 = 10_000_000_000;

/// The last victims, with their times.
#[derive(Default)]
pub(super) struct Victims(VecDeque<(u64, OomKill)>);

impl Victims {
    pub(super) fn push(&mut self, time_ns: u64, kill: &OomKill) {
        if self.0.len() == MAX_VICTIMS {
            self.0.pop_front();
        }
        self.0.push_back((time_ns, kill.clone()));
    }

    /// A creation that a signal ended was killed; if the OOM killer did it, for whichever allocation,
    /// that is why it failed.
    pub(super) fn blame_killer(&mut self, creation: &mut CreationStep) {
        let pid = creation.task.pid;
        // One that was killed before it began had the same number, no more. The kernel sends the signal before it
        // notes the victim.
        let is_own = |(at_ns, kill): &(u64, OomKill)| {
            kill.pid == Some(pid)
                && (creation.oom_victim != Some(false) || *at_ns >= creation.began_ns)
        };
        let own = self.0.iter().rposition(is_own);
        let kill = match own.and_then(|at| self.0.remove(at)) {
            Some((_, kill)) => kill,
            None if creation.oom_victim == Some(true) => {
                self.killed_with(creation).unwrap_or_else(|| OomKill {
                    pid: Some(pid),
                    comm: Some(creation.task.comm.clone()),
                    cgroup_id: Some(creation.task.cgroup_id),
                    ..OomKill::default()
                })
            }
            None => return,
        };
        creation.killed = true;
        if !creation.oom_kills.contains(&kill) {
            creation.allocations.extend(Allocation::of_kill(&kill));
            creation.oom_kills.push(kill);
        }
    }

    /// The kill with which a victim died that was not chosen itself: with `memory.oom.group` the kernel kills
    /// all processes of the chosen one's cgroup, or of one above it, and calls `oom_kill_process` once.
    fn killed_with(&self, creation: &CreationStep) -> Option<OomKill> {
        let path = creation.cgroup.as_ref()?;
        let is_within = |above: &str| {
            let rest = path.display();
            rest.strip_prefix(above.trim_end_matches('/')).is_some_and(|r| r.starts_with('/'))
                || rest == above
        };
        let container = cgroup_path::find(path);
        let is_with = |kill: &OomKill| match &kill.scope {
            OomScope::Memcg(Some(full)) => is_within(full),
            _ => {
                kill.cgroup.as_ref() == Some(path)
                    || container.is_some() && kill.container.as_deref() == container.as_ref()
            }
        };
        let since = creation.ended_ns.saturating_sub(GROUP_KILL_NS);
        let kills = self.0.iter().rev().take_while(|(at_ns, _)| *at_ns >= since);
        kills.map(|(_, kill)| kill).find(|kill| is_with(kill)).cloned()
    }
}
