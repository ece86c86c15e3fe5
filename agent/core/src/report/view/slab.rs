//! Slab caches and vmalloc of logs.
use super::allocation::gfp;
use crate::{
    model::log_incident::{self, Lack},
    report::line::slab::{SlabFailure, Vmalloc},
};

/// A slab cache that got no pages.
pub(super) fn slab_failure(slab: &log_incident::SlabFailed) -> SlabFailure {
    SlabFailure {
        name: slab.cache.clone(),
        size: slab.object_size,
        min_order: slab.min_order,
        gfp: slab.gfp.as_ref().map(gfp),
        times: slab.times,
    }
}

/// A vmalloc that failed.
pub(super) fn vmalloc(failed: &log_incident::VmallocFailed) -> Vmalloc {
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
