//! A memory cgroup's limit: the pages were there, and the cgroup that they would have been charged
//! to was full.
//!
//! Rules, each enough by itself:
//! - A charge failed while the container was created (mm/memcontrol.c `try_charge`), and that returned
//!   ENOMEM, or what a subsystem is known to make of it. Confidence is medium if the charge was tried less often
//!   than one that may wait is: then it may have been taken in the end, unseen.
//! - A creation that was made waited longest for reclaim of a memory cgroup at its limit: a near miss.
//! - The OOM killer was called for a memory cgroup.
//! - The OOM killer was called for a page fault that got no memory, and a zone that it could use had
//!   plenty: something else refused it, most likely a charge. Confidence is low.
//! - A slab cache that belongs to a memory cgroup, as its name says (`dentry(158:<cgroup>)`, kernels
//!   before 5.9), got no page, and the page allocator reported no failure: then the charge failed.
//!   Confidence is medium, as usage and limit are not printed.
//!
//! - A runtime says that the limit is too low for the container's own start.
//!
//! Confidence is high where the kernel says whose memory ran out, and medium if the usage that it
//! prints is far below the limit, or if an allocation of
//! the same creation failed as well.
use crate::{
    diagnose::{Evidence, owner::Owner},
    model::{
        errno,
        event::{ChargeFailed, LimitKind, OomScope},
        memcg::MemcgState,
        program_message::StartError,
        step::MemcgReclaims,
        verdict::{Cause, Confidence, Remedy, Verdict},
    },
    units,
};

const SEE_V1: Remedy = Remedy {
    title: "see what fills the cgroup",
    command: "cd /sys/fs/cgroup/memory/<path>; grep . memory.usage_in_bytes memory.limit_in_bytes memory.kmem.usage_in_bytes memory.stat",
    risk: "none",
    durable: false,
};

const SEE_V2: Remedy = Remedy {
    command: "cd /sys/fs/cgroup/<path>; grep . memory.current memory.max memory.stat memory.events",
    ..SEE_V1
};

const SEE: Remedy = Remedy {
    command: "cat /sys/fs/cgroup/<path>/memory.{current,max,stat} (v1: /sys/fs/cgroup/memory/<path>/memory.{usage_in_bytes,limit_in_bytes,stat,kmem.usage_in_bytes})",
    ..SEE_V1
};

const RAISE: Remedy = Remedy {
    title: "raise the limit of the container, pod or slice that is full, or make it use less",
    command: "kubectl set resources … --limits=memory=…; docker update --memory … --memory-swap …",
    risk: "what it gets is gone for others on the node",
    durable: true,
};

const OF_ALL_PODS: Remedy = Remedy {
    title: "this is the limit of all pods together (the node's allocatable): move pods to other nodes, or \
            lower what their requests and limits add up to; a higher limit for one pod makes it worse",
    command: "kubectl describe node <node> | grep -A12 'Allocated resources'; kubelet: --system-reserved=memory=… --kube-reserved=memory=…, where less reserved leaves more for pods",
    risk: "less reserved for the system lets the node itself run out",
    durable: true,
};

const OF_POD: Remedy = Remedy {
    title: "raise the container's limit in the pod's template, or make it use less; a pod's own limit is \
            the sum of its containers'",
    command: "kubectl set resources deployment/<name> -c <container> --limits=memory=…",
    ..RAISE
};

const OF_DOCKER: Remedy = Remedy {
    title: "raise the container's limit, or make it use less",
    command: "docker update --memory … --memory-swap … <container>; in a Compose file: mem_limit",
    ..RAISE
};

const OF_PODMAN: Remedy = Remedy {
    title: "raise the container's limit, or make it use less",
    command: "podman update --memory … --memory-swap … <container>",
    ..RAISE
};

