//! Steps of a container's start of which only failures are recorded.
use super::{Head, numbered};

numbered! {
    /// A step of a container's start beside its namespaces and its cgroup.
    StartStep {
        /// A process is forked.
        Fork,
        /// A program is executed.
        Exec,
        /// A file system is mounted.
        Mount,
        /// A network link is made.
        Link,
        /// A process enters a cgroup.
        CgroupEntry,
        /// A process gets a session keyring.
        Keyring,
        /// A process gets a seccomp filter.
        Seccomp,
        /// A BPF program is loaded, such as a cgroup's device filter.
        BpfProgram,
    }
}

// include/uapi/asm-generic/errno-base.h and errno.h.
const EPERM: i32 = 1;
const E2BIG: i32 = 7;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EBUSY: i32 = 16;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const EXFULL: i32 = 54;
const EUSERS: i32 = 87;
const ENOBUFS: i32 = 105;
const EDQUOT: i32 = 122;

/// `ENOTSUPP` of include/linux/errno.h: what is left of a BPF program that could not be compiled.
pub const ENOTSUPP: i32 = 524;

/// Steps of a cgroup's tasks with the same error that are recorded in a second; the others are counted.
pub const MAX_FAILED_STEPS: u64 = 4;

impl StartStep {
    /// Whether an error of this step, as a positive errno, can be one of a lack or of a limit. What a program
    /// does wrong itself (a file that is not there, a request that it may not make) is none of these, nor what
    /// it tries again. `uid` is the task's, in the initial user namespace.
    #[must_use]
    #[allow(clippy::inline_always, reason = "a BPF program has room for few calls")]
    #[inline(always)]
    pub const fn is_lack(self, errno: i32, uid: u32) -> bool {
        if errno == ENOMEM {
            return true;
        }
        match self {
            Self::Fork => matches!(errno, EAGAIN | ENOSPC | EBUSY | EMFILE | ENFILE | EUSERS),
            Self::Exec => matches!(errno, EAGAIN | ENFILE | EMFILE),
            Self::Mount => matches!(errno, ENOSPC | EDQUOT | EMFILE | ENFILE),
            Self::Link => matches!(errno, ENOBUFS | ENOSPC | EXFULL | EMFILE | ENFILE),
            Self::CgroupEntry => matches!(errno, EAGAIN | ENOSPC),
            Self::Keyring => matches!(errno, EDQUOT | ENFILE),
            Self::Seccomp => matches!(errno, EAGAIN | ENOTSUPP),
            // Before 5.11 a program's memory counts against RLIMIT_MEMLOCK, and is refused with EPERM; so is
            // any program of a user without privileges. EAGAIN is the verifier's answer to a signal, after
            // which runtimes try again (do_check in kernel/bpf/verifier.c).
            Self::BpfProgram => match errno {
                EPERM => uid == 0,
                _ => matches!(errno, E2BIG | ENOTSUPP | ENOSPC),
            },
        }
    }
}

/// A step of a container's start failed for a lack or a limit.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct StepFailed {
    /// Task and time.
    pub head: Head,
    /// A [`StartStep`].
    pub step: u32,
    /// The negative errno that it returned.
    pub errno: i32,
    /// The task's user, in the initial user namespace.
    pub uid: u32,
    /// 1 if the two that follow were read.
    pub processes_known: u32,
    /// Processes and threads that its user has, in its user namespace, as they count for
    /// `RLIMIT_NPROC`.
    pub processes: u64,
    /// Its `RLIMIT_NPROC`.
    pub process_limit: u64,
}

#[cfg(test)]
mod tests {
    use super::{
        EAGAIN, ENOMEM, EPERM,
        StartStep::{BpfProgram, Fork},
    };

    const ENOSYS: i32 = 38;

    #[test]
    fn what_a_runtime_tries_again_or_may_not_do_is_no_lack() {
        let (root, user) = (0, 1000);
        assert!(!BpfProgram.is_lack(EAGAIN, root), "a signal came while it was verified");
        assert!(BpfProgram.is_lack(EPERM, root));
        assert!(!BpfProgram.is_lack(EPERM, user));
        assert!(BpfProgram.is_lack(ENOMEM, user));
        assert!(Fork.is_lack(EAGAIN, user));
        assert!(!Fork.is_lack(ENOSYS, root));
    }
}
