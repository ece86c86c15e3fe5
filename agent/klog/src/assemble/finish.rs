//! From a report's lines to an incident: masks read with the kernel's bits, zones as the allocation
//! saw them, whose memory ran out.
use std::time::Duration;

use fragwatch_core::model::{
    allocation::{Allocation, Outcome},
    event::{CgroupPath, Failure},
    frame::Frame,
    gfp::Gfp,
    incident::{Incident, LogSource, Source},
    kernel_version::KernelVersion,
    memcg::MemcgState,
    node::Buddyinfo,
    notice::ExcludedZones,
    slab::SlabFailed,
    vmalloc::VmallocFailed,
};

use crate::{
    assemble::{
        container::{cgroup, container},
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
    kernel: Option<KernelVersion>,
    buddyinfo: Vec<Buddyinfo>,
    known: &Known,
) -> Incident {
    let masks = Masks { kernel: kernel.as_ref(), known };
    let page_size = draft.memory.page_size().unwrap_or(USUAL_PAGE_SIZE);
    let oom = draft.oom.as_ref();
    let scope = oom.map(|oom| scope(oom, &draft.frames, &draft.memory));
    let named = oom.and_then(|oom| oom.summary.as_ref());
    let mut oom_kills = oom_kills(oom, scope.as_ref(), &masks);
    for kill in &mut oom_kills {
        kill.page_fault = oom.is_some_and(|oom| is_page_fault(oom, &draft.frames));
        kill.bounded = named.is_some_and(|summary| {
            matches!(summary.constraint, Some(Constraint::Cpuset | Constraint::MemoryPolicy))
        });
    }
    let mut allocations: Vec<Allocation> =
        draft.slab.iter().filter_map(|slab| self::slab(slab, &masks)).collect();
    if let Some(header) = &draft.header {
        allocations.extend(failed(header, &draft, &masks, page_size));
        // The page allocator's report is that of the slab's allocation.
        let last = allocations.len().saturating_sub(1);
        allocations.drain(..last);
    }
    let bounded = oom_kills.iter().any(|kill| kill.bounded);
    let excluded = oom.filter(|_| bounded).and_then(|oom| excluded(oom, &draft, &masks, page_size));
    if let Some(oom) = oom {
        allocations.extend(asked_for_kill(oom, &draft, &masks, page_size));
    }
    let memcg =
        oom.map(|oom| memcg(oom, scope.as_ref())).filter(|memcg| *memcg != MemcgState::default());
    let slab_failures: Vec<SlabFailed> =
        draft.slab.iter().map(|slab| slab_failed(slab, &masks)).collect();
    let cgroup = cgroup(&draft, scope.as_ref()).map(|path| CgroupPath {
        // Of a cpuset a log has the last part only.
        truncated: !path.starts_with('/'),
        ..CgroupPath::parse(&path)
    });
    let of_kernel = draft.caches.iter().find_map(|cache| cache.errno);
    let of_program = || draft.containers.iter().find_map(|failure| failure.errno);
    Incident {
        source: Source::Log(LogSource {
            lines: (draft.begin.first, draft.end.last.max(draft.begin.last)),
            time: draft.begin.time.or(draft.begin.received),
            host: draft.begin.host.clone(),
            readings: masks.readings_of_first(&draft),
            buddyinfo,
            also_in: Vec::new(),
        }),
        page_size,
        pid: draft.pid.or_else(|| {
            // A thread that prints under its own id.
            match draft.begin.caller {
                Some(Caller::Thread(id)) if draft.comm.is_some() => Some(id),
                _ => None,
            }
        }),
        comm: draft
            .comm
            .clone()
            // Where the kernel logged nothing, who says so is who failed.
            .or_else(|| draft.containers.iter().find_map(|failure| failure.program.clone())),
        tid: None,
        cgroup_id: None,
        container: container(&draft, cgroup.as_ref(), memcg.as_ref(), &slab_failures),
        cgroup,
        errno: of_kernel.or_else(of_program),
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
        slab_failures,
        slab_caches: draft.caches.clone(),
        oom_kills,
        memcg,
        fork_refused: draft.fork_refused.clone(),
        tasks: None,
        pid_max: None,
        percpu: draft.percpu.clone(),
        hung: draft.hung(),
        excluded,
        memory: draft.memory.node(page_size),
        gaps: gaps(&draft),
        messages: draft.containers,
        kernel,
    }
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
    let nodes = header.mems_allowed.as_deref().or_else(|| Some(draft.cpuset.as_ref()?.1.as_str()));
    let failure = failure(
        draft,
        &gfp,
        header.nodemask.as_deref(),
        nodes,
        masks.per_order_marks(mask),
        page_size,
    );
    let Some(ms) = header.stalled_ms else {
        return Some(allocation(gfp, order, Outcome::Failed, Some(failure)));
    };
    let seen = Some(failure).filter(|failure| !failure.zones.is_empty());
    let mut stalled = allocation(gfp, order, Outcome::Recovered, seen);
    stalled.stall_ns = u64::try_from(Duration::from_millis(ms).as_nanos()).unwrap_or(u64::MAX);
    Some(stalled)
}

/// The nodes that the task's cpuset allows, or its memory policy where that bounded the search.
fn allowed_nodes<'a>(oom: &'a OomBuilder, draft: &'a IncidentBuilder) -> Option<&'a str> {
    let summary = oom.summary.as_ref();
    let policy = summary.filter(|summary| summary.constraint == Some(Constraint::MemoryPolicy));
    if let Some(nodes) = policy.and_then(|summary| summary.nodemask.as_deref()) {
        return Some(nodes);
    }
    let of_summary = || oom.summary.as_ref()?.mems_allowed.as_deref();
    draft.cpuset.as_ref().map(|(_, nodes)| nodes.as_str()).or_else(of_summary)
}

/// Free memory that the task was kept from.
fn excluded(
    oom: &OomBuilder,
    draft: &IncidentBuilder,
    masks: &Masks,
    page_size: u64,
) -> Option<ExcludedZones> {
    let gfp = masks.gfp(oom.mask.as_ref()?);
    let mems_allowed = allowed_nodes(oom, draft);
    let reach = Reach { gfp: &gfp, nodemask: None, mems_allowed, per_order_marks: None };
    draft.memory.excluded(reach, page_size)
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
    let nodes = allowed_nodes(oom, draft);
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
