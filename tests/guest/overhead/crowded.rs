//! Memory of fragwatch on a node with thousands of cgroups.

use std::fs;
use std::thread;

use anyhow::{Context, Result};
use harness::overhead::{Contestant, Fact};

use super::contestant::Running;
use super::usage::memory;
use super::{Bench, SETTLE, operation};

const CGROUPS: u32 = 5000;
/// Others, which come and go.
const PASSING: u32 = 3000;
/// As deep as those of a kubelet.
const POD: &str = "/sys/fs/cgroup/plain/kubepods/burstable/pod7c0f5a52-3d0f-4b8e-9a41-6a1f6f0f2b11";

/// Measures and sends it.
pub(super) fn measure(bench: &Bench) -> Result<()> {
    let (cgroups, came_and_went) = (bench.effort.count(CGROUPS), bench.effort.count(PASSING));
    bench.channel.node(format!("memory beside {cgroups} cgroups"));
    let directory = |number: u32| format!("{POD}/{:064x}", u128::from(number) << 64);
    fs::create_dir_all(POD).with_context(|| format!("can't create {POD}"))?;
    for number in 0..cgroups {
        let directory = directory(number);
        fs::create_dir(&directory).with_context(|| format!("can't create {directory}"))?;
    }
    let Some(running) = Running::start(bench, Contestant::With)? else { return Ok(()) };
    (0..came_and_went).try_for_each(operation::make_and_remove_cgroup)?;
    thread::sleep(SETTLE);
    let (ready, after) = (running.ready, memory(running.pid)?);
    running.stop()?;
    for number in 0..cgroups {
        let directory = directory(number);
        fs::remove_dir(&directory).with_context(|| format!("can't remove {directory}"))?;
    }
    bench.send(&Fact::Crowded { cgroups, ready, came_and_went, after });
    Ok(())
}
