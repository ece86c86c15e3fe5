//! Processes that hold memory, as other containers would.
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    num::NonZeroUsize,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::{
    mman::{MapFlags, ProtFlags, mlock, mmap_anonymous},
    prctl::set_pdeathsig,
    signal::Signal,
};

use crate::{
    CHILD,
    memory::meminfo_kib,
    reached::Reached,
    spec::{Hog, HogSize},
};

/// What this child is called.
pub(crate) const ROLE: &str = "hog";
/// The line of a child that holds all it should.
const DONE: &str = "done";

/// Such a process, as a command that is not started yet. It prints a line when it holds all it should.
pub fn command(hog: &Hog) -> Result<Command> {
    let json = serde_json::to_string(hog).context("could not describe the process")?;
    let mut command = Command::new("/proc/self/exe");
    command.args([CHILD, ROLE, &json]).stdin(Stdio::null());
    Ok(command)
}

/// A process that holds memory; ended when dropped.
pub(crate) struct Held(Child);

impl Held {
    /// Starts it, and waits until it holds its memory.
    pub(crate) fn start(hog: &Hog) -> Result<(Self, Reached)> {
        let mut command = command(hog)?;
        command.stdout(Stdio::piped());
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        let child = command.spawn().context("could not start a process that holds memory")?;
        let mut held = Self(child);
        let stdout = held.0.stdout.take().context("the process that holds memory has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("could not read from it")?;
        if line.trim() != DONE {
            let status = held.0.wait().context("could not wait for it")?;
            bail!("the process that was to hold memory ended early: {status}");
        }
        let available = meminfo_kib("MemAvailable")? / 1024;
        let sentence = format!("a process holds memory, and {available} MiB are available");
        Ok((held, Reached { sentences: vec![sentence], ..Reached::default() }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It fails only if the process is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the child does.
pub(crate) fn run_child(json: &str) -> Result<()> {
    let hog: Hog = serde_json::from_str(json).context("it is not described")?;
    for file in &hog.procs {
        fs::write(file, "0").with_context(|| format!("could not enter the cgroup of {file}"))?;
    }
    fs::write("/proc/self/oom_score_adj", hog.oom_score_adj.to_string())
        .context("could not set oom_score_adj")?;
    let kib = match hog.size {
        HogSize::Kib(kib) => kib,
        HogSize::AllBut(left) => meminfo_kib("MemAvailable")?.saturating_sub(left),
    };
    let length = NonZeroUsize::new(kib as usize * 1024).context("there is no memory to hold")?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a mapping at an address of the kernel's choice touches no memory of ours.
    let start = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_PRIVATE) }
        .with_context(|| format!("could not map {kib} KiB"))?;
    // SAFETY: the range is exactly the mapping above; locking changes no content.
    unsafe { mlock(start, length.get()) }.with_context(|| format!("could not lock {kib} KiB"))?;
    println!("{DONE}");
    std::io::stdout().flush().context("could not print that all is done")?;
    loop {
        thread::park();
    }
}
