//! Whoever makes a container is killed while it waits for its turn to make a network namespace. The
//! control waits just as long and is not.

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
    let mut faulty = Attempt::prepare(node, Side::Faulty, "wait")?;
    let mut control = Attempt::prepare(node, Side::Control, "wait")?;
    faulty.enter()?;
    control.enter()?;
    thread::scope(|scope| {
        // A subsystem that is registered is set up for the namespaces there are, and nobody makes a
        // new one meanwhile (net/core/net_namespace.c `pernet_ops_rwsem`).
        let load = || node::load_module("fragwatch_pernet", c"order=0 hold_ms=3000");
        let loading = scope.spawn(load);
        thread::sleep(WAIT);
        faulty.creator().begin(&Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        control.creator().begin(&Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        thread::sleep(WAIT);
        attempt::report(node.channel, Side::Faulty, "wait", &faulty.cgroup(), Some("killed"));
        faulty.into_creator().kill()?;
        let outcome = control.creator().finish()?;
        control.report(node, outcome);
        outcome.context("who is not killed must have its namespace")?;
        loading.join().map_err(|_| anyhow!("the thread that loads the module panicked"))?
    })
}
