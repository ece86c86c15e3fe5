//! Ids of memory cgroups in use: so many cgroups that no id is left, or few.
use std::fs;

use anyhow::{Context as _, Result, bail};
use fragwatch_core::{model::node::MAX_MEMORY_CGROUPS, units};
use nix::errno::Errno;

use crate::{
    cgroup::Hierarchy, memory::meminfo_kib, reached::Reached, spec::MemcgIds, undo::Changes,
};

/// After so many it is known what one takes.
const SAMPLE: u64 = 512;
/// With less memory available a cgroup may fail for that, in KiB.
const LEAST_KIB: u64 = 32 * 1024;
/// Memory that the machine needs beside them, in KiB.
const RESERVE_KIB: u64 = 128 * 1024;

/// Makes memory cgroups until no id is left, then removes as many as shall be left.
pub(crate) fn reach(spec: &MemcgIds, changes: &mut Changes) -> Result<Reached> {
    let hierarchy = Hierarchy::of("memory")?;
    let before = meminfo_kib("MemAvailable")?;
    let directory = hierarchy.make(&spec.cgroup, "memory", changes)?;
    let mut made = 0;
    loop {
        match fs::create_dir(format!("{directory}/{made}")) {
            Ok(()) => made += 1,
            Err(error) if is_out_of_ids(&error) => break,
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("could not make memory cgroup {made} in {directory}")
                });
            }
        }
        if made == SAMPLE {
            check_memory(before)?;
        }
        if made > MAX_MEMORY_CGROUPS {
            bail!("{made} memory cgroups were made, which is more than there are ids");
        }
    }
    let available = meminfo_kib("MemAvailable")?;
    if available < LEAST_KIB {
        bail!(
            "after {made} memory cgroups no memory is left for more of them: {} are available",
            units::bytes(available * 1024)
        );
    }
    for number in 0..u64::from(spec.left).min(made) {
        let path = format!("{directory}/{number}");
        fs::remove_dir(&path).with_context(|| format!("could not remove {path}"))?;
    }
    let sentence = format!(
        "{} memory cgroups were made in {}, and {} ids are left",
        units::grouped(made - u64::from(spec.left).min(made)),
        spec.cgroup,
        spec.left
    );
    Ok(Reached { sentences: vec![sentence], ..Reached::default() })
}

/// The kernel's error was another one in most series (mm/memcontrol.c `mem_cgroup_alloc`,
/// kernel/cgroup/cgroup.c `cgroup_mkdir`).
fn is_out_of_ids(error: &std::io::Error) -> bool {
    let errnos = [Errno::ENOSPC, Errno::ENOMEM, Errno::EBUSY].map(|errno| Some(errno as i32));
    errnos.contains(&error.raw_os_error())
}

fn check_memory(before: u64) -> Result<()> {
    let available = meminfo_kib("MemAvailable")?;
    let each = before.saturating_sub(available) / SAMPLE + 1;
    let needed = each * (MAX_MEMORY_CGROUPS - SAMPLE) + RESERVE_KIB;
    if needed > available {
        bail!(
            "so many memory cgroups need {}, and {} are available: take a machine with more memory",
            units::bytes(needed * 1024),
            units::bytes(available * 1024)
        );
    }
    Ok(())
}
