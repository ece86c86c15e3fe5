//! Slab caches that could not grow or be created.
use super::gfp::Gfp;

/// A slab cache that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlabCache {
    /// Its name, from outside.
    pub name: String,
    /// Object size in bytes, if it is known.
    pub size: Option<u32>,
    /// It could not be created.
    pub failed: bool,
    /// The error as a positive errno, if it is known: the kernel's function returns no more than
    /// NULL to its caller.
    pub errno: Option<i32>,
}

/// A slab cache that got no pages for a new slab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlabFailed {
    /// The cache's name, from outside; `None` if the line is missing.
    pub cache: Option<String>,
    /// Object size in bytes.
    pub object_size: Option<u32>,
    /// The smallest order that it can do with.
    pub min_order: Option<u32>,
    /// gfp mask.
    pub gfp: Option<Gfp>,
    /// How often.
    pub times: u64,
}

impl SlabFailed {
    /// The memory cgroup that the cache belongs to, by the cache's name (kernels before 5.9).
    pub fn memcg(&self) -> Option<&str> {
        let (_, memcg) = memcg_of_cache(self.cache.as_deref()?)?;
        Some(memcg)
    }
}

/// The memory cgroup in the name of a cache of its own (kernels before 5.9): its id, if it stands
/// there, and its name.
pub fn memcg_of_cache(name: &str) -> Option<(Option<u32>, &str)> {
    let (_, rest) = name.rsplit_once('(')?;
    let (id, memcg) = rest.strip_suffix(')')?.split_once(':')?;
    Some((id.parse().ok(), memcg))
}
