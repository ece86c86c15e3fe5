//! Paths of cgroups, kept from when they were made or first seen: a container that fails to start is
//! gone, its cgroup with it, before anybody can look.
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    rc::Rc,
};

use fragwatch_ebpf::CGROUP_NAME_LEN;

use crate::{
    attribution::cgroup_path,
    model::{container::Container, event::CgroupPath},
};

/// Cgroups kept at a time that are still there. Of more, the one that came first goes first.
pub const MAX_LIVING: usize = 8192;
/// Removed ones kept beside them, the last ones: what happened in them is reported within milliseconds.
const MAX_GONE: usize = 2048;

/// What a path begins with whose beginning is not known. A whole one begins with a slash.
const CUT: &str = "…";

/// The cgroups of the hierarchy that tasks are identified by.
#[derive(Default)]
pub struct Cgroups {
    by_id: HashMap<u64, Cgroup>,
    /// Which one is, or was last, at a path.
    ids: HashMap<Rc<str>, u64>,
    /// Ids by the order in which they came.
    living: BTreeMap<u64, u64>,
    gone: VecDeque<u64>,
    came: u64,
}

struct Cgroup {
    /// Attributions from the root with a slash before each, which no name can hold; [`CUT`] before the first
    /// if names nearer to the root are missing.
    path: Rc<str>,
    /// `CLOCK_MONOTONIC` in nanoseconds, and by which process; `None` if it was there before.
    made: Option<Made>,
    kind: Kind,
    /// Its place in `living`; `None` if it is gone.
    place: Option<u64>,
}

/// What a cgroup is, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A pod's.
    Pod,
    /// A container's, or in one.
    Container,
    /// Something else's.
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

/// When and by which process a cgroup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// The process.
    pub pid: u32,
}

impl Cgroups {
    /// A cgroup was made, or one was there already if that was not seen.
    pub fn insert(&mut self, id: u64, path: &CgroupPath, made: Option<Made>) {
        // Found by the walk and made at the same time: what is known stays.
        let known = self.by_id.get(&id).and_then(|known| known.made);
        self.forget(id);
        let spelled = spell(path);
        self.ids.insert(Rc::clone(&spelled), id);
        self.came += 1;
        self.living.insert(self.came, id);
        let (made, place) = (made.or(known), Some(self.came));
        self.by_id.insert(id, Cgroup { path: spelled, made, kind: Kind::of(path), place });
        if self.living.len() > MAX_LIVING
            && let Some((_, oldest)) = self.living.pop_first()
        {
            self.forget(oldest);
        }
    }

    /// A cgroup has another name, and so have those below it.
    pub fn rename(&mut self, id: u64, path: &CgroupPath) {
        let Some(cgroup) = self.by_id.get(&id) else {
            self.insert(id, path, None);
            return;
        };
        let (old, new) = (Rc::clone(&cgroup.path), spell(path));
        self.replace(&old, &new, |_| true);
    }

    /// The path of a cgroup that was seen with its names cut: whole, if it is known.
    pub fn whole(&self, id: u64, seen: CgroupPath) -> CgroupPath {
        let cut = |name: &String| name.len() >= CGROUP_NAME_LEN - 1;
        if !seen.truncated && !seen.names.iter().any(cut) {
            return seen;
        }
        self.path(id).filter(|known| !known.truncated).unwrap_or(seen)
    }

    /// A cgroup's whole path was seen. If only the end of it was known, all whose beginning is
    /// missing have the same one: we are in a cgroup namespace, and saw them from its root.
    pub fn complete(&mut self, id: u64, path: &CgroupPath) {
        if path.truncated {
            return;
        }
        let whole = spell(path);
        let beginning = self
            .by_id
            .get(&id)
            .filter(|known| known.made.is_none())
            .and_then(|known| known.path.strip_prefix(CUT))
            .and_then(|end| whole.strip_suffix(end));
        if let Some(beginning) = beginning.map(str::to_owned) {
            // Of one that was seen to be made all is known, or it was too long for a record.
            self.replace(CUT, &beginning, |cgroup| cgroup.made.is_none());
        }
    }

    /// Puts another beginning where this one ends with a whole name, of those that are there.
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

    /// A cgroup was removed. Its path stays known for a while.
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

    /// The path of a cgroup, if it is still kept.
    pub fn path(&self, id: u64) -> Option<CgroupPath> {
        self.by_id.get(&id).map(Cgroup::path)
    }

    /// When and by which process the cgroup at this path was made, if that was seen.
    pub fn made(&self, path: &CgroupPath) -> Option<Made> {
        self.by_id.get(self.ids.get(&*spell(path))?)?.made
    }

    /// Pods whose cgroup is there and has no container's in it, the newest first, with when it was made
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

