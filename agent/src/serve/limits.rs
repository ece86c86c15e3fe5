//! Limits on reports: a container or a user that fails all the time takes neither the journal nor the
//! store from the others. What is left out is counted, and said once a minute.
use std::collections::{HashMap, HashSet};

use fragwatch_core::{
    attribution::cgroup_path,
    model::step::{CreationStep, Outcome},
    units::{grouped, printable},
};

/// The time that a limit is about, in nanoseconds.
const PERIOD_NS: u64 = 60_000_000_000;

/// Reports of all containers and users together, in multiples of the limit of one.
const ALL: u32 = 12;

/// Containers and users that are counted apart within a minute. The rest share one limit.
const MAX_OWNERS: usize = 256;

/// The one that the rest shares.
const OTHERS: &str = "other containers";

/// Decides which failures are reported.
pub(super) struct Limits {
    per_owner: u32,
    began_ns: u64,
    owners: HashMap<String, Count>,
    reported: u32,
    /// Steps that were left out and not passed to the report yet, by their ids.
    suppressed: HashSet<u64>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    reported: u32,
    suppressed: u64,
}

impl Limits {
    /// At most so many reports a minute of one container or user.
    pub(super) fn new(per_owner: u32) -> Self {
        Self {
            per_owner,
            began_ns: 0,
            owners: HashMap::new(),
            reported: 0,
            suppressed: HashSet::new(),
        }
    }

    /// Counts a step. True if it is to be reported.
    pub(super) fn admit(&mut self, step: &CreationStep) -> bool {
        if step.outcome() == Outcome::Ok {
            return true;
        }
        let mut owner = owner(step);
        if self.owners.len() >= MAX_OWNERS && !self.owners.contains_key(&owner) {
            OTHERS.clone_into(&mut owner);
        }
        let count = self.owners.entry(owner).or_default();
        let all = self.per_owner.saturating_mul(ALL);
        let admitted = count.reported < self.per_owner && self.reported < all;
        if admitted {
            count.reported += 1;
            self.reported += 1;
        } else {
            count.suppressed += 1;
            self.suppressed.insert(step.id);
        }
        admitted
    }

    /// Whether a step that was counted is to be left out. It is forgotten then.
    pub(super) fn take_suppressed(&mut self, id: u64) -> bool {
        self.suppressed.remove(&id)
    }

    /// Once a minute: a sentence for each of which reports were left out.
    pub(super) fn turn(&mut self, now_ns: u64) -> Vec<String> {
        if now_ns.saturating_sub(self.began_ns) < PERIOD_NS {
            return Vec::new();
        }
        self.began_ns = now_ns;
        self.reported = 0;
        self.suppressed.clear();
        let mut left_out: Vec<(String, u64)> = self
            .owners
            .drain()
            .map(|(owner, count)| (owner, count.suppressed))
            .filter(|(_, suppressed)| *suppressed != 0)
            .collect();
        left_out.sort();
        let sentence = |(owner, count): (String, u64)| {
            format!("and {} more of {} in the last minute", grouped(count), printable(&owner))
        };
        left_out.into_iter().map(sentence).collect()
    }
}

/// Whose failure it is: a user's, a container's, else the cgroup's.
fn owner(step: &CreationStep) -> String {
    let Some(path) = &step.cgroup else { return "unknown cgroups".to_owned() };
    let uid = path
        .names
        .iter()
        .find_map(|name| name.strip_prefix("user-")?.strip_suffix(".slice")?.parse::<u32>().ok());
    if let Some(uid) = uid {
        return format!("uid {uid}");
    }
    let container = cgroup_path::find(path);
    match container.and_then(|container| container.pod_uid.or(container.id)) {
        Some(id) => format!("container or pod {id}"),
        None => format!("cgroup {}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use fragwatch_core::{fixtures, model::event::CgroupPath};

    use super::*;

    fn failed(id: u64, cgroup: &str) -> CreationStep {
        let cgroup = Some(CgroupPath::parse(cgroup));
        CreationStep { id, cgroup, ..fixtures::failed_creation() }
    }

    #[test]
    fn one_that_always_fails_does_not_hide_another() {
        let mut limits = Limits::new(3);
        let user = "/user.slice/user-1000.slice/user@1000.service/app";
        let reported = (0..2917).filter(|&id| limits.admit(&failed(id, &format!("{user}/{id}"))));
        assert_eq!(reported.count(), 3);
        assert!(limits.admit(&failed(5000, "/kubepods/podx")));
        assert!(
            limits.take_suppressed(3)
                && !limits.take_suppressed(3)
                && !limits.take_suppressed(5000)
        );
        assert_eq!(limits.turn(PERIOD_NS), ["and 2,914 more of uid 1000 in the last minute"]);
        assert!(limits.admit(&failed(5001, &format!("{user}/x"))), "a new minute");
        assert!(limits.turn(PERIOD_NS + 1).is_empty());
        assert!(limits.turn(2 * PERIOD_NS).is_empty(), "nothing was left out");
    }

    #[test]
    fn many_that_fail_are_limited_together() {
        let mut limits = Limits::new(3);
        let reported =
            (0..5_000).filter(|&id| limits.admit(&failed(id, &format!("/a/forged\u{1b}{id}"))));
        assert_eq!(reported.count(), 36);
        let sentences = limits.turn(PERIOD_NS);
        assert!(sentences.len() <= MAX_OWNERS + 1);
        assert!(sentences.iter().all(|sentence| !sentence.contains('\u{1b}')));
        assert!(limits.suppressed.is_empty());
    }
}
