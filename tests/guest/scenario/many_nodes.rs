//! Eight NUMA nodes and sixteen processors: a container can't be created for lack of an order-6 block, then many
//! processes run out of memory at once.

use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fragwatch_states::hog;
use fragwatch_states::memory::meminfo_kib;
use fragwatch_states::spec::{Hog, HogSize};

use super::{Node, order6};

/// Processes that take memory, three times what there is all together.
const PROCESSES: u64 = 48;
/// Kills that make it a storm.
const KILLS: usize = 24;
const DEADLINE: Duration = Duration::from_mins(15);

pub(super) fn run(node: &mut Node) -> Result<()> {
    order6::run(node)?;
    let each = meminfo_kib("MemAvailable")? / 1024 * 3 / PROCESSES;
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        children.push(start(each)?);
    }
    let result = wait_for_kills(node);
    for mut child in children {
        // It may be gone already.
        let _ = child.kill();
        child.wait().context("can't wait for a process that took memory")?;
    }
    let kills = result?;
    // fragwatch has read all by then.
    thread::sleep(Duration::from_secs(3));
    node.channel.node(format!("the OOM killer took {kills} processes of {each} MiB each"));
    Ok(())
}

/// One that goes on taking memory while others start.
fn start(mib: u64) -> Result<Child> {
    let size = HogSize::Kib(mib * 1024);
    hog::command(&Hog { size, oom_score_adj: 500, procs: Vec::new() })?
        .stdout(Stdio::null())
        .spawn()
        .context("can't start a process that takes memory")
}

/// Returns how many there were.
fn wait_for_kills(node: &mut Node) -> Result<usize> {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        if !node.watched()? {
            bail!("fragwatch ended in the storm");
        }
        let lines = node.log.lines()?;
        let kills = lines.iter().filter(|line| line.contains("Killed process")).count();
        if kills >= KILLS {
            return Ok(kills);
        }
        thread::sleep(Duration::from_millis(500));
    }
    bail!("less than {KILLS} processes were killed within {} s", DEADLINE.as_secs())
}
