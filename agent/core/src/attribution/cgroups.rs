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

    /// As [`Self::complete`], by the complete path of a cgroup that this one is in, or of itself. Names
    /// that both paths have in common show where the known one begins.
    pub fn complete_below(&mut self, id: u64, outer: &CgroupPath) {
        let Some(known) = self.path(id).filter(|known| known.truncated && !outer.truncated) else {
            return;
        };
        let shared =
            (1..=known.names.len()).rev().find(|&n| outer.names.ends_with(&known.names[..n]));
        if let Some(shared) = shared {
            let names = [&outer.names[..], &known.names[shared..]].concat();
            self.complete(id, &CgroupPath { names, truncated: false });
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
mod tests;
