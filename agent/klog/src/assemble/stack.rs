//! A stack while its lines come in, and whose it is.
use fragwatch_core::model::notice::HungIn;

use crate::{assemble::log_position::LogPosition, parse::trace::FrameLine};

/// Functions kept of one stack.
const MAX_FRAMES: usize = 96;

/// What a stack's functions say about the report that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    PageAllocator,
    OomKiller,
    SlabCache,
    Other,
}

#[derive(Debug)]
pub(super) struct Stack {
    pub(super) begin: LogPosition,
    pub(super) end: LogPosition,
    /// It has its heading, `Call Trace:`.
    pub(super) has_heading: bool,
    pub(super) frames: Vec<FrameLine>,
}

/// What a task waits in that has this function on its stack.
pub(super) fn waits_in(function: &str) -> Option<HungIn> {
    const COMPACTION: &[&str] =
        &["compact_zone", "try_to_compact_pages", "__alloc_pages_direct_compact"];
    const RECLAIM: &[&str] = &[
        "try_to_free_pages",
        "try_to_free_mem_cgroup_pages",
        "do_try_to_free_pages",
        "shrink_node",
        "shrink_zone",
        "__alloc_pages_direct_reclaim",
        "reclaim_throttle",
        "throttle_direct_reclaim",
    ];
    let is = |names: &[&str]| names.iter().any(|name| function.starts_with(name));
    if is(COMPACTION) { Some(HungIn::Compaction) } else { is(RECLAIM).then_some(HungIn::Reclaim) }
}

impl Stack {
    pub(super) fn new(at: &LogPosition, has_heading: bool) -> Self {
        Self { begin: at.clone(), end: at.clone(), has_heading, frames: Vec::new() }
    }

    pub(super) fn push(&mut self, frame: FrameLine, at: &LogPosition) {
        self.end = at.clone();
        if self.frames.len() < MAX_FRAMES {
            self.frames.push(frame);
        }
    }

    /// By the functions that print the reports: from 2.6.32 to 7.x. A report that is printed while
    /// another's stack lies below it is the one that comes first.
    pub(super) fn kind(&self) -> Kind {
        let kind = |frame: &FrameLine| {
            let name = frame.function.as_str();
            if name.starts_with("warn_alloc") {
                Some(Kind::PageAllocator)
            } else if name.starts_with("dump_header") || name.starts_with("oom_kill_process") {
                Some(Kind::OomKiller)
            } else if name.contains("kmem_cache_create") {
                Some(Kind::SlabCache)
            } else {
                None
            }
        };
        self.frames.iter().find_map(kind).unwrap_or(Kind::Other)
    }
}