    /// The last container's cgroup that a process made since then, still there or not.
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
        // A path can be another cgroup's by now.
        if self.ids.get(&cgroup.path) == Some(&id) {
            self.ids.remove(&cgroup.path);
        }
    }
}

impl Cgroup {
    fn path(&self) -> CgroupPath {
        let whole = self.path.strip_prefix(CUT);
        CgroupPath { truncated: whole.is_some(), ..CgroupPath::parse(whole.unwrap_or(&self.path)) }
    }
}

fn spell(path: &CgroupPath) -> Rc<str> {
    let start = if path.truncated { CUT } else { "" };
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
    fn path_outlives_its_cgroup() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(7, &path("/a"), Some(by(5, 1)));
        cgroups.remove(7);
        assert_eq!(cgroups.path(7), Some(path("/a")));
        assert_eq!(cgroups.made(&path("/a")), Some(by(5, 1)));
        // Another one comes to the same place.
        cgroups.insert(8, &path("/a"), Some(by(9, 2)));
        assert_eq!(cgroups.made(&path("/a")), Some(by(9, 2)));
        assert_eq!(cgroups.path(7), Some(path("/a")));
        assert_eq!(cgroups.path(9), None);
    }

    #[test]
    fn table_is_bounded_and_live_cgroups_are_kept_longer() {
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
        assert_eq!(cgroups.path(1), None, "the first goes first");
        assert_eq!(cgroups.by_id.len(), MAX_GONE + MAX_LIVING);
        assert_eq!((cgroups.living.len(), cgroups.gone.len()), (MAX_LIVING, MAX_GONE));
    }

    #[test]
    fn rename_moves_the_subtree() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &path("/a"), None);
        cgroups.insert(2, &path("/a/b"), Some(by(5, 1)));
        cgroups.insert(3, &path("/ab"), None);
        cgroups.rename(1, &path("/z"));
        assert_eq!(cgroups.path(1), Some(path("/z")));
        assert_eq!(cgroups.path(2), Some(path("/z/b")));
        assert_eq!(cgroups.made(&path("/z/b")), Some(by(5, 1)));
        assert_eq!(cgroups.made(&path("/a/b")), None);
        assert_eq!(cgroups.path(3), Some(path("/ab")), "only looks alike");
        cgroups.rename(9, &path("/new"));
        assert_eq!(cgroups.path(9), Some(path("/new")));
    }

    #[test]
    fn in_a_cgroup_namespace_one_whole_path_completes_all() {
        let cut = |spelled: &str| CgroupPath { truncated: true, ..path(spelled) };
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &cut("/"), None);
        cgroups.insert(2, &cut("/a"), None);
        cgroups.insert(3, &cut("/a/b"), None);
        cgroups.insert(4, &path("/…/b"), None);
        assert_eq!(cgroups.path(3), Some(cut("/a/b")));
        cgroups.complete(3, &path("/other"));
        cgroups.complete(3, &cut("/docker/a/b"));
        assert_eq!(cgroups.path(3), Some(cut("/a/b")), "neither is the whole path of it");
        cgroups.complete(3, &path("/docker/ID/a/b"));
        assert_eq!(cgroups.path(1), Some(path("/docker/ID")));
        assert_eq!(cgroups.path(2), Some(path("/docker/ID/a")));
        assert_eq!(cgroups.path(4), Some(path("/…/b")), "a name like any other");
    }

    #[test]
    fn cut_names_are_completed() {
        let long = path(&format!("/{}", "x".repeat(255)));
        let cut = path(&format!("/{}", "x".repeat(127)));
        let mut cgroups = Cgroups::default();
        assert_eq!(cgroups.whole(1, cut.clone()), cut);
        cgroups.insert(1, &long, Some(by(5, 1)));
        assert_eq!(cgroups.whole(1, cut), long);
        assert_eq!(cgroups.whole(1, path("/a")), path("/a"), "it was whole");
    }

    #[test]
    fn walk_keeps_what_events_showed() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &path("/a"), Some(by(5, 1)));
        cgroups.insert(1, &path("/a"), None);
        assert_eq!(cgroups.made(&path("/a")), Some(by(5, 1)));
    }

    #[test]
    fn pods_without_container_are_listed() {
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
    fn container_made_by_a_process_is_found() {
        let mut cgroups = Cgroups::default();
        cgroups.insert(1, &path("/machine.slice/libpod-ID.scope"), Some(by(5, 70)));
        cgroups.insert(2, &path("/machine.slice/libpod-ID.scope/container"), Some(by(6, 70)));
        cgroups.insert(3, &path("/elsewhere"), Some(by(7, 70)));
        let found = cgroups.container_made_by(70, 5);
        assert_eq!(found, Some(path("/machine.slice/libpod-ID.scope/container")));
        assert_eq!(cgroups.container_made_by(70, 7), None, "too long ago");
        assert_eq!(cgroups.container_made_by(71, 0), None);
    }
}
