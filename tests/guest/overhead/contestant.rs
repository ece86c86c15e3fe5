//! Starts what the operations run beside.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use harness::job::{BEFORE, BPFTRACE, FRAGWATCH};
use harness::overhead::{Contestant, Memory, SCRIPT, TUNABLES};

use super::usage::{memory, process_cpu_ns};
use super::{Bench, SETTLE};
use crate::watcher::Watcher;

/// A contestant whose process runs.
pub(super) struct Running {
    watcher: Watcher,
    pub(super) pid: u32,
    /// CPU time until it was ready.
    pub(super) ready_cpu_ns: u64,
    /// Time until it was ready.
    pub(super) ready_wall_ns: u64,
    /// Memory when it was ready.
    pub(super) ready: Memory,
}

impl Running {
    /// Starts one and waits until it is ready and quiet. None if the contestant is no process.
    pub(super) fn start(bench: &Bench, contestant: Contestant) -> Result<Option<Self>> {
        // What each step of its start takes is in fragwatch.err.
        Self::start_logging(
            bench,
            contestant,
            "warn,fragwatch::live::start=info,fragwatch::hook=info",
        )
    }

    /// The same, with what fragwatch logs (`RUST_LOG`). Its programs in the kernel log too, if anything
    /// is to be logged at level debug: that takes time.
    pub(super) fn start_logging(
        bench: &Bench,
        contestant: Contestant,
        log: &str,
    ) -> Result<Option<Self>> {
        let Some(program) = program(contestant) else { return Ok(None) };
        let mut command = Command::new(program);
        if contestant == Contestant::Bpftrace {
            // Its first line then is one of the script, which comes when all probes are attached.
            command.args(["-q", SCRIPT]);
        } else {
            command.args(bench.args).env("RUST_LOG", log);
            if bench.args.first().is_some_and(|command| command == "serve") {
                command.env("GLIBC_TUNABLES", TUNABLES);
            }
        }
        let began = Instant::now();
        let mut watcher = Watcher::spawn(bench.channel, command, false)?;
        if !watcher.wait_until_ready()? {
            watcher.stop()?;
            bail!("{program} ended before it was ready; fragwatch.err has what it printed");
        }
        let ready_wall_ns = began.elapsed().as_nanos() as u64;
        let pid = watcher.pid();
        let ready_cpu_ns = process_cpu_ns(pid)?;
        let ready = memory(pid)?;
        thread::sleep(SETTLE);
        Ok(Some(Self { watcher, pid, ready_cpu_ns, ready_wall_ns, ready }))
    }

    /// Ends it. Returns how long that took.
    pub(super) fn stop(self) -> Result<Duration> {
        let began = Instant::now();
        self.watcher.stop()?;
        let took = began.elapsed();
        // What it had attached is freed later.
        thread::sleep(SETTLE);
        Ok(took)
    }
}

/// Whether a contestant is in this machine.
pub(super) fn is_there(contestant: Contestant) -> bool {
    program(contestant).is_none_or(|program| Path::new(program).exists())
}

fn program(contestant: Contestant) -> Option<&'static str> {
    match contestant {
        Contestant::Without => None,
        Contestant::Before => Some(BEFORE),
        Contestant::With => Some(FRAGWATCH),
        Contestant::Bpftrace => Some(BPFTRACE),
    }
}
