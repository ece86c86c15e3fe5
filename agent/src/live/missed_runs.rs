//! How often the kernel skipped our programs: one that is running on a CPU is not run again there,
//! when an interrupt or another thread comes between.
use std::os::fd::{AsFd as _, OwnedFd};

use aya::Ebpf;

use crate::kernel::bpf;

/// The loaded programs, to be asked again and again.
pub(super) struct MissedRuns {
    programs: Vec<OwnedFd>,
}

impl MissedRuns {
    /// Takes a handle of each program that aya has loaded now, and those of other programs. They keep no
    /// program attached.
    pub(super) fn of(ebpf: &Ebpf, mut programs: Vec<OwnedFd>) -> Self {
        let loaded = ebpf.programs().filter_map(|(_, program)| program.fd().ok());
        programs.extend(loaded.filter_map(|fd| fd.as_fd().try_clone_to_owned().ok()));
        Self { programs }
    }

    /// All of them so far. Kernels before 5.12 don't count; then it is 0.
    pub(super) fn count(&self) -> u64 {
        let misses = self.programs.iter().map(|program| bpf::recursion_misses(program.as_fd()));
        misses.filter_map(Result::ok).sum()
    }
}
