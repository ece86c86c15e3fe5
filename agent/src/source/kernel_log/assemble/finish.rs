//! From a report's lines to an incident: masks read with the kernel's bits, zones as the allocation
//! saw them, whose memory ran out.
use std::time::Duration;

use super::{
    draft::{Draft, OomDraft, SlabDraft},
    memory::{MemoryReport, Reach},
};
use crate::{
    allocation::{Allocation, Outcome},
    evidence::{Failure, OomKill, OomScope},
    incident::{Buddyinfo, LogIncident, MemcgState, OomCall, SlabFailed, VmallocFailed},
    kernel::{
        gfp::{Gfp, GfpNames, Traits},
        symbols::Frame,
    },
    source::kernel_log::{
        line::Caller,
        message::{allocation::Header, field::Mask, oom::Constraint, trace::FrameLine},
    },
};

/// The page size of all kernels that don't show another one in a log.
const USUAL_PAGE_SIZE: u64 = 4096;

/// Makes the incident; `kernel` is the release as far as it is known.
pub(super) fn finish(
    draft: Draft,
    kernel: Option<String>,
    buddyinfo: Vec<Buddyinfo>,
) -> LogIncident {
    let masks = Masks { kernel: kernel.as_deref() };
    let page_size = draft.memory.page_size().unwrap_or(USUAL_PAGE_SIZE);
    let oom = draft.oom.as_ref();
    let scope = oom.map(|oom| scope(oom, &draft.frames, &draft.memory));
    let oom_kills = oom_kills(oom, scope.as_ref(), &masks);
    let mut allocations: Vec<Allocation> =
        draft.slab.iter().filter_map(|slab| masks.slab(slab)).collect();
    if let Some(header) = &draft.header {
        allocations.extend(failed(header, &draft, &masks, page_size));
        // The page allocator's report is that of the slab's allocation.
        let last = allocations.len().saturating_sub(1);
        allocations.drain(..last);
    }
    if let Some(oom) = oom {
        allocations.extend(asked_for_kill(oom, scope.as_ref(), &draft, &masks, page_size));
    }
    let memcg =
        oom.map(|oom| memcg(oom, scope.as_ref())).filter(|memcg| *memcg != MemcgState::default());
    let victim = oom.and_then(|oom| oom.victims.first());
    let named = oom.and_then(|oom| oom.summary.as_ref());
    LogIncident {
        lines: (draft.begin.first, draft.end.last.max(draft.begin.last)),
        time: draft.begin.time,
        host: draft.begin.host.clone(),
        page_size,
        pid: draft.pid.or_else(|| {
            // A thread that prints under its own id.
            match draft.begin.caller {
                Some(Caller::Thread(id)) if draft.comm.is_some() => Some(id),
                _ if draft.comm.is_none() => victim.map(|(pid, _)| *pid).or_else(|| named?.pid),
                _ => None,
            }
        }),
        comm: draft
            .comm
            .clone()
            .or_else(|| victim.map(|(_, comm)| comm.clone()))
            .or_else(|| named?.comm.clone()),
        cgroup: cgroup(&draft),
        readings: readings(&allocations),
        allocations,
        vmalloc: draft
            .vmalloc
            .iter()
            .map(|vmalloc| VmallocFailed {
                bytes: vmalloc.bytes,
                gfp: vmalloc.mask.as_ref().map(|mask| masks.gfp(mask)),
                lack: vmalloc.lack,
            })
            .collect(),
        slab_failures: draft.slab.iter().map(|slab| masks.slab_failed(slab)).collect(),
        slab_caches: draft.caches.clone(),
        oom: oom.zip(scope).map(|(oom, scope)| OomCall {
            order: oom.order,
            scope,
            page_fault: is_page_fault(oom, &draft.frames),
            bounded: named.is_some_and(|summary| {
                matches!(summary.constraint, Some(Constraint::Cpuset | Constraint::MemoryPolicy))
            }),
        }),
        oom_kills,
        memcg,
        fork_refused: draft.fork_refused.clone(),
        memory: draft.memory.node(page_size),
        gaps: gaps(&draft),
        containers: draft.containers,
        kernel,
        buddyinfo,
    }
}

