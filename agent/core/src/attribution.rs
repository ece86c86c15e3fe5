//! Which container a creation is for: by the cgroup's path, by the runtime that did it, and by what
//! is looked up afterwards.
pub mod candidates;
pub mod cgroup_path;
pub mod cgroups;
pub mod late;
