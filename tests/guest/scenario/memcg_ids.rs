//! All ids of memory cgroups are in use, and a container's cgroup can't be made. The control comes when
//! nearly all are.

use anyhow::{Context, Result, bail};
use fragwatch_states::Spec;
use fragwatch_states::spec::MemcgIds;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::state;

/// Ids that are left when the control is made.
const LEFT: u32 = 130;
const ATTEMPTS: u32 = 3;

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut faulty = Attempt::prepare(node, Side::Faulty, "mkdir")?;
    let mut control = Attempt::prepare(node, Side::Control, "mkdir")?;
    use_up(node, "/others", LEFT)?;
    for _ in 0..ATTEMPTS {
        control.make_cgroup(node)?.context("with ids left the cgroup must be made")?;
    }
    use_up(node, "/more", 0)?;
    for _ in 0..ATTEMPTS {
        if faulty.make_cgroup(node)?.is_ok() {
            bail!("a memory cgroup was made though no id is left");
        }
    }
    Ok(())
}

/// Makes memory cgroups of other workloads.
fn use_up(node: &mut Node, cgroup: &str, left: u32) -> Result<()> {
    let spec = MemcgIds { cgroup: cgroup.to_owned(), left };
    node.states.push(state::reach(node.channel, &[Spec::MemcgIds(spec)])?);
    Ok(())
}