const OF_LXC: Remedy = Remedy {
    title: "raise the container's limit, or make it use less",
    command: "incus config set <container> limits.memory=… (LXD: lxc config set; Proxmox: pct set <id> --memory …)",
    ..RAISE
};

const OF_ECS: Remedy = Remedy {
    title: "raise the limit in the task definition, or make the container use less",
    command: "aws ecs register-task-definition: memory of the task and of its containers; then update the service",
    ..RAISE
};

const OF_NOMAD: Remedy = Remedy {
    title: "raise the limit in the job's resources, or make the task use less",
    command: "nomad job run: resources { memory = … memory_max = … }",
    ..RAISE
};

const OF_USER: Remedy = Remedy {
    title: "raise the limit of the user's slice, or make what runs in it use less",
    command: "systemctl set-property user-<uid>.slice MemoryMax=…",
    ..RAISE
};

const OF_USER_V1: Remedy =
    Remedy { command: "systemctl set-property user-<uid>.slice MemoryLimit=…", ..OF_USER };

const OF_UNIT: Remedy = Remedy {
    title: "raise the limit of the unit that is full, or make it use less",
    command: "systemctl set-property <unit> MemoryMax=…",
    ..RAISE
};

const OF_UNIT_V1: Remedy =
    Remedy { command: "systemctl set-property <unit> MemoryLimit=…", ..OF_UNIT };

const KERNEL_MEMORY: Remedy = Remedy {
    title: "raise or drop the limit of kernel memory, which is full: few programs set it on purpose",
    command: "docker inspect -f '{{.HostConfig.KernelMemory}}' <container>; echo … > /sys/fs/cgroup/memory/<path>/memory.kmem.limit_in_bytes",
    risk: "what the kernel allocates for it is bounded by the other limit only",
    durable: true,
};

/// How often a charge that may wait is tried again before it is given up (`MAX_RECLAIM_RETRIES`, mm/internal.h,
/// 5.10-7.2).
const RETRIES: u32 = 16;

/// Subsystems' initialisations that return another error for ENOMEM: lib/kobject_uevent.c, 5.10-7.2.
const TURN_ENOMEM: &[(&str, i32)] = &[("uevent_net_init", libc::ENODEV)];

const NO_HELP: &[&str] =
    &["compaction or drop_caches: this is a limit, however much memory the node has free"];

/// The verdict, if one of the rules holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    charged(evidence)
        .or_else(|| killed(evidence))
        .or_else(|| refused(evidence))
        .or_else(|| faulted(evidence))
        .or_else(|| said(evidence))
}

/// A runtime says that the limit is too low for the start itself.
fn said(evidence: &Evidence) -> Option<Verdict> {
    let said = evidence.messages.iter().find_map(|message| match message.error {
        StartError::MemoryLimit(words) => Some(words),
        _ => None,
    })?;
    if evidence.decisive().is_some() {
        return None;
    }
    let because = vec![format!("the container's own message says it: {said}")];
    Some(verdict(evidence, None, because, evidence.gaps()))
}

/// What helps a cgroup with this path: whose limit it is decides who can raise it.
fn remedies(evidence: &Evidence, path: Option<&str>) -> Vec<Remedy> {
    let v1 = evidence.cgroup_v1();
    let (see, unit, user) = match v1 {
        Some(true) => (SEE_V1, OF_UNIT_V1, OF_USER_V1),
        Some(false) => (SEE_V2, OF_UNIT, OF_USER),
        None => (SEE, OF_UNIT, OF_USER),
    };
    let raise = match Owner::of(path) {
        Owner::AllPods => OF_ALL_PODS,
        Owner::Pod => OF_POD,
        Owner::Docker => OF_DOCKER,
        Owner::Podman => OF_PODMAN,
        Owner::Lxc => OF_LXC,
        Owner::Ecs => OF_ECS,
        Owner::Nomad => OF_NOMAD,
        Owner::User => user,
        Owner::Unit => unit,
        Owner::Other => RAISE,
    };
    let full = |memcg: &MemcgState| Some(memcg.kmem_usage? >= memcg.kmem_limit?);
    let kernel_memory = evidence.memcg.and_then(full) == Some(true)
        || evidence.charges.iter().any(|charge| charge.limit_kind == Some(LimitKind::Kmem));
    if kernel_memory { vec![see, KERNEL_MEMORY, raise] } else { vec![see, raise] }
}

