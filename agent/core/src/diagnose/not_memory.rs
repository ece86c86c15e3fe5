//! Not memory: vmalloc was asked for 0 bytes, a kill was requested by hand, a program says why the
//! container didn't start and it is something else, or the error is one that lack of memory doesn't
//! make.
//!
//! Rules: the OOM killer was called with order −1, which sysrq does (drivers/tty/sysrq.c
//! `moom_callback`). Or a program names an error that no lack of memory makes, and the kernel reports
//! no failure that joins it. ENOMEM and EAGAIN are never taken for it, nor an end without a reason.
//!
//! Watched live, where no subsystem's initialisation returned the error:
//! - making namespaces returned EINTR: a signal that ends the process came while it waited
//!   (net/core/net_namespace.c `copy_net_ns`), and it was not the OOM killer's: medium, since killers in user
//!   space are not seen;
//! - it returned EPERM or EINVAL, which checks do before anything is made: medium, by errno alone;
//! - making a cgroup returned EAGAIN (cgroup.max.descendants or cgroup.max.depth), ENODEV (its parent was
//!   being removed) or EINVAL (its name), and the memory controller refused nothing
//!   (kernel/cgroup/cgroup.c `cgroup_mkdir`).
use crate::{
    diagnose::{Evidence, other_limits, vmalloc_exhaustion},
    model::{
        errno,
        program_message::StartError,
        verdict::{Cause, Confidence, Remedy, Verdict},
    },
    units,
};

const REMEDIES: &[Remedy] = &[Remedy {
    title: "look into what the message names",
    command: "journalctl -b -u docker -u containerd -u kubelet; the runtime's own log",
    risk: "none",
    durable: false,
}];

/// The verdict on a kill that was requested by hand.
pub(super) fn by_hand(evidence: &Evidence) -> Option<Verdict> {
    let oom = evidence.oom()?;
    let asked = oom.order.is_some_and(|order| order < 0);
    asked.then(|| Verdict {
        cause: Cause::NotMemory,
        confidence: Confidence::High,
        because: vec![
            "the OOM killer was called with order -1, which is a request by hand (sysrq-f)"
                .to_owned(),
        ],
        not_seen: Vec::new(),
        remedies: Vec::new(),
        no_help: vec!["anything done about memory: none was lacking"],
    })
}

/// The verdict, if one of the other rules holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    from_events(evidence)
        .or_else(|| from_log(evidence))
        .or_else(|| cpuset(evidence))
        .or_else(|| vmalloc_of_nothing(evidence))
}

/// A cpuset or memory policy that allows only nodes on which no zone may be used.
fn cpuset(evidence: &Evidence) -> Option<Verdict> {
    evidence.oom().filter(|oom| oom.bounded)?;
    let excluded = evidence.excluded.filter(|excluded| excluded.none_in_reach)?;
    Some(Verdict {
        cause: Cause::NotMemory,
        confidence: Confidence::Medium,
        because: vec![
            format!(
                "the task's cpuset or memory policy allows only node {}, and no zone of that is one \
                 that this allocation may use",
                excluded.nodes
            ),
            format!(
                "{} had {} free, which it may not use",
                excluded.zone,
                units::bytes(excluded.free)
            ),
        ],
        not_seen: vec!["whether the log shows all nodes".to_owned()],
        remedies: vec![CPUSET],
        no_help: vec!["ending processes: what they free lies in zones that it may not use"],
    })
}

/// vmalloc refuses a request for 0 bytes (mm/vmalloc.c `__vmalloc_node_range`), whatever is free.
fn vmalloc_of_nothing(evidence: &Evidence) -> Option<Verdict> {
    evidence.vmalloc.iter().find(|failed| vmalloc_exhaustion::of_nothing(failed))?;
    let not_seen = evidence.gaps();
    Some(Verdict {
        cause: Cause::NotMemory,
        confidence: Confidence::without(&not_seen),
        because: vec![
            "vmalloc was asked for 0 bytes, which it refuses whatever memory is free: an error of its \
             caller"
                .to_owned(),
        ],
        not_seen,
        remedies: vec![CALLER],
        no_help: vec!["compaction, or more memory"],
    })
}

