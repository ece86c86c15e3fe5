//! From a report's lines to an incident: masks read with the kernel's bits, zones as the allocation
//! saw them, whose memory ran out.
use std::time::Duration;

use fragwatch_core::model::{
    allocation::{Allocation, Outcome},
    event::Failure,
    frame::Frame,
    gfp::Gfp,
    log_incident::{Buddyinfo, LogIncident, MemcgState, OomCall, SlabFailed, VmallocFailed},
};

use crate::{
    assemble::{
        incident_builder::{IncidentBuilder, OomBuilder, SlabDraft},
        masks::{Known, Masks},
        memory::Reach,
        oom::{is_page_fault, memcg, oom_kills, scope},
    },
    line::Caller,
    parse::{allocation::Header, oom::Constraint, trace::FrameLine},
};

/// The page size of all kernels that don't show another one in a log.
const USUAL_PAGE_SIZE: u64 = 4096;

/// Makes the incident; `kernel` is the release as far as it is known.
pub(super) fn finish(
    draft: IncidentBuilder,
    kernel: Option<String>,
    buddyinfo: Vec<Buddyinfo>,
    known: &Known,
) -> LogIncident {
    let masks = Masks { kernel: kernel.as_deref(), known };
    let page_size = draft.memory.page_size().unwrap_or(USUAL_PAGE_SIZE);
    let oom = draft.oom.as_ref();
    let scope = oom.map(|oom| scope(oom, &draft.frames, &draft.memory));
    let oom_kills = oom_kills(oom, scope.as_ref(), &masks);
    let mut allocations: Vec<Allocation> =
        draft.slab.iter().filter_map(|slab| self::slab(slab, &masks)).collect();
    if let Some(header) = &draft.header {
        allocations.extend(failed(header, &draft, &masks, page_size));
        // The page allocator's report is that of the slab's allocation.
        let last = allocations.len().saturating_sub(1);
        allocations.drain(..last);
    }
    if let Some(oom) = oom {
        allocations.extend(asked_for_kill(oom, &draft, &masks, page_size));
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
            .or_else(|| named?.comm.clone())
            // Where the kernel logged nothing, who says so is who failed.
            .or_else(|| draft.containers.iter().find_map(|failure| failure.program.clone())),
        cgroup: cgroup(&draft),
        readings: masks.readings_of_first(&draft),
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
        slab_failures: draft.slab.iter().map(|slab| slab_failed(slab, &masks)).collect(),
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
fn cgroup(draft: &IncidentBuilder) -> Option<String> {
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
fn gaps(draft: &IncidentBuilder) -> Vec<String> {
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

fn failed(
    header: &Header,
    draft: &IncidentBuilder,
    masks: &Masks,
    page_size: u64,
) -> Option<Allocation> {
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
    oom: &OomBuilder,
    draft: &IncidentBuilder,
    masks: &Masks,
    page_size: u64,
) -> Option<Allocation> {
    let mask = oom.mask.as_ref()?;
    let order = u32::try_from(oom.order?).ok()?;
    let gfp = masks.gfp(mask);
    let nodes = draft.cpuset.as_ref().map(|(_, nodes)| nodes.as_str());
    let failure = failure(draft, &gfp, None, nodes, masks.per_order_marks(mask), page_size);
    Some(allocation(gfp, order, Outcome::CalledOomKiller, Some(failure)))
}

fn failure(
    draft: &IncidentBuilder,
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

/// What the unwinder was sure of, or all that it has, without code that was made while the kernel
/// ran: a function that is entered through such code stands on the stack before it and behind it.
fn stack(frames: &[FrameLine]) -> Vec<Frame> {
    let sure = frames.iter().filter(|frame| !frame.guessed).count();
    let mut stack: Vec<Frame> = Vec::new();
    let mut through_trampoline = false;
    for frame in frames.iter().filter(|frame| sure < 3 || !frame.guessed) {
        if MADE_AT_RUN_TIME.iter().any(|begin| frame.function.starts_with(begin)) {
            through_trampoline = true;
            continue;
        }
        let function = Some(frame.function.clone());
        let again = stack.last().is_some_and(|last| last.function == function);
        if !(through_trampoline && again) {
            stack.push(Frame { function, module: frame.module.clone(), address: frame.address });
        }
        through_trampoline = false;
    }
    stack
}

/// Code that the kernel makes while it runs, for programs that watch it.
const MADE_AT_RUN_TIME: &[&str] =
    &["bpf_trampoline_", "bpf_prog_", "ftrace_trampoline", "kretprobe_trampoline"];

/// The allocation behind a slab cache's failure. It is one of pages only where the page
/// allocator reports it itself; else the charge to a memory cgroup may have failed.
fn slab(slab: &SlabDraft, masks: &Masks) -> Option<Allocation> {
    let gfp = masks.gfp(slab.mask.as_ref()?);
    Some(allocation(gfp, slab.min_order?, Outcome::Failed, None))
}

fn slab_failed(slab: &SlabDraft, masks: &Masks) -> SlabFailed {
    SlabFailed {
        cache: slab.name.clone(),
        object_size: slab.object_size,
        min_order: slab.min_order,
        gfp: slab.mask.as_ref().map(|mask| masks.gfp(mask)),
        times: slab.times,
    }
}
