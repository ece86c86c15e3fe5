//! A limit on processes.
//!
//! Rule: the kernel refused a fork in a cgroup (kernel/cgroup/pids.c `pids_can_fork`), as was seen or as
//! it says: confidence high, medium if the cgroup was not seen. Or
//! a program says that making a process failed with EAGAIN, which fork returns for limits alone
//! (pids.max, RLIMIT_NPROC, kernel.pid_max, kernel.threads-max): medium, as it doesn't say which.
use crate::{
    diagnose::{Evidence, owner::Owner},
    model::{
        event::ForkRefused,
        program_message::StartError,
        verdict::{Cause, Confidence, Remedy, Verdict},
    },
};

const SEE_V1: Remedy = Remedy {
    title: "see what holds the processes, and end what has run wild",
    command: "cd /sys/fs/cgroup/pids/<path>; grep . pids.current pids.max; ps -eLo pid,nlwp,cgroup:60,comm --sort=-nlwp | head",
    risk: "none to look",
    durable: false,
};

const SEE: Remedy = Remedy {
    command: "cat /sys/fs/cgroup/<path>/pids.{current,max} (v1: /sys/fs/cgroup/pids/<path>/…); ps -eLo pid,nlwp,cgroup:60,comm --sort=-nlwp | head",
    ..SEE_V1
};

/// Where it isn't known which limit it was.
const SEE_ALL: Remedy = Remedy {
    title: "see which limit is full: of the machine, of the user or of a cgroup",
    command: "ls -d /proc/[0-9]*/task/[0-9]* | wc -l; sysctl kernel.pid_max kernel.threads-max; ulimit -u; systemctl status <unit> | grep Tasks",
    ..SEE_V1
};

const RAISE: Remedy = Remedy {
    title: "raise the limit",
    command: "docker update --pids-limit …; kubelet: --pod-max-pids=…; systemctl set-property <unit> TasksMax=…",
    risk: "a fork bomb gets further",
    durable: true,
};

const OF_POD: Remedy = Remedy {
    title: "raise the limit of pods on this node, or make the pod use fewer processes and threads",
    command: "kubelet: podPidsLimit in its configuration (--pod-max-pids); CRI-O: pids_limit",
    ..RAISE
};

const OF_DOCKER: Remedy = Remedy {
    title: "raise the container's limit",
    command: "docker update --pids-limit … <container>; in a Compose file: pids_limit",
    ..RAISE
};

const OF_PODMAN: Remedy = Remedy {
    title: "raise the container's limit, by default 2048",
    command: "podman update --pids-limit … <container>; pids_limit in containers.conf",
    ..RAISE
};

const OF_LXC: Remedy = Remedy {
    title: "raise the container's limit",
    command: "incus config set <container> limits.processes=… (LXD: lxc config set)",
    ..RAISE
};

const OF_USER: Remedy = Remedy {
    title: "raise the limit of the user's slice",
    command: "systemctl set-property user-<uid>.slice TasksMax=…",
    ..RAISE
};

const OF_UNIT: Remedy = Remedy {
    title: "raise the limit of the unit, which for a runtime holds all that it starts itself",
    command: "systemctl set-property <unit> TasksMax=infinity",
    ..RAISE
};

const OF_MACHINE: Remedy = Remedy {
    title: "raise the machine's limits on processes and threads",
    command: "sysctl -w kernel.pid_max=4194304 kernel.threads-max=…",
    risk: "a fork bomb gets further; put it under /etc/sysctl.d to keep it",
    durable: true,
};

const SEE_USER: Remedy = Remedy {
    title: "see what the user runs: containers whose user has the same number count together",
    command: "ps -eLo ruid,pid,nlwp,cgroup:60,comm --sort=-nlwp | awk '$1 == <uid>' | head; ulimit -u",
    risk: "none to look",
    durable: false,
};

const RAISE_USER: Remedy = Remedy {
    title: "raise the limit of processes of the container's user, or give containers users of their own",
    command: "docker run --ulimit nproc=…; systemctl edit <unit>: LimitNPROC=infinity; userns-remap, or hostUsers: false for pods",
    ..RAISE
};

/// What helps a cgroup with this path.
fn of_cgroup(evidence: &Evidence, path: &str) -> Vec<Remedy> {
    let raise = match Owner::of(Some(path)) {
        Owner::AllPods | Owner::Pod => OF_POD,
        Owner::Docker => OF_DOCKER,
        Owner::Podman => OF_PODMAN,
        Owner::Lxc => OF_LXC,
        Owner::User => OF_USER,
        Owner::Unit => OF_UNIT,
        Owner::Ecs | Owner::Nomad | Owner::Other => RAISE,
    };
    vec![if evidence.cgroup_v1() == Some(true) { SEE_V1 } else { SEE }, raise]
}

/// Up to this `kernel.pid_max` is the first suspect: the kernel's own default, which systemd raises
/// to 4,194,304 on 64-bit machines.
const SMALL_PID_MAX: u64 = 65_536;

/// The verdict, if the rule holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    if let Some(refused) = evidence.fork_refused {
        return Some(of_kernel(evidence, refused));
    }
    evidence.messages.iter().find(|message| message.error == StartError::Process)?;
    let mut not_seen = evidence.gaps();
    let mut because = vec!["making a process failed with EAGAIN, which the kernel returns for limits on processes and not for memory".to_owned()];
    let mut remedies = vec![SEE_ALL, RAISE, OF_MACHINE];
    match evidence.tasks {
        Some(tasks) if tasks.is_full() => {
            let unit = tasks.unit.as_deref().unwrap_or("its unit");
            because.push(format!("{unit} has {} of {} tasks", tasks.count, tasks.limit));
            not_seen.push(format!("whether {unit} was as full at that moment"));
            remedies = vec![SEE_ALL, OF_UNIT];
        }
        _ => not_seen.push("which limit on processes it was".to_owned()),
    }
    if let Some(pid_max) = evidence.pid_max {
        because.push(format!("kernel.pid_max is {pid_max}"));
        if pid_max <= SMALL_PID_MAX {
            remedies.retain(|remedy| *remedy != OF_MACHINE);
            remedies.insert(1, OF_MACHINE);
        }
    }
    Some(verdict(because, not_seen, remedies))
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
    let because = format!("a fork was refused because {whose} was at its pids.max{full}");
    let remedies = of_cgroup(evidence, refused.cgroup.as_deref().unwrap_or_default());
    verdict(vec![because], not_seen, remedies)
}

/// The limit of a user, `RLIMIT_NPROC`, refused a process.
pub(super) fn of_user(because: String, not_seen: Vec<String>) -> Verdict {
    verdict(vec![because], not_seen, vec![SEE_USER, RAISE_USER])
}

/// One of the machine's limits, or one that is not known, refused a process.
pub(super) fn of_machine(because: Vec<String>, not_seen: Vec<String>) -> Verdict {
    verdict(because, not_seen, vec![SEE_ALL, RAISE, OF_MACHINE])
}

fn verdict(because: Vec<String>, not_seen: Vec<String>, remedies: Vec<Remedy>) -> Verdict {
    Verdict {
        cause: Cause::PidsLimit,
        confidence: Confidence::without(&not_seen),
        because,
        not_seen,
        remedies,
        no_help: vec!["compaction, or more memory: this is a limit"],
    }
}
