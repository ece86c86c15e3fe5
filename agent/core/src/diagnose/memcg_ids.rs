//! Memory cgroup ids: there are 65,535, and without one no memory cgroup can be made. Up to 4.7 one is
//! held until the last page charged to its cgroup is gone, from 4.8 on until the cgroup is removed and
//! nothing of it is left in swap (mm/memcontrol.c `mem_cgroup_id_put`).
//!
//! Rule, watched live: the memory controller's part of making a cgroup (`mem_cgroup_css_alloc`) returned
//! ENOSPC or EBUSY, which of its steps only the one for the id does: confidence high.
//!
//! Rule, in a log: `mkdir` of a memory cgroup failed with the errno that the kernel gives then (mm/memcontrol.c
//! `mem_cgroup_alloc`): before 5.8 ENOMEM, or ENOSPC where another kind of id (3.15 to 4.6, ids of kernel
//! memory accounting) is used up first; ENOSPC from 5.8 on; EBUSY from 6.12 on; and no
//! allocation is known to have failed. Confidence is medium, as errno alone says little: only the
//! count of cgroups decides, and low if the kernel is not known and the errno is EBUSY.
use crate::{
    diagnose::{Evidence, kernel_accounting, remedies::hierarchy},
    model::{
        errno,
        kernel_version::KernelVersion,
        program_message::StartError,
        verdict::{Cause, Confidence, Remedy, Verdict},
    },
};

const COUNT: Remedy = Remedy {
    title: "count the memory cgroups: near 65,535 confirms it; many more than directories are dead ones, which before 4.8 hold their ids",
    command: "grep memory /proc/cgroups; find /sys/fs/cgroup -type d 2>/dev/null | wc -l; ls /sys/kernel/slab | wc -l",
    risk: "takes a while where there are many",
    durable: false,
};

/// cgroup v1 has a hierarchy for memory.
const COUNT_V1: Remedy = Remedy {
    command: "grep memory /proc/cgroups; find /sys/fs/cgroup/memory -type d | wc -l; ls /sys/kernel/slab | wc -l",
    ..COUNT
};

/// cgroup v2 counts dead ones itself, from 4.14 on.
const COUNT_V2: Remedy = Remedy {
    title: "count the memory cgroups: near 65,535 confirms it",
    command: "find /sys/fs/cgroup -type d | wc -l; grep nr_ /sys/fs/cgroup/cgroup.stat",
    ..COUNT
};

const REMOVE_V1: Remedy = Remedy {
    title: "remove cgroups that are empty and unused, and find out what leaves them behind",
    command: "find /sys/fs/cgroup/memory -mindepth 1 -type d | while read -r d; do [ -z \"$(cat \"$d/cgroup.procs\")\" ] && echo \"$d\"; done | head",
    risk: "none to look; an empty cgroup may belong to a service that is about to use it",
    durable: true,
};

const REMOVE_V2: Remedy = Remedy {
    command: "find /sys/fs/cgroup -name cgroup.events -exec grep -l 'populated 0' {} + | xargs -n1 dirname | head",
    ..REMOVE_V1
};

const DROP_CACHES: Remedy = Remedy {
    title: "before 4.8, have the page cache of dead cgroups dropped, which gives their ids back; later kernels give them back by themselves, unless memory of theirs lies in swap",
    command: "echo 3 > /proc/sys/vm/drop_caches",
    risk: "stalls the node and empties its caches; on 3.10 ids that leaked with kernel memory stay until a reboot",
    durable: false,
};

