//! Paths of cgroups by their ids, kept from when they were made: a container that fails to start is
//! gone, its cgroup with it, before anybody can look.
use std::collections::{HashMap, VecDeque};

use crate::evidence::CgroupPath;

/// Paths kept at a time; the oldest goes first.
const MAX_PATHS: usize = 8192;

/// Paths by cgroup id.
#[derive(Default)]
pub struct Paths {
    paths: HashMap<u64, CgroupPath>,
    /// Ids in the order in which they came.
    order: VecDeque<u64>,
}

impl Paths {
    /// Keeps a path.
    pub fn insert(&mut self, id: u64, path: CgroupPath) {
        if self.paths.insert(id, path).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_PATHS
            && let Some(oldest) = self.order.pop_front()
        {
            self.paths.remove(&oldest);
        }
    }

    /// The path of a cgroup that was made while we watched, if it is still kept.
    pub fn get(&self, id: u64) -> Option<&CgroupPath> {
        self.paths.get(&id)
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
            paths.insert(id, path(&id.to_string()));
        }
        assert_eq!(paths.get(0), None);
        assert_eq!(paths.get(1), Some(&path("1")));
        paths.insert(1, path("again"));
        assert_eq!(paths.get(1), Some(&path("again")));
        assert_eq!(paths.get(2), Some(&path("2")), "a known id takes nobody's place");
    }
}
