//! What belongs to the start of one container: its cgroup, its first process and its namespaces are
//! made by several processes, one after the other, and any of these steps may be the one that fails.
//!
//! Steps are tied together by what they have in common: the cgroup, or the process. Whether a process
//! that meets trouble outside of them is a container's that is about to start is known only where
//! its name says so; else it is a guess, and is reported as one.
use std::collections::VecDeque;

use crate::{
    attribution::{
        candidates::{RUNC_INIT, is_network_plugin, is_runtime},
        cgroup_path,
        cgroups::Cgroups,
    },
    model::{
        creation::{Certainty, Creation, StepPart, StepRef},
        event::{CgroupPath, Task},
        step::CreationStep,
    },
};

/// A container's start is over after this time, whatever it is still doing.
const START_NS: u64 = 10_000_000_000;
/// Creations remembered at a time.
const MAX_CREATIONS: usize = 1024;

/// Pieces of the starts that may be under way.
#[derive(Default)]
pub struct Starts {
    /// The node's cgroups.
    pub cgroups: Cgroups,
    creations: VecDeque<Seen>,
}

struct Seen {
    pid: u32,
    cgroup: Option<CgroupPath>,
    began_ns: u64,
}

impl Starts {
    /// Namespaces were made.
    pub fn note_creation(&mut self, creation: &CreationStep) {
        if creation.namespaces().is_none() {
            return;
        }
        if self.creations.len() == MAX_CREATIONS {
            self.creations.pop_front();
        }
        self.creations.push_back(Seen {
            pid: creation.task.pid,
            cgroup: creation.cgroup.clone(),
            began_ns: creation.began_ns,
        });
    }

    /// What was seen before of the start that a process in this cgroup belongs to.
    pub fn parts(&self, at_ns: u64, pid: u32, cgroup: Option<&CgroupPath>) -> Option<Creation> {
        let recent = |then: u64| then < at_ns && at_ns - then <= START_NS;
        let mut parts = Vec::new();
        let made = cgroup.and_then(|path| self.cgroups.made(path));
        if let Some(made) = made.filter(|made| recent(made.at_ns)) {
            let why = "its process is in it";
            parts.push(StepRef {
                piece: StepPart::Cgroup,
                at_ns: made.at_ns,
                tie: Certainty::Certain,
                why,
            });
        }
        let before = self.creations.iter().rev().filter(|seen| recent(seen.began_ns));
        parts.extend(before.filter_map(|seen| {
            let own_cgroup = cgroup.filter(|path| is_containers(path));
            let (tie, why) = if own_cgroup.is_some() && seen.cgroup.as_ref() == own_cgroup {
                (Certainty::Certain, "made by a process in the same cgroup")
            } else if seen.pid == pid {
                // A daemon outside the containers makes them for one after the other.
                (Certainty::Guess, "the same process made them")
            } else {
                return None;
            };
            let at_ns = seen.began_ns;
            Some(StepRef { piece: StepPart::Namespaces, at_ns, tie, why })
        }));
        parts.sort_by_key(|part| part.at_ns);
        (!parts.is_empty()).then_some(Creation { parts })
    }

    /// The start that a process belongs to whose step failed; `None` if nothing says that it is a container's
    /// about to start.
    ///
    /// Anyone can have any name, so a name counts only where no container and no user chooses it: outside of
    /// the cgroups of both. In a container's cgroup its age decides.
    pub fn of_failure(&self, at_ns: u64, task: &Task) -> Option<Creation> {
        let path = self.cgroups.path(task.cgroup_id);
        let mut start = self
            .parts(at_ns, task.pid, path.as_ref())
            .unwrap_or_else(|| Creation { parts: Vec::new() });
        let young = start.parts.iter().any(|part| part.piece == StepPart::Cgroup);
        let containers = path.as_ref().is_some_and(is_containers);
        let is_init = task.comm.starts_with(RUNC_INIT);
        let (tie, why) = if containers {
            if !young {
                return None;
            }
            if is_init {
                let why = "runc's name for it until the container's own program runs, in a cgroup \
                           that was made just before";
                (Certainty::Certain, why)
            } else {
                (Certainty::Guess, "its cgroup is a container's and was made just before")
            }
        } else if path.as_ref().is_none_or(is_users) {
            return None;
        } else if is_init || is_runtime(&task.comm) {
            (Certainty::Guess, "its name is that of a program that starts containers")
        } else if is_network_plugin(&task.comm) {
            (Certainty::Guess, "its name is that of a plug-in that sets up containers' networks")
        } else {
            return None;
        };
        start.parts.push(StepRef { piece: StepPart::Process, at_ns, tie, why });
        Some(start)
    }

