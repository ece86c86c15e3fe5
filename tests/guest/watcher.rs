//! fragwatch as a child of process 1: started, measured when ready, stopped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::job::FRAGWATCH;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::json;

use crate::channel::{self, Channel};
use crate::{inside, unprivileged};

const READY_DEADLINE: Duration = Duration::from_mins(2);
const STOP_DEADLINE: Duration = Duration::from_mins(1);

/// A fragwatch that runs.
pub(crate) struct Watcher {
    child: Child,
    started: Instant,
    first_line: Receiver<()>,
    pumps: Vec<JoinHandle<()>>,
    channel: Channel,
}

/// The user that fragwatch runs as.
pub(crate) enum User<'a> {
    /// Root, with all capabilities.
    Root,
    /// An unprivileged user with these capabilities alone.
    Unprivileged(&'a str),
    /// Root, in a cgroup namespace of its own.
    InCgroupNamespace,
}

impl Watcher {
    /// Starts fragwatch; its output goes to the host line by line.
    pub(crate) fn start(
        channel: &Channel,
        args: &[String],
        colour: bool,
        user: &User,
    ) -> Result<Self> {
        let mut command = match user {
            User::Root => Command::new(FRAGWATCH),
            User::Unprivileged(capabilities) => unprivileged::command(capabilities, FRAGWATCH),
            User::InCgroupNamespace => inside::command(FRAGWATCH),
        };
        command.args(args);
        Self::spawn(channel, command, colour)
    }

    /// As [`Watcher::start`], for this program with its arguments.
    pub(crate) fn spawn(channel: &Channel, mut command: Command, colour: bool) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if colour {
            command.env("CLICOLOR_FORCE", "1");
        }
        let started = Instant::now();
        let mut child = command.spawn().context("can't start fragwatch")?;
        let (first, first_line) = mpsc::channel();
        let mut pumps = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            pumps.push(pump(stdout, "fragwatch-out", channel.clone(), Some(first)));
        }
        if let Some(stderr) = child.stderr.take() {
            pumps.push(pump(stderr, "fragwatch-err", channel.clone(), None));
        }
        Ok(Self { child, started, first_line, pumps, channel: channel.clone() })
    }

    /// Waits for the first line on stdout. False: fragwatch ended instead.
    pub(crate) fn wait_until_ready(&mut self) -> Result<bool> {
        let deadline = self.started + READY_DEADLINE;
        loop {
            match self.first_line.recv_timeout(Duration::from_millis(20)) {
                Ok(()) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) if self.ended()? => return Ok(false),
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    let stack = self.kernel_stack();
                    // Its stderr comes out with its end.
                    let _ = self.child.kill();
                    bail!(
                        "fragwatch printed no line within {} s; in the kernel it was at: {stack}",
                        READY_DEADLINE.as_secs()
                    )
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        let wall_ms = self.started.elapsed().as_millis();
        // One that ended right after its line has no memory to measure.
        if let Ok(measure) = self.measure(wall_ms as u64) {
            self.channel.send("measure", &measure);
        }
        self.send_capabilities();
        self.channel.send("clock", &channel::realtime_ms().to_string());
        Ok(true)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends its memory and CPU time until now to the host, as [`Self::wait_until_ready`] does once.
    pub(crate) fn send_usage(&self) -> Result<()> {
        let wall_ms = self.started.elapsed().as_millis();
        self.channel.send("measure-later", &self.measure(wall_ms as u64)?);
        Ok(())
    }

    /// Whether fragwatch ended by itself.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("can't get the state of fragwatch")?.is_some())
    }

    /// Waits for a fragwatch that ends by itself, and sends its exit code to the host.
    pub(crate) fn finish(mut self) -> Result<()> {
        let status = self.child.wait().context("can't wait for fragwatch")?;
        self.report(status);
        Ok(())
    }

    /// Asks fragwatch to end, as Ctrl-C would, and sends its exit code to the host.
    pub(crate) fn stop(mut self) -> Result<()> {
        if !self.ended()? {
            let pid = Pid::from_raw(self.child.id().cast_signed());
            kill(pid, Signal::SIGINT).context("can't send SIGINT to fragwatch")?;
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().context("can't wait for fragwatch")? {
                break status;
            }
            if Instant::now() > deadline {
                self.channel.node(format!(
                    "fragwatch didn't end within {} s of SIGINT: killed",
                    STOP_DEADLINE.as_secs()
                ));
                self.child.kill().context("can't kill fragwatch")?;
                break self.child.wait().context("can't wait for fragwatch")?;
            }
            thread::sleep(Duration::from_millis(10));
        };
        self.report(status);
        Ok(())
    }

    /// The kernel stack of the main thread.
    fn kernel_stack(&self) -> String {
        let stack = fs::read_to_string(format!("/proc/{}/stack", self.child.id()));
        stack.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn report(self, status: ExitStatus) {
        // Its last lines come before its exit code.
        for pump in self.pumps {
            let _ = pump.join();
        }
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        self.channel.send("exit", &code.unwrap_or(1).to_string());
    }

    /// Sends the capabilities of each of its threads to the host.
    fn send_capabilities(&self) {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        // One that ended right after its line has no threads any more.
        for task in tasks.into_iter().flatten().flatten() {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let wanted = |line: &&str| line.starts_with("Cap") || line.starts_with("Name:");
            let sets = status.lines().filter(wanted);
            let sets: Vec<String> = sets.map(|line| line.replace(":\t", ":")).collect();
            self.channel.send("capabilities", &sets.join(" "));
        }
    }

    fn measure(&self, wall_ms: u64) -> Result<String> {
        let pid = self.child.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
                .unwrap_or(0_u64)
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in brackets may hold spaces; after it, utime and stime are the 12th and 13th.
        let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat has no name")?;
        let ticks: u64 =
            fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let hertz = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100).cast_unsigned();
        Ok(json!({
            "vm_rss_kib": field("VmRSS:"),
            "vm_hwm_kib": field("VmHWM:"),
            "anon_kib": field("RssAnon:"),
            "cpu_ms": ticks * 1000 / hertz,
            "ready_ms": wall_ms,
        })
        .to_string())
    }
}

/// Sends each line of a pipe to the host; the first one is also signalled.
fn pump(
    pipe: impl Read + Send + 'static,
    stream: &'static str,
    channel: Channel,
    first: Option<Sender<()>>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(pipe.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            channel.send(stream, &String::from_utf8_lossy(&line));
            line.clear();
            if let Some(first) = &first {
                // After the first one the receiver may be gone.
                let _ = first.send(());
            }
        }
    })
}