/// What helps on this kernel and with this version of cgroups.
fn remedies(evidence: &Evidence) -> Vec<Remedy> {
    let v1 = evidence.cgroup_v1();
    let mut remedies = match v1 {
        Some(true) => vec![COUNT_V1],
        Some(false) if evidence.may_have((4, 14), None) => vec![COUNT_V2],
        _ => vec![COUNT],
    };
    // Ids that dead cgroups hold, and accounting that leaks: of old kernels, where v2 has no use.
    let holds_ids = evidence.kernel.is_none_or(|kernel| !kernel.is_at_least(4, 8));
    if holds_ids && v1 != Some(false) {
        remedies.push(DROP_CACHES);
    }
    remedies.push(if v1 == Some(false) { REMOVE_V2 } else { REMOVE_V1 });
    if holds_ids && v1 != Some(false) {
        remedies.push(kernel_accounting::turn_off(evidence));
    }
    remedies
}

/// What mkdir can return on this kernel when ids are used up.
fn expected_errnos(kernel: &KernelVersion) -> &'static [i32] {
    match kernel.series() {
        (..=4, _) | (5, ..=7) => &[libc::ENOMEM, libc::ENOSPC],
        (5, _) | (6, ..=6) => &[libc::ENOSPC],
        (6, ..=11) => &[libc::ENOSPC, libc::EBUSY],
        (6.., _) => &[libc::EBUSY],
    }
}

/// The verdict, if one of the rules holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    from_events(evidence).or_else(|| from_log(evidence))
}

fn from_events(evidence: &Evidence) -> Option<Verdict> {
    let setup = evidence.cgroup_setup?;
    let number = setup.memory_errno.filter(|n| [libc::ENOSPC, libc::EBUSY].contains(n))?;
    let because = vec![format!(
        "the memory controller refused the cgroup {} with {}, as it does when no id is left",
        setup.path().display(),
        errno::name(number)
    )];
    let not_seen = evidence.gaps();
    Some(verdict(evidence, Confidence::without(&not_seen), because, not_seen))
}

fn from_log(evidence: &Evidence) -> Option<Verdict> {
    let (path, number) = evidence.messages.iter().find_map(|failure| match &failure.error {
        StartError::CgroupMkdir(path) => Some((path, failure.errno?)),
        _ => None,
    })?;
    // A directory of another controller's hierarchy has no memory cgroup. systemd names the cgroup
    // itself, without the hierarchy.
    let of_other = hierarchy(path).is_some_and(|name| name != "memory");
    if of_other || evidence.decisive().is_some() || evidence.percpu.is_some() {
        return None;
    }
    let expected = evidence.kernel.map(expected_errnos);
    if expected.is_some_and(|expected| !expected.contains(&number)) {
        return None;
    }
    if expected.is_none() && ![libc::ENOMEM, libc::ENOSPC, libc::EBUSY].contains(&number) {
        return None;
    }
    let mut because = vec![format!("mkdir {path} failed with {}", errno::name(number))];
    because.push(match expected {
        Some(_) => "this kernel answers so when all memory cgroup ids are used up".to_owned(),
        None => "kernels answer so when all memory cgroup ids are used up: ENOMEM or ENOSPC before 5.8, ENOSPC from 5.8 on, EBUSY from 6.12 on".to_owned(),
    });
    because.push("no allocation was logged to have failed".to_owned());
    let mut not_seen = evidence.gaps();
    let count = "how many memory cgroups there were";
    not_seen.push(match evidence.memory_cgroups_beside() {
        Some(later) => format!(
            "{count} at that moment; {later}: near 65,535 speaks for it, few speaks against it"
        ),
        None => format!(
            "{count}: `grep memory /proc/cgroups` near 65,535 would confirm it, few would refute it"
        ),
    });
    let low = expected.is_none() && number == libc::EBUSY;
    let confidence = if low { Confidence::Low } else { Confidence::Medium };
    Some(verdict(evidence, confidence, because, not_seen))
}

fn verdict(
    evidence: &Evidence,
    confidence: Confidence,
    because: Vec<String>,
    not_seen: Vec<String>,
) -> Verdict {
    Verdict {
        cause: Cause::MemcgIds,
        confidence,
        because,
        not_seen,
        remedies: remedies(evidence),
        no_help: vec!["compaction, or more memory: ids are numbers, not pages"],
    }
}