    /// The start that a process belongs to which met trouble outside every step; `None` if nothing
    /// says that it is a container's about to start.
    pub fn of(&self, at_ns: u64, task: &Task) -> Option<Creation> {
        let path = self.cgroups.path(task.cgroup_id);
        let mut start = self
            .parts(at_ns, task.pid, path.as_ref())
            .unwrap_or_else(|| Creation { parts: Vec::new() });
        let young = start.parts.iter().any(|part| part.piece == StepPart::Cgroup);
        let (tie, why) = if task.comm.starts_with(RUNC_INIT) {
            (Certainty::Certain, "runc's name for it until the container's own program runs")
        } else if is_runtime(&task.comm) {
            (Certainty::Guess, "its name is that of a program that starts containers")
        } else if young && path.as_ref().is_some_and(is_containers) {
            (Certainty::Guess, "its cgroup is a container's and was made just before")
        } else {
            return None;
        };
        start.parts.push(StepRef { piece: StepPart::Process, at_ns, tie, why });
        Some(start)
    }
}

/// Whether a path is below a user's own slice, where users name their processes and cgroups themselves.
fn is_users(path: &CgroupPath) -> bool {
    path.names.first().is_some_and(|name| name == "user.slice")
}

/// Whether a path is that of a container, or of a pod.
fn is_containers(path: &CgroupPath) -> bool {
    cgroup_path::find(path).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::cgroups::Made;
    use crate::model::step::{Namespaces, StepKind};

    const POD: &str = "/kubepods/burstable/pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
    const SECOND: u64 = 1_000_000_000;

    fn task(comm: &str, cgroup_id: u64) -> Task {
        Task { pid: 9, tid: 9, comm: comm.to_owned(), cgroup_id }
    }

    fn with_cgroup(path: &str) -> Starts {
        let mut starts = Starts::default();
        let made = Made { at_ns: SECOND, pid: 1 };
        starts.cgroups.insert(7, &CgroupPath::parse(path), Some(made));
        starts
    }

    fn tie(starts: &Starts, at_ns: u64, comm: &str) -> Option<Certainty> {
        starts.of(at_ns, &task(comm, 7)).and_then(|start| Some(start.parts.last()?.tie))
    }

    #[test]
    fn a_name_of_runcs_is_certain_and_others_are_guesses() {
        let starts = with_cgroup(POD);
        assert_eq!(tie(&starts, 2 * SECOND, "runc:[2:INIT]"), Some(Certainty::Certain));
        assert_eq!(tie(&starts, 2 * SECOND, "crun"), Some(Certainty::Guess));
        assert_eq!(tie(&starts, 2 * SECOND, "java"), Some(Certainty::Guess));
    }

    #[test]
    fn what_is_old_or_no_containers_is_no_start() {
        assert_eq!(tie(&with_cgroup(POD), 20 * SECOND, "java"), None);
        assert_eq!(tie(&with_cgroup("/system.slice/cron.service"), 2 * SECOND, "java"), None);
        assert_eq!(tie(&Starts::default(), 2 * SECOND, "java"), None);
    }

    #[test]
    fn parts_stand_in_the_order_of_time() {
        let mut starts = with_cgroup(POD);
        let mut creation = CreationStep::new(
            StepKind::Namespaces(Namespaces::default()),
            task("runc:[1:CHILD]", 7),
            2 * SECOND,
        );
        creation.cgroup = Some(CgroupPath::parse(POD));
        starts.note_creation(&creation);
        let start = starts.of(3 * SECOND, &task("runc:[2:INIT]", 7)).expect("a start");
        let pieces: Vec<StepPart> = start.parts.iter().map(|part| part.piece).collect();
        assert_eq!(pieces, [StepPart::Cgroup, StepPart::Namespaces, StepPart::Process]);
    }

    #[test]
    fn a_daemon_makes_them_for_others_too() {
        let mut starts = with_cgroup("/system.slice/containerd.service");
        let mut creation = CreationStep::new(
            StepKind::Namespaces(Namespaces::default()),
            task("containerd", 7),
            2 * SECOND,
        );
        creation.cgroup = Some(CgroupPath::parse("/system.slice/containerd.service"));
        starts.note_creation(&creation);
        let start = starts.parts(9 * SECOND, 9, creation.cgroup.as_ref()).expect("parts");
        let namespaces = start.parts.iter().find(|part| part.piece == StepPart::Namespaces);
        assert_eq!(namespaces.map(|part| part.tie), Some(Certainty::Guess));
    }

    #[test]
    fn neighbours_outside_containers_are_not_tied() {
        let mut starts = with_cgroup("/user.slice");
        let mut creation = CreationStep::new(
            StepKind::Namespaces(Namespaces::default()),
            Task { pid: 8, ..task("unshare", 7) },
            2 * SECOND,
        );
        creation.cgroup = Some(CgroupPath::parse("/user.slice"));
        starts.note_creation(&creation);
        let start = starts.parts(3 * SECOND, 9, creation.cgroup.as_ref()).expect("the cgroup");
        assert_eq!(start.parts.len(), 1);
    }
}
