//! A limit on namespaces is reached: on network namespaces, and, for a container that has the host's
//! network, on pid namespaces. The controls come when there is one left.

use anyhow::{Context, Result, bail};
use fragwatch_states::Spec;
use fragwatch_states::spec::{NamespaceKind, Namespaces};
use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::{self, Step};
use crate::state;

pub(super) fn run(node: &mut Node) -> Result<()> {
    reach(node, "net", NamespaceKind::Net, CloneFlags::CLONE_NEWNET)?;
    reach(node, "pid", NamespaceKind::Pid, creator::NAMESPACES)
}

/// Leaves one namespace, which the control takes.
fn reach(
    node: &mut Node,
    part: &'static str,
    kind: NamespaceKind,
    flags: CloneFlags,
) -> Result<()> {
    let mut faulty = Attempt::prepare(node, Side::Faulty, part)?;
    let mut control = Attempt::prepare(node, Side::Control, part)?;
    let limit = Spec::Namespaces(Namespaces { kind, left: 1 });
    node.states.push(state::reach(node.channel, &[limit])?);
    control.enter()?;
    control.take(node, &Step::Unshare(flags))?.context("one below the limit it must be made")?;
    faulty.enter()?;
    let outcome = faulty.take(node, &Step::Unshare(flags))?;
    if outcome != Err(Errno::ENOSPC) {
        bail!("at the limit the errno must be ENOSPC, and it is {outcome:?}");
    }
    Ok(())
}
