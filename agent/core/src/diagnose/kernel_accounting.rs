//! Turning off the accounting of kernel memory, which leaks memory cgroups and their ids on old
//! kernels.
use crate::{
    diagnose::{Evidence, remedies},
    model::verdict::Remedy,
};

const TURN_OFF: Remedy = Remedy {
    title: "turn the accounting of kernel memory off, or update to a kernel of 4.x or later",
    command: "grubby --update-kernel=ALL --args=cgroup.memory=nokmem",
    risk: "needs a reboot; without the accounting no limit on kernel memory holds",
    durable: true,
};

const UPDATE: Remedy = Remedy {
    title: "update the kernel, to 4.x or later, or on Enterprise Linux 7 to 3.10.0-1127 or later and \
            turn the accounting of kernel memory off there",
    command: "yum update kernel && grubby --update-kernel=ALL --args=cgroup.memory=nokmem",
    ..TURN_OFF
};

/// What stops the leak on this kernel: the parameter if it has that, else an update first.
pub(super) fn turn_off(evidence: &Evidence) -> Remedy {
    let known = evidence.kernel.is_some() && remedies::has_all(evidence, TURN_OFF.command);
    if known { TURN_OFF } else { UPDATE }
}
