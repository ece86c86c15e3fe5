//! A creator is killed while it waits for its turn to make a network namespace. The control waits too
//! and is not killed.

use std::ffi::CStr;
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::CloneFlags;
use nix::unistd::gettid;

use super::Node;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;
use crate::node;

/// For a thread to come to the function where it waits.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut faulty = Attempt::prepare(node, Side::Faulty, "wait")?;
    let mut control = Attempt::prepare(node, Side::Control, "wait")?;
    faulty.enter()?;
    control.enter()?;
    while_both_wait(node, c"order=0 hold_ms=4000", faulty, control, |faulty| {
        attempt::report(node.channel, Side::Faulty, "wait", &faulty.cgroup(), Some("killed"));
        faulty.into_creator().kill()
    })
}

/// Has both make a network namespace while a module with these parameters lets none be made, ends the first, and
/// reports the other's namespace.
pub(super) fn while_both_wait(
    node: &Node,
    module: &CStr,
    mut faulty: Attempt,
    mut control: Attempt,
    end: impl FnOnce(Attempt) -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        // A new subsystem is set up for the namespaces there are, and no new one can be made
        // meanwhile (net/core/net_namespace.c `pernet_ops_rwsem`). That takes this long.
        let (started, loader) = mpsc::channel();
        let loading = scope.spawn(move || {
            // The receiver waits for it.
            let _ = started.send(gettid().as_raw());
            node::load_module("fragwatch_pernet", module)
        });
        let loader = loader.recv().context("the thread that loads the module ended")?;
        wait_until_in(loader, "fw_pernet_init")?;
        for attempt in [&mut faulty, &mut control] {
            let creator = attempt.creator();
            creator.begin(&Step::Unshare(CloneFlags::CLONE_NEWNET))?;
            wait_until_in(creator.pid(), "copy_net_ns")?;
        }
        end(faulty)?;
        let outcome = control.creator().finish()?;
        control.report(node, outcome);
        outcome.context("the control must have its namespace")?;
        loading.join().map_err(|_| anyhow!("the thread that loads the module panicked"))?
    })
}

/// Waits until a thread sleeps within a function of the kernel.
fn wait_until_in(task: i32, function: &str) -> Result<()> {
    let path = format!("/proc/{task}/stack");
    let deadline = Instant::now() + DEADLINE;
    loop {
        let stack = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
        if stack.contains(function) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("thread {task} did not come to {function}; it is at {}", stack.trim());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
