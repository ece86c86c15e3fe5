//! Paths of cgroups, stored when they are created or first seen, because the cgroup of a container that
//! failed to start is removed before its path could be read.
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    rc::Rc,
};

use fragwatch_ebpf::CGROUP_NAME_LEN;

use crate::{
    attribution::cgroup_path,
    model::{container::Container, event::CgroupPath},
};

/// Existing cgroups that are kept; the first one is dropped first.
pub const MAX_LIVING: usize = 8192;
/// Removed cgroups that are kept besides; their creations are reported within milliseconds.
const MAX_GONE: usize = 2048;

/// Prefix of a path whose beginning is not known. A complete path begins with a slash.
const TRUNCATED: &str = "…";

/// The cgroups of one hierarchy.
#[derive(Default)]
pub struct Cgroups {
    by_id: HashMap<u64, Cgroup>,
    /// The cgroup that is, or was last, at a path.
    ids: HashMap<Rc<str>, u64>,
    /// Ids of existing cgroups by insertion number.
    living: BTreeMap<u64, u64>,
    gone: VecDeque<u64>,
    inserted: u64,
}

struct Cgroup {
    /// Names from the root with a slash before each; [`TRUNCATED`] before the first slash if names nearer
    /// to the root are missing.
    path: Rc<str>,
    /// `None` if it existed before.
    made: Option<Made>,
    kind: Kind,
    /// Its key in `living`; `None` if it was removed.
    place: Option<u64>,
}

/// The kind of a cgroup, from its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A pod's cgroup.
    Pod,
    /// A container's cgroup, or one inside it.
    Container,
    /// Any other.
    Other,
}

impl Kind {
    fn of(path: &CgroupPath) -> Self {
        match cgroup_path::find(path) {
            Some(Container { id: Some(_), .. }) => Self::Container,
            Some(_) => Self::Pod,
            None => Self::Other,
        }
    }
}

/// When and by which process a cgroup was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// The process id.
    pub pid: u32,
}

impl Cgroups {
    /// Adds a cgroup: one that was created (`made`), or that existed already.
    pub fn insert(&mut self, id: u64, path: &CgroupPath, made: Option<Made>) {
        // The initial walk may find a cgroup whose creation was seen; that is kept.
        let known = self.by_id.get(&id).and_then(|known| known.made);
        self.forget(id);
        let text = to_text(path);
        self.ids.insert(Rc::clone(&text), id);
        self.inserted += 1;
        self.living.insert(self.inserted, id);
        let (made, place) = (made.or(known), Some(self.inserted));
        self.by_id.insert(id, Cgroup { path: text, made, kind: Kind::of(path), place });
        if self.living.len() > MAX_LIVING
            && let Some((_, oldest)) = self.living.pop_first()
        {
            self.forget(oldest);
        }
    }

    /// Renames a cgroup; the paths of cgroups below it change too.
    pub fn rename(&mut self, id: u64, path: &CgroupPath) {
        let Some(cgroup) = self.by_id.get(&id) else {
            self.insert(id, path, None);
            return;
        };
        let (old, new) = (Rc::clone(&cgroup.path), to_text(path));
        self.replace(&old, &new, |_| true);
    }

    /// The complete path of a cgroup that was seen with truncated names, if it is known; else `seen`.
    pub fn whole(&self, id: u64, seen: CgroupPath) -> CgroupPath {
        let is_truncated = |name: &String| name.len() >= CGROUP_NAME_LEN - 1;
        if !seen.truncated && !seen.names.iter().any(is_truncated) {
            return seen;
        }
        self.path(id).filter(|known| !known.truncated).unwrap_or(seen)
    }

    /// Uses the complete path of a cgroup of which only the end was known. All paths with a missing
    /// beginning are completed, because they were read in the same cgroup namespace.
    pub fn complete(&mut self, id: u64, path: &CgroupPath) {
        if path.truncated {
            return;
        }
        let whole = to_text(path);
        let beginning = self
            .by_id
            .get(&id)
            .filter(|known| known.made.is_none())
            .and_then(|known| known.path.strip_prefix(TRUNCATED))
            .and_then(|end| whole.strip_suffix(end));
        if let Some(beginning) = beginning.map(str::to_owned) {
            // The path of a cgroup whose creation was seen is complete, or was too long for an event.
            self.replace(TRUNCATED, &beginning, |cgroup| cgroup.made.is_none());
        }
    }

    /// Replaces the beginning of the paths of existing cgroups, at a boundary between names.
    fn replace(&mut self, old: &str, new: &str, concerns: impl Fn(&Cgroup) -> bool) {
        for id in self.living.values() {
            let Some(cgroup) = self.by_id.get_mut(id).filter(|cgroup| concerns(cgroup)) else {
                continue;
            };
            let Some(rest) = cgroup.path.strip_prefix(old) else { continue };
            if !rest.is_empty() && !rest.starts_with('/') {
                continue;
            }
            let path: Rc<str> = format!("{new}{rest}").into();
            let was_there = self.ids.get(&cgroup.path) == Some(id);
            if was_there {
                self.ids.remove(&cgroup.path);
                self.ids.insert(Rc::clone(&path), *id);
            }
            cgroup.path = path;
            cgroup.kind = Kind::of(&cgroup.path());
        }
    }

