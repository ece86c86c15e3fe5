//! Steps of a container's start of which only failures are seen.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::{IntoStaticStr, VariantArray};

/// A step of a container's start beside its namespaces and its cgroup.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum StartStep {
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

impl StartStep {
    /// The kernel's functions that every such step goes through, as they stand on its stack
    /// (5.8–7.2).
    pub fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Fork => &["copy_process"],
            Self::Exec => &["do_execveat_common", "bprm_execve", "exec_binprm"],
            Self::Mount => &["path_mount", "do_mount"],
            Self::Link => &["rtnl_newlink"],
            Self::CgroupEntry => &["cgroup_attach_task"],
            Self::Keyring => &["join_session_keyring"],
            Self::Seccomp => &["do_seccomp"],
            Self::BpfProgram => &["bpf_prog_load"],
        }
    }
}

/// A step that failed for a lack or a limit.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStep {
    /// Which.
    pub step: StartStep,
    /// The error as a positive errno.
    pub errno: i32,
    /// The task's user, in the initial user namespace.
    pub uid: u32,
    /// Processes and threads that its user has, in its user namespace, if that was read.
    pub processes: Option<u64>,
    /// Its `RLIMIT_NPROC`, if that was read.
    pub process_limit: Option<u64>,
}