fn charged(evidence: &Evidence) -> Option<Verdict> {
    let charge = evidence.charges.last()?;
    let mut doubts = evidence.gaps();
    doubts.extend(doubts_about_errno(evidence)?);
    // For v1's limit on kernel memory no room is made; and steps of which only failures are seen have the
    // charges that a cgroup still had no room for.
    let is_retried = charge.limit_kind != Some(LimitKind::Kmem) && evidence.failed_step.is_none();
    if is_retried && charge.refusals.is_some_and(|refusals| refusals < RETRIES) {
        doubts.push(
            "whether the last charge that was refused was taken in the end: the kernel tries again \
             while it makes room, and what a CPU holds in advance is not seen"
                .to_owned(),
        );
    }
    if evidence.decisive().is_some() {
        doubts.push("which of the two failed it: an allocation failed as well".to_owned());
    }
    Some(verdict(evidence, charge.memcg.as_deref(), vec![describe(charge)], doubts))
}

/// A refused charge returns ENOMEM, which few callers turn into another error. `None` if the error is none that
/// comes of it; else the doubts that it leaves.
fn doubts_about_errno(evidence: &Evidence) -> Option<Vec<String>> {
    let number = evidence.errno?;
    // What makes a socket returns ENOBUFS (net/ipv4/af_inet.c, 5.10-7.2).
    if matches!(number, libc::ENOMEM | libc::ENOBUFS) {
        return Some(Vec::new());
    }
    let init = evidence.pernet_init.filter(|init| init.errno == Some(number))?;
    let function = init.init.as_ref().and_then(|frame| frame.function.as_deref());
    if TURN_ENOMEM.contains(&(function.unwrap_or_default(), number)) {
        return Some(Vec::new());
    }
    let error = errno::name(number);
    Some(vec![format!("why it returned {error}: a refused charge comes back as ENOMEM")])
}

/// A creation that waited for room in a memory cgroup and got it.
pub(super) fn near_miss(evidence: &Evidence, reclaims: &MemcgReclaims) -> Verdict {
    let memcg = reclaims.memcg.as_deref();
    let because = vec![format!(
        "a near miss: it waited {} while {}, which was at its limit, was reclaimed {} times, and then got \
         what it asked for",
        units::duration(reclaims.stall_ns),
        memcg.unwrap_or("a memory cgroup"),
        reclaims.count
    )];
    let mut doubts = evidence.gaps();
    if memcg.is_none() {
        doubts.push("which cgroup was at its limit".to_owned());
    }
    verdict(evidence, memcg, because, doubts)
}

/// A charge that failed, in a sentence.
fn describe(charge: &ChargeFailed) -> String {
    let amount = charge.bytes.map_or_else(|| "kernel memory".to_owned(), units::bytes);
    let memcg = charge.memcg.as_deref().unwrap_or("a memory cgroup");
    let full = match (charge.usage, charge.limit) {
        (Some(usage), Some(limit)) => {
            format!(", which used {} of {}", units::bytes(usage), units::bytes(limit))
        }
        _ => String::new(),
    };
    format!("a charge of {amount} to {memcg}{full} failed with {}", errno::name(charge.errno))
}