    /// Marks a cgroup as removed. Its path stays known for a while.
    pub fn remove(&mut self, id: u64) {
        let Some(place) = self.by_id.get_mut(&id).and_then(|cgroup| cgroup.place.take()) else {
            return;
        };
        self.living.remove(&place);
        self.gone.push_back(id);
        if self.gone.len() > MAX_GONE
            && let Some(oldest) = self.gone.pop_front()
            && self.by_id.get(&oldest).is_some_and(|cgroup| cgroup.place.is_none())
        {
            self.forget(oldest);
        }
    }

    /// The path of a cgroup, if it is known.
    pub fn path(&self, id: u64) -> Option<CgroupPath> {
        self.by_id.get(&id).map(Cgroup::path)
    }

    /// When and by which process the cgroup at this path was created, if that was seen.
    pub fn made(&self, path: &CgroupPath) -> Option<Made> {
        self.by_id.get(self.ids.get(&*to_text(path))?)?.made
    }

    /// Pods whose cgroup exists and contains no container's cgroup, the newest first, with their creation
    /// if that was seen.
    pub(super) fn pods_without_container(&self) -> Vec<(CgroupPath, Option<Made>)> {
        let living = || self.living.values().filter_map(|id| self.by_id.get(id));
        let parent =
            |path: &str| path.rsplit_once('/').map_or(String::new(), |(p, _)| p.to_owned());
        let containers = living().filter(|cgroup| cgroup.kind == Kind::Container);
        let taken: HashSet<String> = containers.map(|cgroup| parent(&cgroup.path)).collect();
        let free = |cgroup: &&Cgroup| cgroup.kind == Kind::Pod && !taken.contains(&*cgroup.path);
        let mut pods: Vec<&Cgroup> = living().filter(free).collect();
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.made.map(|made| made.at_ns)));
        pods.into_iter().map(|pod| (pod.path(), pod.made)).collect()
    }

    /// The last container's cgroup that a process created since `since_ns`, even if it was removed.
    pub(super) fn container_made_by(&self, pid: u32, since_ns: u64) -> Option<CgroupPath> {
        let made = |cgroup: &&Cgroup| {
            cgroup.kind == Kind::Container
                && cgroup.made.is_some_and(|made| made.pid == pid && made.at_ns >= since_ns)
        };
        let last = self.by_id.values().filter(made).max_by_key(|c| c.made.map(|made| made.at_ns));
        last.map(Cgroup::path)
    }

    fn forget(&mut self, id: u64) {
        let Some(cgroup) = self.by_id.remove(&id) else { return };
        if let Some(place) = cgroup.place {
            self.living.remove(&place);
        }
        // Another cgroup may have taken the path.
        if self.ids.get(&cgroup.path) == Some(&id) {
            self.ids.remove(&cgroup.path);
        }
    }
}

impl Cgroup {
    fn path(&self) -> CgroupPath {
        let end = self.path.strip_prefix(TRUNCATED);
        CgroupPath { truncated: end.is_some(), ..CgroupPath::parse(end.unwrap_or(&self.path)) }
    }
}

