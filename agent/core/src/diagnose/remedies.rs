//! Which remedies fit the kernel: a setting that it doesn't have is not offered, and what helps now
//! comes before what keeps the failure from coming back.
use crate::{
    diagnose::Evidence,
    model::{
        event::LimitKind, kernel_version::KernelVersion, program_message::StartError,
        verdict::Remedy,
    },
};

/// A setting that commands name, and the first kernel that has it.
struct Setting {
    name: &'static str,
    since: (u32, u32),
    /// The first build of Enterprise Linux 7's 3.10 that has it too.
    el7_build: Option<u32>,
}

const fn setting(name: &'static str, since: (u32, u32), el7_build: Option<u32>) -> Setting {
    Setting { name, since, el7_build }
}

/// Settings that not all kernels from 2.6.32 on have.
const SETTINGS: &[Setting] = &[
    setting("compact_memory", (2, 6), None),
    // mm/compaction.c `sysctl_compaction_proactiveness`.
    setting("vm.compaction_proactiveness", (5, 9), None),
    // mm/page_alloc.c `defrag_mode`.
    setting("vm.defrag_mode", (6, 15), None),
    // mm/page_alloc.c `watermark_scale_factor`.
    setting("vm.watermark_scale_factor", (4, 6), None),
    // mm/memcontrol.c `cgroup_memory`; Enterprise Linux 7.8 has it.
    setting("cgroup.memory=nokmem", (4, 5), Some(1075)),
    // kernel/ucount.c; Enterprise Linux 7.4 has it.
    setting("user.max_", (4, 9), Some(693)),
    // fs/namespace.c `sysctl_mount_max`; Enterprise Linux 7.4 has it.
    setting("fs.mount-max", (4, 9), Some(693)),
    // kernel/cgroup/pids.c; Enterprise Linux 7.2 has it.
    setting("pids.max", (4, 3), Some(327)),
    setting("pids.current", (4, 3), Some(327)),
    setting("--pids-limit", (4, 3), Some(327)),
    setting("TasksMax", (4, 3), Some(327)),
    setting("pod-max-pids", (4, 3), Some(327)),
    // Files of cgroup v2.
    setting("memory.current", (4, 5), None),
    setting("memory.max", (4, 5), None),
    setting("memory.events", (4, 5), None),
    setting("MemoryMax", (4, 5), None),
    setting("cgroup.events", (4, 5), None),
    setting("cgroup.controllers", (4, 5), None),
    setting("nr_dying_descendants", (4, 14), None),
    setting("cgroup.max.", (4, 14), None),
    setting("cpuset.mems.effective", (5, 0), None),
    // kernel/sched/psi.c.
    setting("/proc/pressure", (4, 20), None),
];

/// How commands begin that first bring a kernel that has what they name.
const UPDATE_FIRST: &str = "yum update kernel";

/// Whether this kernel has all settings that a command names.
pub(super) fn has_all(evidence: &Evidence, command: &str) -> bool {
    let settings = if command.starts_with(UPDATE_FIRST) { &[] } else { SETTINGS };
    settings
        .iter()
        .filter(|setting| command.contains(setting.name))
        .all(|setting| evidence.may_have(setting.since, setting.el7_build))
}

/// Those that fit, in the order in which they are tried.
pub(super) fn fitting(evidence: &Evidence, mut remedies: Vec<Remedy>) -> Vec<Remedy> {
    remedies.retain(|remedy| has_all(evidence, remedy.command));
    remedies.sort_by_key(|remedy| remedy.durable);
    remedies
}

/// The first kernel whose logs print gfp masks with names.
const NAMES_OF_MASKS: (u32, u32) = (4, 6);

impl Evidence<'_> {
    /// Whether the kernel can have what came with `since`, or with this build of Enterprise Linux 7.
    /// An unknown kernel can, unless it prints gfp masks as old ones do.
    pub(super) fn may_have(&self, since: (u32, u32), el7_build: Option<u32>) -> bool {
        let of_el7 = |kernel: &KernelVersion| {
            kernel.is_enterprise_linux(7)
                && kernel.series() == (3, 10)
                && el7_build.zip(kernel.build()).is_some_and(|(first, build)| build >= first)
        };
        match self.kernel {
            Some(kernel) => kernel.is_at_least(since.0, since.1) || of_el7(kernel),
            None => since < NAMES_OF_MASKS || !self.prints_bare_masks() || el7_build.is_some(),
        }
    }

    /// Whether memory is controlled by cgroup v1; `None` if that is not known.
    pub(super) fn cgroup_v1(&self) -> Option<bool> {
        if !self.may_have((4, 5), None) {
            return Some(true);
        }
        let of_memcg = || {
            let memcg = self.memcg?;
            let v1 = memcg.kmem_usage.is_some() || memcg.kmem_limit.is_some();
            if v1 { Some(true) } else { memcg.v2.then_some(false) }
        };
        let of_charges = || {
            let v1 = |kind| matches!(kind, Some(LimitKind::Kmem | LimitKind::MemorySwap));
            self.charges.iter().any(|charge| v1(charge.limit_kind)).then_some(true)
        };
        let of_paths = || {
            self.messages.iter().find_map(|message| match &message.error {
                StartError::CgroupMkdir(path) if path.starts_with("/sys/fs/cgroup/") => {
                    Some(hierarchy(path).is_some())
                }
                _ => None,
            })
        };
        of_memcg().or_else(of_charges).or_else(of_paths)
    }

    /// Whether its log has masks without names.
    fn prints_bare_masks(&self) -> bool {
        !self.live && self.allocations.iter().any(|allocation| allocation.gfp.flags.is_none())
    }
}

/// Controllers with hierarchies of their own in cgroup v1, and systemd's hierarchies there.
const HIERARCHIES: &[&str] = &[
    "memory",
    "cpuset",
    "cpu",
    "cpuacct",
    "cpu,cpuacct",
    "blkio",
    "devices",
    "freezer",
    "net_cls",
    "net_prio",
    "net_cls,net_prio",
    "perf_event",
    "hugetlb",
    "pids",
    "rdma",
    "misc",
    "systemd",
    "name=systemd",
    "schedtune",
    "cpuacct,cpu",
    "net_prio,net_cls",
    "unified",
];

/// The hierarchy of cgroup v1 that a directory lies in.
pub(super) fn hierarchy(path: &str) -> Option<&str> {
    let first = path.strip_prefix("/sys/fs/cgroup/")?.split('/').find(|part| !part.is_empty())?;
    HIERARCHIES.contains(&first).then_some(first)
}

#[cfg(test)]
mod tests;
