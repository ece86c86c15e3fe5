//! The container that a creation is for: from its cgroup's path, from the runtime that made it, and from
//! lookups.
pub mod candidates;
pub mod cgroup_path;
pub mod cgroups;
pub mod late;
mod query_limit;