fn to_text(path: &CgroupPath) -> Rc<str> {
    let start = if path.truncated { TRUNCATED } else { "" };
    path.names.iter().fold(start.to_owned(), |path, name| path + "/" + name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";

    fn path(spelled: &str) -> CgroupPath {
        CgroupPath::parse(&spelled.replace("ID", ID))
    }

    fn pod(n: u32) -> String {
        format!("/kubepods/pod6f1c2d3e-4a5b-4c6d-8e9f-{n:012x}")
    }

    const fn by(at_ns: u64, pid: u32) -> Made {
        Made { at_ns, pid }
    }

    #[test]
    fn a_removed_cgroups_path_stays_known() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(7, &path("/a"), Some(by(5, 1)));
        cgroups.remove(7);
        assert_eq!(cgroups.path(7), Some(path("/a")));
        assert_eq!(cgroups.made(&path("/a")), Some(by(5, 1)));
        // Another cgroup takes the same path.
        cgroups.insert(8, &path("/a"), Some(by(9, 2)));
        assert_eq!(cgroups.made(&path("/a")), Some(by(9, 2)));
        assert_eq!(cgroups.path(7), Some(path("/a")));
        assert_eq!(cgroups.path(9), None);
    }

    #[test]
    fn cgroups_are_bounded_and_existing_ones_are_kept_longer() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &path("/stays"), None);
        for id in 2..20_000 {
            cgroups.insert(id, &path(&format!("/storm/{id}")), Some(by(id, 1)));
            cgroups.remove(id);
        }
        assert_eq!(cgroups.path(1), Some(path("/stays")));
        assert_eq!(cgroups.path(19_999), Some(path("/storm/19999")));
        assert_eq!((cgroups.by_id.len(), cgroups.ids.len()), (MAX_GONE + 1, MAX_GONE + 1));
        for id in 20_000..40_000 {
            cgroups.insert(id, &path(&format!("/many/{id}")), Some(by(id, 1)));
        }
        assert_eq!(cgroups.path(1), None, "the first one is dropped first");
        assert_eq!(cgroups.by_id.len(), MAX_GONE + MAX_LIVING);
        assert_eq!((cgroups.living.len(), cgroups.gone.len()), (MAX_LIVING, MAX_GONE));
    }

    #[test]
    fn renaming_changes_all_paths_below() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &path("/a"), None);
        cgroups.insert(2, &path("/a/b"), Some(by(5, 1)));
        cgroups.insert(3, &path("/ab"), None);
        cgroups.rename(1, &path("/z"));
        assert_eq!(cgroups.path(1), Some(path("/z")));
        assert_eq!(cgroups.path(2), Some(path("/z/b")));
        assert_eq!(cgroups.made(&path("/z/b")), Some(by(5, 1)));
        assert_eq!(cgroups.made(&path("/a/b")), None);
        assert_eq!(cgroups.path(3), Some(path("/ab")), "it has the same prefix but is not below");
        cgroups.rename(9, &path("/new"));
        assert_eq!(cgroups.path(9), Some(path("/new")));
    }

    #[test]
    fn in_a_cgroup_namespace_one_complete_path_completes_all() {
        let cut = |spelled: &str| CgroupPath { truncated: true, ..path(spelled) };
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &cut("/"), None);
        cgroups.insert(2, &cut("/a"), None);
        cgroups.insert(3, &cut("/a/b"), None);
        cgroups.insert(4, &path("/…/b"), None);
        assert_eq!(cgroups.path(3), Some(cut("/a/b")));
        cgroups.complete(3, &path("/other"));
        cgroups.complete(3, &cut("/docker/a/b"));
        assert_eq!(cgroups.path(3), Some(cut("/a/b")), "neither is its complete path");
        cgroups.complete(3, &path("/docker/ID/a/b"));
        assert_eq!(cgroups.path(1), Some(path("/docker/ID")));
        assert_eq!(cgroups.path(2), Some(path("/docker/ID/a")));
        assert_eq!(cgroups.path(4), Some(path("/…/b")), "this name is not the prefix");
    }

    #[test]
    fn truncated_names_are_completed() {
        let long = path(&format!("/{}", "x".repeat(255)));
        let cut = path(&format!("/{}", "x".repeat(127)));
        let mut cgroups = Cgroups::default();
        assert_eq!(cgroups.whole(1, cut.clone()), cut);
        cgroups.insert(1, &long, Some(by(5, 1)));
        assert_eq!(cgroups.whole(1, cut), long);
        assert_eq!(cgroups.whole(1, path("/a")), path("/a"), "it was complete");
    }

    #[test]
    fn the_initial_walk_keeps_a_seen_creation() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &path("/a"), Some(by(5, 1)));
        cgroups.insert(1, &path("/a"), None);
        assert_eq!(cgroups.made(&path("/a")), Some(by(5, 1)));
    }

    #[test]
    fn pods_without_container_are_the_newest_first() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &path(&pod(1)), None);
        cgroups.insert(2, &path(&pod(2)), Some(by(5, 1)));
        cgroups.insert(3, &path(&format!("{}/ID", pod(2))), Some(by(6, 1)));
        cgroups.insert(4, &path(&pod(3)), Some(by(7, 1)));
        cgroups.insert(5, &path(&pod(4)), Some(by(8, 1)));
        cgroups.remove(5);
        cgroups.insert(6, &path("/system.slice"), None);
        let free = cgroups.pods_without_container();
        assert_eq!(free, [(path(&pod(3)), Some(by(7, 1))), (path(&pod(1)), None)]);
    }

    #[test]
    fn the_container_cgroup_that_a_process_created_is_found() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &path("/machine.slice/libpod-ID.scope"), Some(by(5, 70)));
        cgroups.insert(2, &path("/machine.slice/libpod-ID.scope/container"), Some(by(6, 70)));
        cgroups.insert(3, &path("/elsewhere"), Some(by(7, 70)));
        let found = cgroups.container_made_by(70, 5);
        assert_eq!(found, Some(path("/machine.slice/libpod-ID.scope/container")));
        assert_eq!(cgroups.container_made_by(70, 7), None, "it was created before");
        assert_eq!(cgroups.container_made_by(71, 0), None);
    }
}
