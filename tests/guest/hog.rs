//! Processes that hold memory, as other containers would.

use std::fs;
use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use crate::{helper, node};

const MIB: u64 = 1024 * 1024;

/// Starts a process that holds so much memory and that the OOM killer takes before others.
pub(crate) fn bystander(mib: u64) -> Result<()> {
    helper::start(&["hog", &mib.to_string(), "500"])
}

/// The same in the cgroups with these `cgroup.procs`.
pub(crate) fn in_cgroups(mib: u64, procs: &[String]) -> Result<()> {
    let mib = mib.to_string();
    let fixed = ["hog", &mib, "500"];
    helper::start(&fixed.into_iter().chain(procs.iter().map(String::as_str)).collect::<Vec<_>>())
}

/// Starts a process that holds nearly all memory. `score` is its oom_score_adj.
pub(crate) fn leave(mib: u64, score: i32) -> Result<()> {
    let available = node::meminfo_kib("MemAvailable")? / 1024;
    let size = available.saturating_sub(mib);
    helper::start(&["hog", &size.to_string(), &score.to_string()])
}

/// What the child does.
pub(crate) fn run_child(mib: &str, score: &str, procs: &[String]) -> Result<()> {
    for file in procs {
        fs::write(file, "0").with_context(|| format!("can't enter the cgroup of {file}"))?;
    }
    fs::write("/proc/self/oom_score_adj", score).context("can't set oom_score_adj")?;
    let bytes = mib.parse::<u64>().context("the size is no number")? * MIB;
    let length = NonZeroUsize::new(bytes as usize).context("there is no memory to hold")?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE;
    // SAFETY: a mapping at an address of the kernel's choice touches no memory of ours.
    unsafe { mmap_anonymous(None, length, protection, flags) }
        .with_context(|| format!("can't map {mib} MiB"))?;
    helper::stay()
}
