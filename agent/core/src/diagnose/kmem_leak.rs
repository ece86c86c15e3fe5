//! A leak of kernel memory: a memory cgroup was at its limit, nearly all of it was the kernel's own
//! memory for it, and its tasks held next to nothing.
//!
//! Rule: the OOM killer was called for a memory cgroup of which kernel memory made up nine tenths
//! and more, what tasks and page cache held less than a tenth, on a kernel of the 3.10 series, which
//! is known not to give back kernel memory of cgroups that are gone. Confidence is medium: a log
//! shows who holds memory, not that no process holds the rest.
use crate::{
    diagnose::{Evidence, kernel_accounting, memcg_limit},
    model::{
        event::OomScope,
        verdict::{Cause, Confidence, Remedy, Verdict},
    },
};

const RECREATE: Remedy = Remedy {
    title: "recreate the pod: a new cgroup begins at 0",
    command: "kubectl delete pod <pod>",
    risk: "the pod restarts; what leaked stays until the node reboots",
    durable: false,
};

/// The verdict, if the rule holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    let oom = evidence.oom().filter(|oom| matches!(oom.scope, OomScope::Memcg(_)))?;
    let memcg = evidence.memcg?;
    let (usage, kmem) = (memcg.usage?, memcg.kmem_usage?);
    let leaks = evidence.kernel?.series() == (3, 10);
    let nearly_all = kmem >= usage / 10 * 9 && usage > 0;
    let little_held = memcg.held.is_none_or(|held| held < usage / 10);
    if !(leaks && nearly_all && little_held) {
        return None;
    }
    let OomScope::Memcg(path) = &oom.scope else { return None };
    let whose = path.as_deref().or(memcg.path.as_deref()).unwrap_or("a memory cgroup");
    let mut because = vec![format!("the OOM killer was called because {whose} was at its limit")];
    because.extend(memcg_limit::usage(memcg));
    because.push("its tasks and page cache held next to nothing of it, and kernels of the 3.10 series don't give back kernel memory of cgroups that are gone".to_owned());
    let mut not_seen = evidence.gaps();
    not_seen.push(
        "which kernel objects hold it: /sys/fs/cgroup/memory/<path>/memory.kmem.slabinfo lists them"
            .to_owned(),
    );
    if let Some(slab) = evidence.slab_beside() {
        not_seen.push(format!("what the node's slab held at that moment; {slab}"));
    }
    Some(Verdict {
        cause: Cause::KmemLeak,
        confidence: Confidence::Medium,
        because,
        not_seen,
        remedies: vec![RECREATE, kernel_accounting::turn_off(evidence)],
        no_help: vec![
            "compaction or drop_caches: this is a limit, however much memory the node has free",
            "a higher limit, for long: the leak fills it too",
        ],
    })
}
