//! Paths of cgroups, kept from when they were made: a container that fails to start is gone, its
//! cgroup with it, before anybody can look.
use std::collections::{HashMap, VecDeque};

use crate::evidence::CgroupPath;

/// Cgroups kept at a time; the oldest goes first.
const MAX_PATHS: usize = 8192;

/// Cgroups that were made. In v1 each hierarchy numbers its own, so only v2's have an id here; what
/// is made in several hierarchies at one path counts from the first.
#[derive(Default)]
pub struct Paths {
    by_id: HashMap<u64, CgroupPath>,
    made: HashMap<CgroupPath, u64>,
    /// In the order in which they came.
    order: VecDeque<(Option<u64>, CgroupPath)>,
}

impl Paths {
    /// Keeps a cgroup that was made at `made_ns`; `id` if it is in the v2 hierarchy.
    pub fn insert(&mut self, id: Option<u64>, path: CgroupPath, made_ns: u64) {
        let known = match id {
            Some(id) => self.by_id.insert(id, path.clone()).is_some(),
            None => self.made.contains_key(&path),
        };
        if known {
            return;
        }
        // A path can be another cgroup's again.
        self.made.insert(path.clone(), made_ns);
        self.order.push_back((id, path));
        if self.order.len() > MAX_PATHS
            && let Some((id, path)) = self.order.pop_front()
        {
            if let Some(id) = id {
                self.by_id.remove(&id);
            }
            self.made.remove(&path);
        }
    }

    /// The path of a v2 cgroup that was made while we watched, if it is still kept.
    pub fn get(&self, id: u64) -> Option<&CgroupPath> {
        self.by_id.get(&id)
    }

    /// When the cgroup at this path was made, `CLOCK_MONOTONIC` in nanoseconds.
    pub fn made_ns(&self, path: &CgroupPath) -> Option<u64> {
        self.made.get(path).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> CgroupPath {
        CgroupPath { names: vec![name.to_owned()], truncated: false }
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut paths = Paths::default();
        for id in 0..=MAX_PATHS as u64 {
            paths.insert(Some(id), path(&id.to_string()), id);
        }
        assert_eq!(paths.get(0), None);
        assert_eq!(paths.made_ns(&path("0")), None);
        assert_eq!(paths.get(1), Some(&path("1")));
        paths.insert(Some(1), path("again"), 9);
        assert_eq!(paths.get(1), Some(&path("again")));
        assert_eq!(paths.get(2), Some(&path("2")), "a known id takes nobody's place");
    }

    #[test]
    fn hierarchies_share_a_path_and_not_their_ids() {
        let mut paths = Paths::default();
        paths.insert(None, path("a"), 5);
        paths.insert(None, path("a"), 6);
        assert_eq!(paths.made_ns(&path("a")), Some(5));
        assert_eq!(paths.get(0), None);
    }
}
