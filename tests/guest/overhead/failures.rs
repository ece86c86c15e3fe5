//! Creations that fail on fragmented memory: how long their reports take, alone and in a flood of other
//! failures, and what fragwatch takes of a processor at a steady rate of them.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::overhead::{Contestant, Fact};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use super::contestant::Running;
use super::operation::try_for_blocks;
use super::usage::process_cpu_ns;
use super::{Bench, SETTLE};
use crate::{node, state};

/// fragwatch logs how long each stage of a report takes.
const STAGES: &str = "warn,fragwatch::trace::watch::waiting=debug";
/// Failing creations whose reports are timed.
const CREATIONS: u32 = 50;
/// Time between two of them.
const APART: Duration = Duration::from_millis(500);
/// Namespaces that may be made before one is refused.
const TRIES: u32 = 50;
/// Failing creations in the flood, and its other failures.
const IN_FLOOD: u32 = 10;
const FLOOD: u32 = 1_000_000;
/// Failed allocations in each step of the steady rate, and its steps.
const STEP: u32 = 100;
const STEP_TIME: Duration = Duration::from_millis(10);
const STEPS: u32 = 2000;

/// Fragments memory and sends what was measured.
pub(super) fn measure(bench: &Bench) -> Result<()> {
    node::load_pernet_module(bench.channel)?;
    let Some(running) = Running::start_logging(bench, Contestant::With, STAGES)? else {
        return Ok(());
    };
    let _fragmented = state::fragment(bench.channel, 6, 0)?;
    let mut held = Vec::new();

    let creations = bench.effort.count(CREATIONS);
    bench.channel.node(format!("{creations} creations fail"));
    for _ in 0..creations {
        fail_to_create(&mut held)?;
        thread::sleep(APART);
    }
    thread::sleep(SETTLE);
    bench.send(&Fact::Failures { creations });

    let allocations = bench.effort.count(FLOOD);
    bench.channel.node(format!("{IN_FLOOD} creations fail beside {allocations} allocations"));
    thread::scope(|scope| -> Result<()> {
        let flood =
            scope.spawn(|| (0..allocations.div_ceil(STEP)).try_for_each(|_| try_for_blocks(STEP)));
        for _ in 0..IN_FLOOD {
            fail_to_create(&mut held)?;
            thread::sleep(APART);
        }
        flood.join().ok().context("the flood panicked")?
    })?;
    thread::sleep(SETTLE);
    bench.send(&Fact::Flood { creations: IN_FLOOD, allocations });

    bench.send(&rate(running.pid, bench.effort.count(STEPS))?);
    running.stop()?;
    Ok(())
}

/// So many steps at a steady rate.
fn rate(pid: u32, steps: u32) -> Result<Fact> {
    let (began, cpu) = (Instant::now(), process_cpu_ns(pid)?);
    for step in 1..=steps {
        try_for_blocks(STEP)?;
        thread::sleep((STEP_TIME * step).saturating_sub(began.elapsed()));
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = (process_cpu_ns(pid)? - cpu) as f64 / 1e9 / seconds;
    Ok(Fact::Rate { per_second: f64::from(steps * STEP) / seconds, cpu })
}

/// Has one network namespace refused. Any that is made instead is held, so that the next one finds less.
fn fail_to_create(held: &mut Vec<File>) -> Result<()> {
    for _ in 0..TRIES {
        let outcome = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).map(|()| File::open("/proc/thread-self/ns/net"))
        })
        .join();
        match outcome.ok().context("the thread that makes a namespace panicked")? {
            Err(Errno::ENOMEM) => return Ok(()),
            Err(error) => bail!("a network namespace failed, but not for lack of memory: {error}"),
            Ok(namespace) => held.push(namespace.context("can't hold a network namespace")?),
        }
    }
    bail!("{TRIES} network namespaces were made on fragmented memory, where none should be")
}