const CALLER: Remedy = Remedy {
    title: "find the caller in the call trace below the message, and report it to who maintains it",
    command: "dmesg | grep -A40 'vmalloc.*allocation failure'; modinfo <module>",
    risk: "none",
    durable: true,
};

const CPUSET: Remedy = Remedy {
    title: "allow the container a node whose memory the kernel may use for all purposes",
    command: "docker update --cpuset-mems=… ; kubelet: Topology Manager and Memory Manager policies; cat /sys/fs/cgroup/<path>/cpuset.mems.effective; cat /proc/zoneinfo | grep zone",
    risk: "memory accesses across nodes are slower",
    durable: true,
};

/// An error that was seen.
fn from_events(evidence: &Evidence) -> Option<Verdict> {
    let number = evidence.errno.filter(|_| evidence.live)?;
    if evidence.decisive().is_some() || evidence.oom().is_some() || evidence.pernet_init.is_some() {
        return None;
    }
    let mut not_seen = evidence.gaps();
    let because = if let Some(setup) = evidence.cgroup_setup {
        if setup.memory_errno.is_some() {
            return None;
        }
        match number {
            libc::EAGAIN => {
                "a cgroup above it has as many below it as its cgroup.max.descendants allows, or \
                 lies as deep as cgroup.max.depth does"
            }
            libc::ENODEV => "the cgroup that it was to be made in was being removed",
            libc::EINVAL => "the kernel does not take its name",
            _ => return None,
        }
    } else {
        match number {
            libc::EINTR => {
                if evidence.oom_victim.is_none() {
                    not_seen.push("whether it is a victim of the OOM killer".to_owned());
                }
                not_seen.push(
                    "who sent the signal: systemd-oomd, earlyoom and a kubelet's eviction kill for \
                     lack of memory too, and the kernel knows nothing of that"
                        .to_owned(),
                );
                "a signal that ended the process came while it waited for its turn to set up the \
                 network namespace, and it is no victim of the OOM killer that was seen"
            }
            libc::EPERM | libc::EINVAL => {
                not_seen.push("which check refused it: this goes by the error alone".to_owned());
                "the kernel refused the request itself, before anything was made"
            }
            _ => return None,
        }
    };
    let because =
        vec![format!("it failed with {}, not for memory", errno::name(number)), because.to_owned()];
    Some(Verdict {
        cause: Cause::NotMemory,
        confidence: Confidence::without(&not_seen),
        because,
        not_seen,
        remedies: Vec::new(),
        no_help: vec!["compaction, or more memory"],
    })
}

/// A container whose program names another reason.
fn from_log(evidence: &Evidence) -> Option<Verdict> {
    let (failure, reason) = evidence.messages.iter().find_map(|failure| {
        let reason = match failure.error {
            StartError::Other(reason) => reason,
            StartError::OtherLimit(limit) => limit.reason(),
            _ => return None,
        };
        Some((failure, reason))
    })?;
    let remedies = match failure.error {
        StartError::OtherLimit(limit) => other_limits::remedies(limit),
        _ => REMEDIES.to_vec(),
    };
    if evidence.decisive().is_some() || evidence.oom().is_some() {
        return None;
    }
    let errno = failure.errno.map(|number| format!(" ({})", errno::name(number)));
    let not_seen = evidence.gaps();
    Some(Verdict {
        cause: Cause::NotMemory,
        confidence: Confidence::without(&not_seen),
        because: vec![
            format!(
                "the container's own message names another reason: {reason}{}",
                errno.unwrap_or_default()
            ),
            "no failure of memory was logged with it".to_owned(),
        ],
        not_seen,
        remedies,
        no_help: vec!["compaction, or more memory"],
    })
}
