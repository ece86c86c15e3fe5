//! Whoever makes a container is killed while it waits for its turn to make a network namespace. The
//! twin waits just as long and is not.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;
use crate::node;

/// So long that a slow machine's creators are inside when one is killed.
const WAIT: Duration = Duration::from_secs(1);

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut positive = Attempt::prepare(node, Side::Positive, "wait")?;
    let mut twin = Attempt::prepare(node, Side::Twin, "wait")?;
    positive.enter()?;
    twin.enter()?;
    thread::scope(|scope| {
        // A subsystem that is registered is set up for the namespaces there are, and nobody makes a
        // new one meanwhile (net/core/net_namespace.c `pernet_ops_rwsem`).
        let load = || node::load_module("fragwatch_pernet", c"order=0 hold_ms=3000");
        let loading = scope.spawn(load);
        thread::sleep(WAIT);
        positive.creator().begin(&Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        twin.creator().begin(&Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        thread::sleep(WAIT);
        attempt::tell(node.channel, Side::Positive, "wait", &positive.cgroup(), Some("killed"));
        positive.into_creator().kill()?;
        let outcome = twin.creator().finish()?;
        twin.tell(node, outcome);
        outcome.context("who is not killed must have its namespace")?;
        loading.join().map_err(|_| anyhow!("the thread that loads the module panicked"))?
    })
}