fn killed(evidence: &Evidence) -> Option<Verdict> {
    let oom = evidence.oom()?;
    let OomScope::Memcg(path) = &oom.scope else { return None };
    let whose = path.as_deref().unwrap_or("a memory cgroup that is not named");
    let mut because = vec![format!("the OOM killer was called because {whose} was at its limit")];
    because.extend(evidence.memcg.and_then(usage));
    let mut doubts = evidence.gaps();
    let used = evidence.memcg.and_then(|memcg| Some((memcg.usage?, memcg.limit?)));
    if let Some((usage, limit)) = used
        && usage < limit / 2
    {
        doubts.push(format!(
            "why the limit of {} was hit at a usage of {}: it may have been read later, or be \
             that of another moment",
            units::bytes(limit),
            units::bytes(usage)
        ));
    }
    Some(verdict(evidence, path.as_deref(), because, doubts))
}

/// What the cgroup used, in a sentence.
pub(super) fn usage(memcg: &MemcgState) -> Option<String> {
    let usage = memcg.usage?;
    let limit = memcg.limit.map_or_else(|| "no limit".to_owned(), units::bytes);
    let kernel = memcg
        .kmem_usage
        .map(|kmem| format!(", {} of that by the kernel for it", units::bytes(kmem)));
    Some(format!("it used {} of {limit}{}", units::bytes(usage), kernel.unwrap_or_default()))
}

/// Slab caches of a memory cgroup that got no page.
fn refused(evidence: &Evidence) -> Option<Verdict> {
    let slab = evidence.slab_failures.iter().find(|slab| slab.memcg().is_some())?;
    if evidence.decisive().is_some() {
        return None;
    }
    let (cache, memcg) = (slab.cache.as_deref()?, slab.memcg()?);
    let times: u64 = evidence.slab_failures.iter().map(|slab| slab.times).sum();
    let mut because = vec![
        format!(
            "slab cache {cache} got no page, though order {} would do, and no page allocation failed: the charge to its memory cgroup did",
            slab.min_order.unwrap_or(0)
        ),
        format!(
            "the cache belongs to the cgroup {memcg}; failures of its caches that were logged: {times}"
        ),
    ];
    if evidence.oom().is_some_and(|oom| oom.page_fault) {
        because.push("the OOM kill that followed came of a page fault that got no memory (pagefault_out_of_memory), which a full cgroup causes as well as a full node".to_owned());
    }
    if let Some(free) = evidence.memory.and_then(|memory| memory.free) {
        because.push(format!("the node had {} free", units::bytes(free)));
    }
    let mut doubts = evidence.gaps();
    doubts.push("the cgroup's usage and limits, of kernel memory too; if nothing alive holds that memory, the kernel leaks it (kmem-leak), as 3.10 is known to".to_owned());
    Some(verdict(evidence, None, because, doubts))
}

/// A page fault that got no memory though there was plenty.
fn faulted(evidence: &Evidence) -> Option<Verdict> {
    let oom = evidence.oom().filter(|oom| oom.page_fault && oom.scope == OomScope::Node)?;
    let failure = evidence.asked_for_kill()?.failure.as_ref()?;
    failure.zones.iter().find(|zone| zone.has_plenty())?;
    let because = vec![
        "the OOM killer was called for a page fault that got no memory (pagefault_out_of_memory)"
            .to_owned(),
        "the node had plenty: something else refused it, most likely the charge to a memory cgroup"
            .to_owned(),
    ];
    let mut doubts = evidence.gaps();
    doubts.push("what refused it: the mask and the order that are printed are not its".to_owned());
    let order = oom.order.unwrap_or(0);
    (order == 0).then(|| Verdict {
        confidence: Confidence::Low,
        ..verdict(evidence, None, because, doubts)
    })
}

fn verdict(
    evidence: &Evidence,
    path: Option<&str>,
    because: Vec<String>,
    doubts: Vec<String>,
) -> Verdict {
    Verdict {
        cause: Cause::MemcgLimit,
        confidence: Confidence::without(&doubts),
        because,
        not_seen: doubts,
        remedies: remedies(evidence, path),
        no_help: NO_HELP.to_vec(),
    }
}
