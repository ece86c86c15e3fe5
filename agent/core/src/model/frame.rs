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

impl Frame {
    /// Whether it is in a function of this name, whatever suffix a compiler gave it.
    pub fn is_in(&self, function: &str) -> bool {
        self.function.as_deref().is_some_and(|name| plain(name) == function)
    }
}

/// The name of a function without what a compiler adds to those that it has changed (`.isra.0`, `.constprop.0`,
/// `.part.0`, `.cold`, `.llvm.123`).
pub fn plain(name: &str) -> &str {
    name.split_once('.').map_or(name, |(plain, _)| plain)
}

/// What a kretprobe puts in place of a return address. Before 5.15 the kernel's stacks end there
/// (arch/x86/kernel/kprobes/core.c, kernel/trace/rethook.c).
pub const TRAMPOLINES: &[&str] =
    &["kretprobe_trampoline", "__kretprobe_trampoline", "arch_rethook_trampoline"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_of_compilers_are_no_part_of_a_name() {
        let names = [
            "create_new_namespaces",
            "create_new_namespaces.isra.0",
            "create_new_namespaces.constprop.0.isra.0",
            "create_new_namespaces.part.0",
            "create_new_namespaces.llvm.1234567890",
            "create_new_namespaces.isra.0.cold",
        ];
        for name in names {
            let frame = Frame { function: Some(name.to_owned()), module: None, address: 0 };
            assert!(frame.is_in("create_new_namespaces"), "{name}");
            assert!(!frame.is_in("create_new"), "{name}");
        }
    }
}
