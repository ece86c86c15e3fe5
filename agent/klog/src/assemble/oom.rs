//! OOM kills: whose memory ran out, and who was killed.
use fragwatch_core::model::{
    event::{OomKill, OomScope},
    memcg::MemcgState,
};

use crate::{
    assemble::{incident_builder::OomBuilder, masks::Masks, memory::MemoryReport},
    parse::{oom::Constraint, trace::FrameLine},
};

/// `pagefault_out_of_memory`: the mask is 0 and no allocation's.
pub(super) fn is_page_fault(oom: &OomBuilder, frames: &[FrameLine]) -> bool {
    oom.mask.as_ref().is_some_and(|mask| mask.raw == 0)
        && frames.iter().any(|frame| frame.function.starts_with("pagefault_out_of_memory"))
}

/// Functions that call the OOM killer for a memory cgroup.
const MEMCG_CALLERS: &[&str] = &[
    "mem_cgroup_out_of_memory",
    "mem_cgroup_oom_synchronize",
    "mem_cgroup_handle_oom",
    "try_charge",
];

/// Whose memory ran out, by what the report says.
pub(super) fn scope(oom: &OomBuilder, frames: &[FrameLine], memory: &MemoryReport) -> OomScope {
    let summary = oom.summary.as_ref();
    // Kernels around 5.0 print the constraint wrongly. This field only stands there for a memory
    // cgroup (mm/oom_kill.c `dump_oom_summary`).
    let names_memcg = summary.is_some_and(|summary| summary.oom_memcg.is_some() && !summary.global);
    let memcg = || OomScope::Memcg(oom.memcg.path.clone());
    match summary.and_then(|summary| summary.constraint) {
        Some(Constraint::Memcg) => return memcg(),
        _ if names_memcg => return memcg(),
        Some(Constraint::None) if oom.of_memcg == Some(true) => return memcg(),
        Some(_) => return OomScope::Node,
        None => {}
    }
    let from_charge = frames
        .iter()
        .any(|frame| MEMCG_CALLERS.iter().any(|caller| frame.function.starts_with(caller)));
    let says_memcg = summary.is_some_and(|summary| summary.oom_memcg.is_some())
        || oom.has_memcg_lines
        || oom.of_memcg == Some(true)
        || from_charge;
    if says_memcg {
        memcg()
    } else if summary.is_some_and(|summary| summary.global)
        || oom.of_memcg == Some(false)
        // Only a node's report has zones.
        || memory.has_zones()
    {
        OomScope::Node
    } else {
        OomScope::Unknown
    }
}

pub(super) fn memcg(oom: &OomBuilder, scope: Option<&OomScope>) -> MemcgState {
    match scope {
        Some(OomScope::Memcg(_)) => oom.memcg.clone(),
        _ => MemcgState::default(),
    }
}

pub(super) fn oom_kills(
    oom: Option<&OomBuilder>,
    scope: Option<&OomScope>,
    masks: &Masks,
) -> Vec<OomKill> {
    let (Some(oom), Some(scope)) = (oom, scope) else { return Vec::new() };
    let gfp = oom.mask.as_ref().map(|mask| masks.gfp(mask));
    let kill = |pid: Option<u32>, comm: Option<&str>| OomKill {
        pid,
        comm: comm.map(str::to_owned),
        order: oom.order,
        gfp: gfp.clone(),
        scope: scope.clone(),
        ..OomKill::default()
    };
    if !oom.victims.is_empty() {
        return oom.victims.iter().map(|(pid, comm)| kill(Some(*pid), Some(comm))).collect();
    }
    let named = oom.summary.as_ref().filter(|summary| summary.comm.is_some());
    // The call alone, where no victim was found or the log doesn't name it.
    vec![
        named
            .map_or_else(|| kill(None, None), |summary| kill(summary.pid, summary.comm.as_deref())),
    ]
}
