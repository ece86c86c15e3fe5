//! A limit on processes.
//!
//! Rule: the kernel refused a fork in a cgroup (kernel/cgroup/pids.c `pids_can_fork`), as was seen or as
//! it says: confidence high, medium if the cgroup was not seen. Or
//! a program says that making a process failed with EAGAIN, which fork returns for limits alone
//! (pids.max, RLIMIT_NPROC, kernel.pid_max, kernel.threads-max): medium, as it doesn't say which.
use crate::{
    diagnose::Evidence,
    model::{
        event::ForkRefused,
        program_message::StartError,
        verdict::{Cause, Confidence, Remedy, Verdict},
    },
};

const REMEDIES: &[Remedy] = &[
    Remedy {
        title: "see what holds the processes, and end what has run wild",
        command: "cat /sys/fs/cgroup/<path>/pids.{current,max} (v1: /sys/fs/cgroup/pids/<path>/…); ps -eLo pid,nlwp,cgroup:60,comm --sort=-nlwp | head",
        risk: "none to look",
        durable: false,
    },
    Remedy {
        title: "raise the limit",
        command: "docker update --pids-limit …; kubelet: --pod-max-pids=…; systemctl set-property <unit> TasksMax=…",
        risk: "a fork bomb gets further",
        durable: true,
    },
];

/// The verdict, if the rule holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    if let Some(refused) = evidence.fork_refused {
        return Some(of_kernel(evidence, refused));
    }
    evidence.messages.iter().find(|message| message.error == StartError::Process)?;
    let mut not_seen = evidence.gaps();
    not_seen.push("which limit on processes it was".to_owned());
    let because = "making a process failed with EAGAIN, which the kernel returns for limits on processes and not for memory".to_owned();
    Some(verdict(because, not_seen))
}

/// The kernel refused a fork.
fn of_kernel(evidence: &Evidence, refused: &ForkRefused) -> Verdict {
    let mut not_seen = evidence.gaps();
    let whose = refused.cgroup.as_deref().unwrap_or("a cgroup");
    let mut full = String::new();
    if let (Some(processes), Some(limit)) = (refused.processes, refused.limit) {
        full = format!(": {processes} processes and threads, and {limit} allowed");
    } else if refused.cgroup.is_none() {
        not_seen.push("which cgroup was full".to_owned());
    }
    verdict(format!("a fork was refused because {whose} was at its pids.max{full}"), not_seen)
}

fn verdict(because: String, not_seen: Vec<String>) -> Verdict {
    Verdict {
        cause: Cause::PidsLimit,
        confidence: Confidence::without(&not_seen),
        because: vec![because],
        not_seen,
        remedies: REMEDIES.to_vec(),
        no_help: vec!["compaction, or more memory: this is a limit"],
    }
}
