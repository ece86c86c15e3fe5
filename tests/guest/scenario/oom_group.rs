//! A process of a container is chosen by the OOM killer because its pod is at its limit, and the kernel kills
//! the rest of the pod with it (`memory.oom.group`), among them one that waits for its turn to make a network
//! namespace. The control waits too, in another pod.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::CloneFlags;
use nix::unistd::gettid;

use super::Node;
use super::killed::wait_until_in;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;
use crate::node;

/// What the pod has room for, in bytes, and what one of its processes wants, in MiB.
const ROOM: u64 = 8 * 1024 * 1024;
const WANTED: &str = "64";

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut faulty = Attempt::prepare(node, Side::Faulty, "group")?;
    let mut control = Attempt::prepare(node, Side::Control, "group")?;
    faulty.enter()?;
    control.enter()?;
    for attempt in [&mut faulty, &mut control] {
        attempt.limit("memory", "memory.oom.group", "1")?;
        attempt.quietly(&Step::Score("0"))?.context("the creator can't be made killable")?;
    }
    thread::scope(|scope| {
        // As in `killed`: meanwhile no network namespace can be made.
        let (started, loader) = mpsc::channel();
        let loading = scope.spawn(move || {
            // The receiver waits for it.
            let _ = started.send(gettid().as_raw());
            node::load_module("fragwatch_pernet", c"order=0 hold_ms=6000")
        });
        let loader = loader.recv().context("the thread that loads the module ended")?;
        wait_until_in(loader, "fw_pernet_init")?;
        for attempt in [&mut faulty, &mut control] {
            let creator = attempt.creator();
            creator.begin(&Step::Unshare(CloneFlags::CLONE_NEWNET))?;
            wait_until_in(creator.pid(), "copy_net_ns")?;
        }
        let limit = faulty.usage("memory", "memory.current")? + ROOM;
        faulty.limit("memory", "memory.max", &limit.to_string())?;
        attempt::report(node.channel, Side::Faulty, "group", &faulty.cgroup(), Some("killed"));
        want_too_much(&faulty.procs())?;
        faulty.into_creator().wait()?;
        let outcome = control.creator().finish()?;
        control.report(node, outcome);
        outcome.context("the control must have its namespace")?;
        loading.join().map_err(|_| anyhow!("the thread that loads the module panicked"))?
    })
}

/// A process of the pod asks for more than that may have, and is killed.
fn want_too_much(procs: &[String]) -> Result<()> {
    let ended = Command::new("/proc/self/exe")
        .args(["hog", WANTED, "500"])
        .args(procs)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("can't start the process that wants too much")?;
    if ended.success() {
        bail!("the pod's limit held nothing back");
    }
    Ok(())
}