/// The task's cgroup: a path where the report has one, else the cpuset's last part.
fn cgroup(draft: &Draft) -> Option<String> {
    let oom = draft.oom.as_ref();
    let summary = oom.and_then(|oom| oom.summary.as_ref());
    let refused = draft.fork_refused.as_ref().map(|refused| refused.cgroup.clone());
    let cpuset = || {
        let of_header = draft.header.as_ref().and_then(|header| header.cpuset.clone());
        let of_summary = || summary.and_then(|summary| summary.cpuset.clone());
        let cpuset =
            of_header.or_else(|| Some(draft.cpuset.as_ref()?.0.clone())).or_else(of_summary);
        cpuset.filter(|cpuset| cpuset != "/")
    };
    refused
        .or_else(|| summary?.task_memcg.clone())
        .or_else(|| oom?.task_memcg.clone())
        .or_else(cpuset)
}

/// What is missing from the report itself.
fn gaps(draft: &Draft) -> Vec<String> {
    let mut gaps = Vec::new();
    let memory = &draft.memory;
    let of_memory = draft.header.is_some() || draft.oom.as_ref().is_some_and(|oom| oom.invoked);
    if of_memory && memory.begun && !memory.ended {
        gaps.push("the end of the report: the log is cut there".to_owned());
    }
    if let Some(header) = &draft.header
        && (header.order.is_none() || header.mask.is_none())
    {
        gaps.push("the whole heading of the report: its line is cut".to_owned());
    }
    gaps
}

/// Before 4.4 watermarks were checked per order. `None` if the kernel isn't known.
fn per_order_marks(kernel: Option<&str>) -> Option<bool> {
    let mut numbers =
        kernel?.trim_start_matches('v').split(['.', '-', '+']).map_while(|n| n.parse::<u32>().ok());
    Some((numbers.next()?, numbers.next().unwrap_or(0)) < (4, 4))
}

struct Masks<'a> {
    kernel: Option<&'a str>,
}

impl Masks<'_> {
    fn gfp(&self, mask: &Mask) -> Gfp {
        if let Some(names) = &mask.names
            && let Some(traits) = Traits::from_names(names)
        {
            return Gfp { raw: mask.raw, flags: Some(names.clone()), traits: Some(traits) };
        }
        if let Some(names) = self.kernel.and_then(GfpNames::from_release) {
            return names.decode(mask.raw);
        }
        // Whatever kernel it was: if all that it can mean says the same of the caller, that holds.
        let mut traits = GfpNames::readings(mask.raw).into_iter().map(|(_, gfp)| gfp.traits);
        let first = traits.next().flatten();
        let agreed = first.filter(|_| traits.all(|other| other == first));
        Gfp { raw: mask.raw, flags: None, traits: agreed }
    }

    /// The allocation behind a slab cache's failure. It is one of pages only where the page
    /// allocator reports it itself; else the charge to a memory cgroup may have failed.
    fn slab(&self, slab: &SlabDraft) -> Option<Allocation> {
        let gfp = self.gfp(slab.mask.as_ref()?);
        Some(allocation(gfp, slab.min_order?, Outcome::Failed, None))
    }

    fn slab_failed(&self, slab: &SlabDraft) -> SlabFailed {
        SlabFailed {
            cache: slab.name.clone(),
            object_size: slab.object_size,
            min_order: slab.min_order,
            gfp: slab.mask.as_ref().map(|mask| self.gfp(mask)),
            times: slab.times,
        }
    }

    /// Whether the marks are those of kernels before 4.4: names of masks came with 4.6.
    fn per_order_marks(&self, mask: &Mask) -> Option<bool> {
        per_order_marks(self.kernel).or_else(|| mask.names.is_some().then_some(false))
    }
}

fn allocation(gfp: Gfp, order: u32, outcome: Outcome, failure: Option<Failure>) -> Allocation {
    Allocation {
        gfp,
        order,
        outcome,
        stall_ns: 0,
        compactions: Vec::new(),
        reclaimed: 0,
        failure,
        failed_ns: None,
    }
}

fn failed(header: &Header, draft: &Draft, masks: &Masks, page_size: u64) -> Option<Allocation> {
    let mask = header.mask.as_ref()?;
    let (gfp, order) = (masks.gfp(mask), header.order?);
    if let Some(ms) = header.stalled_ms {
        let mut stalled = allocation(gfp, order, Outcome::Recovered, None);
        stalled.stall_ns = u64::try_from(Duration::from_millis(ms).as_nanos()).unwrap_or(u64::MAX);
        return Some(stalled);
    }
    let nodes = header.mems_allowed.as_deref().or_else(|| Some(draft.cpuset.as_ref()?.1.as_str()));
    let failure = failure(
        draft,
        &gfp,
        header.nodemask.as_deref(),
        nodes,
        masks.per_order_marks(mask),
        page_size,
    );
    Some(allocation(gfp, order, Outcome::Failed, Some(failure)))
}

