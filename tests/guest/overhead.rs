//! What fragwatch costs the node: the same loops without it and beside it, in turns.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::job::{BEFORE, FRAGWATCH};
use nix::sched::{CloneFlags, unshare};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::channel::Channel;
use crate::watcher::Watcher;

const ROUNDS: usize = 2;
const NAMESPACES: u32 = 200;
const CGROUPS: u32 = 200;
/// For the removal of namespaces, which the kernel does later.
const SETTLE: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(20);

/// Measures each contestant in turns, and sends one line of JSON for each turn to the host.
pub(crate) fn run(channel: &Channel, args: &[String]) -> Result<()> {
    // The first namespaces and cgroups of a boot fill the kernel's caches.
    namespaces()?;
    cgroups()?;
    for round in 0..ROUNDS {
        channel.node(format!("round {} of {ROUNDS}", round + 1));
        send(channel, "without", loops()?);
        for (name, program) in [("before", BEFORE), ("with", FRAGWATCH)] {
            if Path::new(program).exists() {
                send(channel, name, beside(channel, program, args)?);
            }
        }
    }
    channel.send("exit", "0");
    Ok(())
}

fn send(channel: &Channel, name: &str, mut measured: Value) {
    measured["name"] = name.into();
    channel.send("overhead", &measured.to_string());
}

/// The loops, each with its time for one operation.
fn loops() -> Result<Value> {
    let netns_ns = namespaces()?;
    thread::sleep(SETTLE);
    let cgroup_ns = cgroups()?;
    Ok(json!({"netns_ns": netns_ns, "cgroup_ns": cgroup_ns}))
}

/// The same beside a fragwatch, with what its process took.
fn beside(channel: &Channel, program: &str, args: &[String]) -> Result<Value> {
    let mut command = Command::new(program);
    command.args(args);
    let mut watcher = Watcher::spawn(channel, command, false)?;
    if !watcher.wait_until_ready()? {
        bail!("{program} ended before it was ready");
    }
    let pid = watcher.pid();
    let ready = cpu_ns(pid)?;
    let (rss_ready, peak) = (status_kib(pid, "VmRSS:")?, status_kib(pid, "VmHWM:")?);
    thread::sleep(SETTLE);
    let before_idle = cpu_ns(pid)?;
    thread::sleep(IDLE);
    let idle = cpu_ns(pid)? - before_idle;
    let began = cpu_ns(pid)?;
    let netns_ns = namespaces()?;
    thread::sleep(SETTLE);
    let after_netns = cpu_ns(pid)?;
    let cgroup_ns = cgroups()?;
    thread::sleep(SETTLE);
    let settle = idle * SETTLE.as_secs() / IDLE.as_secs();
    let each = |ns: u64, count: u32| ns.saturating_sub(settle) / u64::from(count);
    let measured = json!({
        "netns_ns": netns_ns,
        "cgroup_ns": cgroup_ns,
        "cpu_until_ready_ns": ready,
        "cpu_idle_ns_per_s": idle / IDLE.as_secs(),
        "cpu_per_netns_ns": each(after_netns - began, NAMESPACES),
        "cpu_per_cgroup_ns": each(cpu_ns(pid)? - after_netns, CGROUPS),
        "rss_ready_kib": rss_ready,
        "rss_after_kib": status_kib(pid, "VmRSS:")?,
        "peak_kib": peak,
    });
    watcher.stop()?;
    Ok(measured)
}

/// Creates network namespaces, of which each drops the one before; returns the creator's CPU time for
/// one.
fn namespaces() -> Result<u64> {
    // In a thread of its own, whose last namespace ends with it.
    let made = thread::spawn(|| {
        timed(NAMESPACES, |_| {
            unshare(CloneFlags::CLONE_NEWNET).context("can't create a network namespace")
        })
    });
    made.join().ok().context("the thread that creates namespaces panicked")?
}

/// Creates and removes cgroups; returns the CPU time for one.
fn cgroups() -> Result<u64> {
    timed(CGROUPS, |number| {
        let directory = format!("/sys/fs/cgroup/overhead-{number}");
        fs::create_dir(&directory).with_context(|| format!("can't create {directory}"))?;
        fs::remove_dir(&directory).with_context(|| format!("can't remove {directory}"))
    })
}

/// This thread's CPU time for one of these operations, in nanoseconds.
fn timed(count: u32, mut operation: impl FnMut(u32) -> Result<()>) -> Result<u64> {
    let now = || -> Result<u64> {
        let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        Ok(Duration::from(time).as_nanos() as u64)
    };
    let began = now()?;
    (0..count).try_for_each(&mut operation)?;
    Ok((now()? - began) / u64::from(count))
}

/// The CPU time of all of a process's threads, in nanoseconds.
fn cpu_ns(pid: u32) -> Result<u64> {
    let tasks = format!("/proc/{pid}/task");
    let mut sum = 0;
    for task in fs::read_dir(&tasks).with_context(|| format!("can't list {tasks}"))?.flatten() {
        // A thread may have ended since.
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let ns: Option<u64> = stat.split(' ').next().and_then(|ns| ns.parse().ok());
        sum += ns.unwrap_or(0);
    }
    Ok(sum)
}

fn status_kib(pid: u32, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    value
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("{path} has no {field}"))
}
