//! The result of `doctor`.
use schemars::JsonSchema;
use serde::Serialize;

use super::hook::Hook;
use crate::model::status::DoctorStatus;

/// What this kernel lets fragwatch see.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Doctor {
    /// fragwatch's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// How much `trace` sees.
    pub status: DoctorStatus,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// Why `trace` can't start; null if it can.
    pub obstacle: Option<String>,
    /// Everything that can't be seen, because a hook is missing or for another reason.
    pub not_seen: Vec<String>,
    /// What would let it see more.
    pub advice: Vec<String>,
    /// The kernel's type information.
    pub btf: Btf,
    /// What may be read in `/proc/kallsyms`.
    pub kallsyms: Kallsyms,
    /// The kernel's settings.
    pub environment: Environment,
    /// Each capability that fragwatch uses.
    pub capabilities: Vec<Capability>,
    /// Every hook; empty if the kernel's type information could not be read.
    pub hooks: Vec<Hook>,
}

/// The kernel's type information.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Btf {
    /// Where it was looked for.
    pub path: &'static str,
    /// Its size.
    pub bytes: Option<u64>,
    /// Fields that the programs read and it does not describe.
    pub missing: Option<Vec<&'static str>>,
    /// Why it can't be used.
    pub error: Option<String>,
}

/// What may be read in `/proc/kallsyms`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Kallsyms {
    /// Names of functions.
    pub names: bool,
    /// Their addresses.
    pub addresses: bool,
    /// Why neither.
    pub error: Option<String>,
}

/// The kernel's settings.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Environment {
    /// Whether kprobes are built in.
    pub kprobes: bool,
    /// The kernel's lockdown: `off`, `integrity`, `confidentiality`.
    pub lockdown: Option<&'static str>,
    /// Where tracefs is mounted.
    pub tracefs: Option<String>,
    /// Whether fragwatch mounts a tracefs that nothing else sees, because none is mounted.
    pub own_tracefs: bool,
    /// Where bpffs is mounted.
    pub bpffs: Option<String>,
    /// Which cgroup hierarchies are mounted: `v2`, `v1`, `hybrid`, `none`.
    pub cgroups: &'static str,
    /// `kernel.perf_event_paranoid`.
    pub perf_event_paranoid: Option<i64>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub unprivileged_bpf_disabled: Option<i64>,
    /// `kernel.kptr_restrict`.
    pub kptr_restrict: Option<i64>,
}

/// A capability that fragwatch uses.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Capability {
    /// Its name, `CAP_BPF`.
    pub name: String,
    /// Whether this process has it.
    pub held: bool,
    /// Whether `trace` can't start without it.
    pub required: bool,
    /// What it is used for.
    pub purpose: &'static str,
    /// What is lost without it.
    pub lost_without: &'static str,
}
