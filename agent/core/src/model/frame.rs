//! A place in the kernel's code.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A place in the kernel's code.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Frame {
    /// The function, `None` if no symbol covers the address.
    pub function: Option<String>,
    /// The module it belongs to; `None` for the kernel itself.
    pub module: Option<String>,
    /// The address.
    pub address: u64,
}

/// What a kretprobe puts in place of a return address. Before 5.15 the kernel's stacks end there
/// (arch/x86/kernel/kprobes/core.c, kernel/trace/rethook.c).
pub const TRAMPOLINES: &[&str] =
    &["kretprobe_trampoline", "__kretprobe_trampoline", "arch_rethook_trampoline"];
