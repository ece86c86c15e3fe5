//! A turn: all operations beside a contestant.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use harness::overhead::{Contestant, Cost, Fact, Operation, Process};

use super::contestant::Running;
use super::usage::{Clocks, memory, threads_cpu_ns};
use super::{Bench, SETTLE, operation};

/// A while in which nothing happens.
const IDLE: Duration = Duration::from_secs(20);

/// CPU time in a second in which nothing happens, in nanoseconds.
pub(super) struct Idle {
    node_ns: f64,
    pub(super) process_ns: f64,
}

/// Measures all operations beside a contestant.
pub(super) fn measure(bench: &Bench, contestant: Contestant) -> Result<Fact> {
    let running = Running::start(bench, contestant)?;
    let pid = running.as_ref().map(|running| running.pid);
    let idle = idle(pid)?;
    let costs: Result<Vec<Cost>> =
        Operation::ALL.iter().map(|operation| cost(bench, *operation, pid, &idle)).collect();
    let costs = costs?;
    let process = match running {
        None => None,
        Some(running) => {
            let process = Process {
                ready_cpu_ns: running.ready_cpu_ns,
                ready_wall_ns: running.ready_wall_ns,
                idle_ns_per_s: idle.process_ns,
                ready: running.ready,
                after: memory(running.pid)?,
            };
            running.stop()?;
            Some(process)
        }
    };
    Ok(Fact::Turn { contestant, costs, process })
}

/// Measures it.
pub(super) fn idle(pid: Option<u32>) -> Result<Idle> {
    let before = Clocks::read(pid)?;
    thread::sleep(IDLE);
    let used = before.used(pid)?;
    Ok(Idle { node_ns: used.node_ns / used.seconds, process_ns: used.process_ns / used.seconds })
}

/// The same for each thread of a process.
pub(super) fn idle_threads(pid: u32) -> Result<Vec<(String, f64)>> {
    let (at, before) = (Instant::now(), threads_cpu_ns(pid)?);
    thread::sleep(IDLE);
    let (seconds, after) = (at.elapsed().as_secs_f64(), threads_cpu_ns(pid)?);
    let used = after.into_iter().filter_map(|(id, (name, ns))| {
        let (_, earlier) = before.get(&id)?;
        Some((name, (ns - earlier) as f64 / seconds))
    });
    Ok(used.collect())
}

/// The CPU time of one operation, with what follows from it later, without what is used when nothing
/// happens.
fn cost(bench: &Bench, operation: Operation, pid: Option<u32>, idle: &Idle) -> Result<Cost> {
    let count = operation.count(&bench.effort);
    let before = Clocks::read(pid)?;
    let caller_ns = operation::run(operation, count)?;
    thread::sleep(SETTLE);
    let used = before.used(pid)?;
    let each = |ns: f64| ns.max(0.0) / f64::from(count);
    Ok(Cost {
        operation,
        caller_ns: each(caller_ns as f64),
        node_ns: each(used.node_ns - idle.node_ns * used.seconds),
        process_ns: each(used.process_ns - idle.process_ns * used.seconds),
    })
}
