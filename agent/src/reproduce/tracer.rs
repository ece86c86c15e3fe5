//! `fragwatch trace` as a child: started while there is memory, stopped when the command has ended.
use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill},
    },
    unistd::Pid,
};

use crate::reproduce::{POLL, relay::Relayed};

/// A slow machine attaches all hooks in this time.
const READY: Duration = Duration::from_mins(3);
/// A slow machine ends a trace in this time after a signal.
const END: Duration = Duration::from_mins(3);

/// A trace that runs.
pub(super) struct Tracer {
    child: Child,
    lines: Receiver<Relayed>,
}

/// The report of a trace that ran to its end.
pub(super) struct Traced {
    /// Its lines but the first and the last.
    pub(super) lines: Vec<Relayed>,
    /// Events that were lost.
    pub(super) lost: u64,
}

impl Tracer {
    /// Starts it, and waits until it watches.
    pub(super) fn start(record: Option<&Path>, stopped: &dyn Fn() -> bool) -> anyhow::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        // On a fast machine compaction helps within microseconds: how long a creation waits is no matter here.
        command.args(["trace", "--format", "relay", "--stall", "1ns"]);
        if let Some(record) = record {
            command.arg("--record").arg(record);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGTERM)?)) };
        let mut child = command.spawn().context("could not start trace")?;
        let stdout = child.stdout.take().context("trace has no stdout")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str::<Relayed>(&line) else { continue };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let tracer = Self { child, lines };
        let deadline = Instant::now() + READY;
        loop {
            match tracer.lines.recv_timeout(POLL) {
                Ok(_) => return Ok(tracer),
                Err(RecvTimeoutError::Timeout) if stopped() => bail!("interrupted by a signal"),
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    bail!("trace did not attach within {} s", READY.as_secs())
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("without trace nothing can be reported, and it ended")
                }
            }
        }
    }

    /// Ends it. `None` if it had ended before, or does not end by itself.
    pub(super) fn end(self) -> Option<Traced> {
        // It fails only if trace is gone, which the missing last line shows.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
        let deadline = Instant::now() + END;
        let mut lines = Vec::new();
        while let Ok(line) =
            self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            if line.line["type"] == "summary" {
                let lost = line.line["lost"].as_u64().unwrap_or_default();
                return Some(Traced { lines, lost });
            }
            lines.push(line);
        }
        None
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let deadline = Instant::now() + END;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(POLL);
        }
        // Both fail only if it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