fn asked_for_kill(
    oom: &OomDraft,
    scope: Option<&OomScope>,
    draft: &Draft,
    masks: &Masks,
    page_size: u64,
) -> Option<Allocation> {
    let mask = oom.mask.as_ref()?;
    let order = u32::try_from(oom.order?).ok()?;
    // A page fault's call has neither mask nor order of its own.
    if is_page_fault(oom, &draft.frames)
        && scope.is_none_or(|scope| !matches!(scope, OomScope::Memcg(_)))
    {
        return None;
    }
    let gfp = masks.gfp(mask);
    let nodes = draft.cpuset.as_ref().map(|(_, nodes)| nodes.as_str());
    let failure = failure(draft, &gfp, None, nodes, masks.per_order_marks(mask), page_size);
    Some(allocation(gfp, order, Outcome::CalledOomKiller, Some(failure)))
}

fn failure(
    draft: &Draft,
    gfp: &Gfp,
    nodemask: Option<&str>,
    mems_allowed: Option<&str>,
    per_order_marks: Option<bool>,
    page_size: u64,
) -> Failure {
    let reach = Reach { gfp, nodemask, mems_allowed, per_order_marks };
    let mut found = draft.memory.zones(reach, page_size);
    if per_order_marks.is_none() {
        // Of an unknown kernel only what both rules agree on can be said.
        let old = draft.memory.zones(Reach { per_order_marks: Some(true), ..reach }, page_size);
        let order = draft.header.as_ref().and_then(|header| header.order);
        let order = order.or_else(|| u32::try_from(draft.oom.as_ref()?.order?).ok()).unwrap_or(0);
        found.complete &= found
            .zones
            .iter()
            .zip(&old.zones)
            .all(|(new, old)| new.offer(order) == old.offer(order));
    }
    Failure { stack: stack(&draft.frames), zones: found.zones, zones_complete: found.complete }
}

/// What the unwinder was sure of, or all that it has.
fn stack(frames: &[FrameLine]) -> Vec<Frame> {
    let sure = frames.iter().filter(|frame| !frame.guessed).count();
    frames
        .iter()
        .filter(|frame| sure < 3 || !frame.guessed)
        .map(|frame| Frame {
            function: Some(frame.function.clone()),
            module: frame.module.clone(),
            address: frame.address,
        })
        .collect()
}

/// `pagefault_out_of_memory`: the mask is 0 and no allocation's.
fn is_page_fault(oom: &OomDraft, frames: &[FrameLine]) -> bool {
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
fn scope(oom: &OomDraft, frames: &[FrameLine], memory: &MemoryReport) -> OomScope {
    let summary = oom.summary.as_ref();
    let memcg = || OomScope::Memcg(oom.memcg.path.clone());
    match summary.and_then(|summary| summary.constraint) {
        Some(Constraint::Memcg) => return memcg(),
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

fn memcg(oom: &OomDraft, scope: Option<&OomScope>) -> MemcgState {
    match scope {
        Some(OomScope::Memcg(_)) => oom.memcg.clone(),
        _ => MemcgState::default(),
    }
}

fn oom_kills(oom: Option<&OomDraft>, scope: Option<&OomScope>, masks: &Masks) -> Vec<OomKill> {
    let (Some(oom), Some(scope)) = (oom, scope) else { return Vec::new() };
    let gfp = oom.mask.as_ref().map(|mask| masks.gfp(mask));
    let kill = |pid: Option<u32>, comm: &str| OomKill {
        pid,
        comm: comm.to_owned(),
        order: oom.order,
        gfp: gfp.clone(),
        scope: scope.clone(),
    };
    if !oom.victims.is_empty() {
        return oom.victims.iter().map(|(pid, comm)| kill(Some(*pid), comm)).collect();
    }
    let named =
        oom.summary.as_ref().and_then(|summary| Some((summary.pid, summary.comm.as_ref()?)));
    named.map(|(pid, comm)| kill(pid, comm)).into_iter().collect()
}

/// What the first mask that isn't decoded can mean.
fn readings(allocations: &[Allocation]) -> Vec<(String, Gfp)> {
    let raw = allocations.iter().map(|a| &a.gfp).find(|gfp| gfp.flags.is_none()).map(|gfp| gfp.raw);
    raw.map(GfpNames::readings).unwrap_or_default()
}
