//! Processes that make what a container is made of, step by step, as a runtime does. They are started
//! while the node is well, hold all they need, and can't be killed for memory: so only the steps
//! that they take later can fail.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pause};

use crate::start_step::{self, StartStep};

/// What a container that has its own of everything unshares, as runc's second stage does.
pub(crate) const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWPID);

/// For clone3: the child begins in the cgroup whose directory is given (include/uapi/linux/sched.h,
/// from 5.7 on).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What runc calls its second stage.
pub(crate) const COMM: &str = "runc:[1:CHILD]";

/// A step of a container's creation.
pub(crate) enum Step<'a> {
    /// Go into the cgroups with these `cgroup.procs`.
    Enter(&'a [String]),
    /// Make the cgroup with this directory.
    MakeCgroup(&'a str),
    /// Leave these namespaces for new ones.
    Unshare(CloneFlags),
    /// Open a file, which stays open.
    OpenFile,
    /// Write a file of so many MiB.
    Write(&'a str, u64),
    /// Look up all names below this directory.
    LookUp(&'a str),
    /// Take this `oom_score_adj`.
    Score(&'a str),
    /// Make a process, which ends at once.
    Fork,
    /// Make a process, which stays.
    ForkAndStay,
    /// Take one of the other steps of a start.
    Start(StartStep),
    /// Make a cgroup with this directory, have a process in it try something, and remove it again.
    Brief(&'a str, Trial),
}

/// What is tried in a cgroup that is there for no longer than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// Leave the network namespace for a new one.
    Unshare,
    /// Make a process where there may be no second one.
    Fork,
}

/// The outcome of a step.
pub(crate) type Outcome = std::result::Result<(), Errno>;

/// A process that makes containers.
pub(crate) struct Creator {
    child: Child,
    steps: ChildStdin,
    outcomes: BufReader<ChildStdout>,
}

impl Creator {
    /// Starts one.
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .args(["creator", COMM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start a creator")?;
        let steps = child.stdin.take().context("the creator has no stdin")?;
        let outcomes = child.stdout.take().context("the creator has no stdout")?;
        let mut creator = Self { child, steps, outcomes: BufReader::new(outcomes) };
        // It sends one outcome when it is prepared.
        creator.finish()?.context("the creator could not prepare itself")?;
        Ok(creator)
    }

    /// Has it take a step.
    pub(crate) fn take(&mut self, step: &Step) -> Result<Outcome> {
        self.begin(step)?;
        self.finish()
    }

    /// Has it begin with a step, without waiting for the outcome.
    pub(crate) fn begin(&mut self, step: &Step) -> Result<()> {
        writeln!(self.steps, "{}", step.line()).context("can't write to the creator")
    }

    /// Waits for the outcome of a step.
    pub(crate) fn finish(&mut self) -> Result<Outcome> {
        self.finish_timed().map(|(outcome, _)| outcome)
    }

    /// Waits for the outcome of a step, with how long it took, in microseconds.
    pub(crate) fn finish_timed(&mut self) -> Result<(Outcome, u64)> {
        let mut line = String::new();
        self.outcomes.read_line(&mut line).context("can't read from the creator")?;
        let mut words = line.split_whitespace();
        let (Some(Ok(number)), Some(Ok(took_us))) =
            (words.next().map(str::parse::<i32>), words.next().map(str::parse::<u64>))
        else {
            bail!("the creator ended, {}; its error is on the console", self.child.wait()?);
        };
        Ok((if number == 0 { Ok(()) } else { Err(Errno::from_raw(number)) }, took_us))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Waits until it is gone, killed by another.
    pub(crate) fn wait(mut self) -> Result<()> {
        self.child.wait().context("can't wait for the creator")?;
        Ok(())
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().context("can't kill the creator")?;
        self.child.wait().context("can't wait for the creator")?;
        Ok(())
    }
}

impl Step<'_> {
    fn line(&self) -> String {
        match self {
            Self::Enter(files) => files.iter().fold("enter".to_owned(), |mut line, file| {
                let _ = write!(line, " {file}");
                line
            }),
            Self::MakeCgroup(directory) => format!("mkdir {directory}"),
            Self::Unshare(flags) => format!("unshare {}", flags.bits()),
            Self::OpenFile => "open".to_owned(),
            Self::Write(file, mib) => format!("write {mib} {file}"),
            Self::LookUp(directory) => format!("look-up {directory}"),
            Self::Score(score) => format!("score {score}"),
            Self::Fork => "fork".to_owned(),
            Self::ForkAndStay => "fork-and-stay".to_owned(),
            Self::Start(step) => format!("start {}", step.line()),
            Self::Brief(directory, Trial::Unshare) => format!("brief-unshare {directory}"),
            Self::Brief(directory, Trial::Fork) => format!("brief-fork {directory}"),
        }
    }
}

/// What the process does: one step a line; one errno a line back, 0 if all went well, with how many
/// microseconds it took.
pub(crate) fn run_child(comm: &str) -> Result<()> {
    fs::write("/proc/self/comm", comm).context("can't take the name")?;
    fs::write("/proc/self/oom_score_adj", "-1000").context("can't protect the creator")?;
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
        .context("can't lock the creator's memory")?;
    let (mut outcome, mut took) = (0, Duration::ZERO);
    let mut input = std::io::stdin().lock();
    let mut line = String::with_capacity(4096);
    loop {
        println!("{outcome} {}", took.as_micros());
        std::io::stdout().flush().context("can't print the outcome")?;
        line.clear();
        if input.read_line(&mut line).context("can't read the next step")? == 0 {
            return Ok(());
        }
        let began = Instant::now();
        outcome = match take(line.trim())? {
            Ok(()) => 0,
            Err(error) => error as i32,
        };
        took = began.elapsed();
    }
}

fn take(line: &str) -> Result<Outcome> {
    let (step, what) = line.split_once(' ').unwrap_or((line, ""));
    Ok(match step {
        "enter" => what.split(' ').try_for_each(|file| errno(fs::write(file, "0"))),
        "mkdir" => errno(fs::create_dir(what)),
        "unshare" => {
            let flags = what.parse().context("the flags are no number")?;
            unshare(CloneFlags::from_bits_retain(flags))
        }
        "open" => errno(File::open("/dev/null").map(std::mem::forget)),
        "write" => {
            let (mib, file) = what.split_once(' ').context("the step names no file")?;
            let mib: u64 = mib.parse().context("the size is no number")?;
            errno(write(file, mib))
        }
        "look-up" => errno(look_up(Path::new(what))),
        "score" => errno(fs::write("/proc/self/oom_score_adj", what)),
        "fork" => make_process(false),
        "fork-and-stay" => make_process(true),
        "brief-unshare" => brief(what, Trial::Unshare),
        "brief-fork" => brief(what, Trial::Fork),
        "start" => {
            let (step, what) = what.split_once(' ').unwrap_or((what, ""));
            start_step::take(step, what)?
        }
        _ => bail!("the creator has no step {step}"),
    })
}

fn errno(result: std::io::Result<()>) -> Outcome {
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

/// Each name and inode stays in the kernel's caches, charged to the cgroup of this process.
fn look_up(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let found = fs::symlink_metadata(&path)?;
        if found.is_dir() {
            look_up(&path)?;
        }
    }
    Ok(())
}

fn write(path: &str, mib: u64) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let part = [b'x'; 4096];
    (0..mib * 256).try_for_each(|_| file.write_all(&part))
}

fn make_process(stays: bool) -> Outcome {
    // SAFETY: this process has one thread, so that the new one may do what it likes.
    match unsafe { fork() }? {
        ForkResult::Child if stays => loop {
            pause();
        },
        ForkResult::Child => std::process::exit(0),
        ForkResult::Parent { child } if !stays => waitpid(child, None).map(|_| ()),
        ForkResult::Parent { .. } => Ok(()),
    }
}

/// What the one process of a new cgroup comes to; that is removed when it is gone.
fn brief(directory: &str, trial: Trial) -> Outcome {
    errno(fs::create_dir(directory))?;
    let outcome = errno(match trial {
        Trial::Unshare => Ok(()),
        Trial::Fork => fs::write(format!("{directory}/pids.max"), "1"),
    })
    .and_then(|()| try_in(directory, trial));
    errno(fs::remove_dir(directory))?;
    outcome
}

/// Starts a process in a cgroup, which tries it and ends with the errno.
fn try_in(directory: &str, trial: Trial) -> Outcome {
    let cgroup = File::open(directory).map_err(|_| Errno::last())?;
    // SAFETY: the structure is made of numbers, for which 0 is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    // SAFETY: the arguments are a structure of this length, which outlives the call; without a stack
    // of its own the child goes on here with a copy of all memory, as after fork(2), and this process
    // has one thread.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    match child {
        -1 => Err(Errno::last()),
        0 => {
            let outcome = match trial {
                Trial::Unshare => unshare(CloneFlags::CLONE_NEWNET),
                Trial::Fork => make_process(false),
            };
            std::process::exit(outcome.err().map_or(0, |error| error as i32));
        }
        child => match waitpid(Pid::from_raw(child as i32), None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, number) => Err(Errno::from_raw(number)),
            _ => Err(Errno::ECHILD),
        },
    }
}
