//! fragwatch is stopped while five hundred network namespaces are made and one fails: first while the others meet no
//! trouble, then while each of them has so many failed allocations that the rings are full.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::node;

const NAMESPACES: u32 = 500;
/// Failed allocations of each namespace that has any.
const TRIES: u32 = 40;

pub(super) fn run(node: &mut Node) -> Result<()> {
    // Its blocks are of a small zone, which it holds: each try fails at once.
    node::load_module("fragwatch_flood", c"order=9 tries=0 small=1")?;
    for (part, tries) in [("quiet", 0), ("noisy", TRIES)] {
        let mut control = Attempt::prepare(node, Side::Control, part)?;
        let mut faulty = Attempt::prepare(node, Side::Faulty, part)?;
        for attempt in [&mut control, &mut faulty] {
            attempt.enter()?;
        }
        node.channel.node(format!("{part}: process {} fails", faulty.creator().pid()));
        let reader = Pid::from_raw(node.watcher.pid().cast_signed());
        kill(reader, Signal::SIGSTOP).context("can't stop fragwatch")?;
        parameter("tries", tries)?;
        make(NAMESPACES)?;
        let outcome = control.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        outcome.context("what has a fallback must be made")?;
        parameter("tries", 1)?;
        parameter("must", 1)?;
        let outcome = faulty.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        if outcome != Err(Errno::ENOMEM) {
            bail!("what has no fallback must fail with ENOMEM, and this is {outcome:?}");
        }
        parameter("must", 0)?;
        kill(reader, Signal::SIGCONT).context("can't let fragwatch go on")?;
        // What it reports next is about the next part.
        thread::sleep(Duration::from_secs(5));
    }
    Ok(())
}

fn make(count: u32) -> Result<()> {
    // In a thread of its own: the machine's network namespace stays as it is.
    let made =
        thread::spawn(move || (0..count).try_for_each(|_| unshare(CloneFlags::CLONE_NEWNET)));
    let made = made.join().map_err(|_| anyhow::anyhow!("the thread that makes them panicked"))?;
    made.context("a network namespace must be made")
}

fn parameter(name: &str, value: u32) -> Result<()> {
    let path = format!("/sys/module/fragwatch_flood/parameters/{name}");
    fs::write(&path, value.to_string()).with_context(|| format!("can't write to {path}"))
}
