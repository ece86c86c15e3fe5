//! How often the kernel skipped our programs: one that is running on a CPU is not run again there,
//! when an interrupt or another thread comes between.
use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use aya::Ebpf;

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
        self.programs.iter().filter_map(recursion_misses).sum()
    }
}

/// `recursion_misses` of a program (kernel/bpf/syscall.c, `bpf_prog_show_fdinfo`).
fn recursion_misses(program: &OwnedFd) -> Option<u64> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()?;
    parse(&info)
}

fn parse(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use crate::live::missed_runs::parse;

    #[test]
    fn reads_what_the_kernel_shows() {
        let info = "pos:\t0\nflags:\t02000002\nprog_type:\t2\nrun_cnt:\t0\nrecursion_misses:\t17\n";
        assert_eq!(parse(info), Some(17));
        assert_eq!(parse("prog_type:\t2\n"), None, "a kernel before 5.12");
    }
}
