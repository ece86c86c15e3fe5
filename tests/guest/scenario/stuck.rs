//! A network namespace takes longer than a minute: first a module that registers holds the lock for it, then a
//! subsystem's initialisation sleeps. The control is made before.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::node;

/// The module's initialisation of one network namespace takes so long: that of the machine's own one while the
/// module is loaded, and that of the container's.
const PARAMETERS: &std::ffi::CStr = c"order=0 hold_ms=45000";

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut control = Attempt::prepare(node, Side::Control, "wait")?;
    let mut stuck = Attempt::prepare(node, Side::Faulty, "wait")?;
    control.enter()?;
    let outcome = control.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
    outcome.context("without the module a network namespace must be made")?;
    // Its network namespace goes with it: the module initialises each that there is.
    control.into_creator().kill()?;
    thread::sleep(Duration::from_secs(3));
    stuck.enter()?;
    let pid = stuck.creator().pid();
    let began = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let loads = scope.spawn(|| node::load_module("fragwatch_pernet", PARAMETERS));
        // By then it has the lock.
        thread::sleep(Duration::from_secs(1));
        node.channel.node(format!("process {pid} makes a network namespace"));
        let outcome = stuck.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        outcome.context("in the end the network namespace must be made")?;
        loads.join().map_err(|_| anyhow!("the thread that loads the module panicked"))?
    })?;
    node.channel.node(format!("it took {} s", began.elapsed().as_secs()));
    Ok(())
}
