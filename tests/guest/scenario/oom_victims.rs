//! Memory is free, but in single pages: process 1 forks, and the OOM killer takes containers that have run
//! for a while. Before that the control: the same process forks on the same node with memory in one piece.
//! Then a second fragwatch is started there, whose programs need blocks too.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::job::FRAGWATCH;
use nix::unistd::{ForkResult, fork, pause};

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::state;

/// What a container holds, in MiB.
const CONTAINER_MIB: u64 = 8;
const CONTAINERS: usize = 6;
const CONTROLS: u32 = 20;
/// Longer than a container's start takes: these run.
const OLD: Duration = Duration::from_secs(12);
const PROCESSES: u32 = 4000;
/// Blocks of two pages that are left.
const LEFT: u64 = 256;
/// What its line in the kernel's log ends with.
const CALLED: &str = " invoked oom-killer";

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut containers = Vec::new();
    for _ in 0..CONTAINERS {
        let mut container = Attempt::prepare(node, Side::Faulty, "running")?;
        container.enter()?;
        let hog = state::in_cgroups(CONTAINER_MIB, container.procs());
        node.states.push(state::reach(node.channel, &[hog])?);
        node.channel.send("victim", &container.cgroup());
        containers.push(container);
    }
    for _ in 0..CONTROLS {
        stay()?;
    }
    thread::sleep(OLD);
    node.channel.node("the controls are made");
    node.states.push(state::fragment(node.channel, 1, LEFT)?);
    for number in 1..=PROCESSES {
        if !node.watched()? {
            return Ok(());
        }
        stay()?;
        if number % 5 == 0 && node.log.lines()?.iter().any(|line| line.contains(CALLED)) {
            return start_another(node);
        }
    }
    bail!("{PROCESSES} processes were made without calling the OOM killer")
}

/// Whether it can be attached is not what this is about.
fn start_another(node: &Node) -> Result<()> {
    let ended = Command::new(FRAGWATCH)
        .args(["trace", "--duration", "1s"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("can't run a second fragwatch")?;
    node.channel.node(format!("a second fragwatch ended with {ended}"));
    let killed = node.log.lines()?.iter().filter(|line| line.contains("Killed process ")).count();
    node.channel.send("killed", &killed.to_string());
    Ok(())
}

/// Makes a process, which stays.
fn stay() -> Result<()> {
    // SAFETY: the child calls nothing but pause(2), which any thread of a process may after fork(2).
    if let ForkResult::Child = unsafe { fork() }.context("can't make a process")? {
        loop {
            pause();
        }
    }
    Ok(())
}
