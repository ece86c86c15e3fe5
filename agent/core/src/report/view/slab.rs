//! Slab caches and vmalloc.
use super::allocation::gfp;
use crate::{
    model::{
        errno, slab,
        vmalloc::{Lack, VmallocFailed},
    },
    report::line::slab::{SlabCache, SlabFailure, Vmalloc},
};

/// A slab cache that was asked for.
pub(super) fn slab_cache(cache: &slab::SlabCache) -> SlabCache {
    SlabCache {
        name: cache.name.clone(),
        size: cache.size,
        errno: cache.errno.map(errno::name),
        failed: cache.failed,
    }
}

/// A slab cache that got no pages.
pub(super) fn slab_failure(slab: &slab::SlabFailed) -> SlabFailure {
    SlabFailure {
        name: slab.cache.clone(),
        size: slab.object_size,
        min_order: slab.min_order,
        gfp: slab.gfp.as_ref().map(gfp),
        times: slab.times,
    }
}

/// A vmalloc that failed.
pub(super) fn vmalloc(failed: &VmallocFailed) -> Vmalloc {
    Vmalloc {
        bytes: failed.bytes,
        gfp: failed.gfp.as_ref().map(gfp),
        lack: match failed.lack {
            Lack::Addresses => Some("addresses"),
            Lack::Request => Some("request"),
            Lack::Pages => Some("pages"),
            Lack::Unsaid => None,
        },
    }
}
