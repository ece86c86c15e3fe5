//! A container's process enters a cgroup of v1's cpuset hierarchy that has no CPUs yet. The control's has.

use std::fs;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;

const ROOT: &str = "/cpuset";

pub(super) fn run(node: &mut Node) -> Result<()> {
    fs::create_dir(ROOT).with_context(|| format!("can't make {ROOT}"))?;
    mount(Some("cpuset"), ROOT, Some("cgroup"), MsFlags::empty(), Some("cpuset"))
        .context("can't mount the cpuset hierarchy")?;
    for (side, name) in [(Side::Control, "control"), (Side::Faulty, "faulty")] {
        let mut attempt = Attempt::prepare(node, side, "cpuset")?;
        attempt.enter()?;
        let cgroup = format!("{ROOT}/{name}");
        fs::create_dir(&cgroup).with_context(|| format!("can't make {cgroup}"))?;
        if side == Side::Control {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let path = format!("{cgroup}/{file}");
                fs::write(&path, "0").with_context(|| format!("can't write to {path}"))?;
            }
        }
        let outcome = attempt.take(node, &Step::Enter(&[format!("{cgroup}/cgroup.procs")]))?;
        match side {
            Side::Control => outcome.context("a cgroup with a CPU must be entered")?,
            Side::Faulty if outcome == Err(Errno::ENOSPC) => {}
            Side::Faulty => bail!("without CPUs the errno must be ENOSPC, and it is {outcome:?}"),
        }
    }
    Ok(())
}
