//! The process that reaches a state and keeps it up. It ends, and undoes all, when the process that
//! started it closes its standard input or ends in any way.
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::AsFd as _,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        mman::{MlockAllFlags, mlockall},
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigHandler, Signal, killpg, signal},
    },
    unistd::{Pid, read, setsid},
};
use serde::{Deserialize, Serialize};

use crate::{
    CHILD, cgroup,
    fragmentation::Fragmented,
    hog, memcg_ids, namespaces,
    reached::Reached,
    spec::Spec,
    undo::{self, Changes, Undo},
};

/// What this child is called.
pub(crate) const ROLE: &str = "keeper";
/// How often the state is looked at while it is kept up.
const PERIOD: u16 = 100;
/// How long undoing may take: thousands of cgroups are removed one by one.
const UNDO_DEADLINE: Duration = Duration::from_mins(15);

/// What the keeper writes, one a line.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    /// How its next change is undone.
    Change(Undo),
    /// The states are reached.
    Reached(Vec<Reached>),
    /// They could not be.
    Failed(String),
    /// Everything was undone but this, in sentences.
    Undone(Vec<String>),
}

/// A keeper that runs, and so its states, which end when it is dropped.
#[must_use = "the states end when it is dropped"]
pub struct Keeper {
    child: Child,
    /// Its standard input; closed when all is to be undone.
    stdin: Option<ChildStdin>,
    messages: Receiver<Message>,
    changes: Vec<Undo>,
}

/// Why a state was not reached.
#[derive(Debug)]
pub struct NotReached {
    /// The reason, a sentence.
    pub reason: String,
    /// What could not be undone since, in sentences.
    pub not_undone: Vec<String>,
}

impl Keeper {
    /// Brings the machine into these states, one after the other, each on top of those before. `stop` says
    /// whether to give up.
    pub fn start(
        specs: &[Spec],
        stop: &dyn Fn() -> bool,
    ) -> Result<(Self, Vec<Reached>), NotReached> {
        let mut keeper = Self::spawn(specs)
            .map_err(|error| NotReached { reason: format!("{error:#}"), not_undone: Vec::new() })?;
        let reason = loop {
            match keeper.messages.recv_timeout(Duration::from_millis(100)) {
                Ok(Message::Reached(reached)) => return Ok((keeper, reached)),
                Ok(Message::Change(undo)) => keeper.changes.push(undo),
                Ok(Message::Failed(reason)) => break reason,
                Err(RecvTimeoutError::Timeout) if stop() => break "interrupted".to_owned(),
                Ok(Message::Undone(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    break "the process that keeps the state ended".to_owned();
                }
            }
        };
        Err(NotReached { reason, not_undone: keeper.end() })
    }

    fn spawn(specs: &[Spec]) -> Result<Self> {
        let json = serde_json::to_string(specs).context("could not describe the state")?;
        let mut child = Command::new("/proc/self/exe")
            .args([CHILD, ROLE, &json])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start the process that keeps the state")?;
        let stdin = child.stdin.take();
        let stdout =
            child.stdout.take().context("the process that keeps the state has no stdout")?;
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(message) = serde_json::from_str(&line) else { continue };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, messages, changes: Vec::new() })
    }

    /// Its process id: what it does to reach a state may look like a container's creation.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Which group of processes it kills if this process ends before it calls this again with `None`.
    ///
    /// # Errors
    /// If the keeper has ended.
    pub fn guard(&mut self, group: Option<u32>) -> std::io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{}", group.unwrap_or_default()),
            None => Ok(()),
        }
    }

    /// Undoes all. Returns what could not be undone, in sentences.
    pub fn end(mut self) -> Vec<String> {
        drop(self.stdin.take());
        let deadline = Instant::now() + UNDO_DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok(Message::Undone(problems)) => {
                    // Memory is given back with the process.
                    let _ = self.child.wait();
                    return problems;
                }
                Ok(Message::Change(undo)) => self.changes.push(undo),
                Ok(_) => {}
                Err(_) => {
                    // It is gone, or hangs: its changes are undone here.
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    return undo::all(&self.changes);
                }
            }
        }
    }
}

/// What is held for a state; given back when dropped.
enum Held {
    Fragmented(Box<Fragmented>),
    Hog(#[expect(dead_code, reason = "it ends when dropped")] hog::Held),
    Nothing,
}

/// What the child does.
pub(crate) fn run_child(json: &str) -> Result<()> {
    let specs: Vec<Spec> = serde_json::from_str(json).context("the state is not described")?;
    protect()?;
    let mut announce = |undo: &Undo| write_message(&Message::Change(undo.clone()));
    let mut changes = Changes::new(&mut announce);
    let mut held = Vec::new();
    let mut reached = Vec::new();
    let mut failed = None;
    for spec in &specs {
        let began = Instant::now();
        match reach(spec, &mut changes) {
            Ok((one, mut state)) => {
                state.took_ms = began.elapsed().as_millis() as u64;
                held.push(one);
                reached.push(state);
            }
            Err(error) => {
                failed = Some(format!("{error:#}"));
                break;
            }
        }
    }
    let made = changes.into_made();
    let group = if let Some(reason) = failed {
        write_message(&Message::Failed(reason))?;
        None
    } else {
        // If the parent is gone, that is found out next.
        let _ = write_message(&Message::Reached(reached));
        keep_up(&mut held)
    };
    if let Some(group) = group {
        // It fails only if the group is gone.
        let _ = killpg(group, Signal::SIGKILL);
    }
    drop(held);
    let problems = undo::all(&made);
    // It fails only if the parent is gone.
    let _ = write_message(&Message::Undone(problems));
    Ok(())
}

/// The OOM killer must not end it, or the state goes with it; nor a signal that was meant for a terminal's
/// programs.
fn protect() -> Result<()> {
    fs::write("/proc/self/oom_score_adj", "-1000").context(
        "could not protect the process that keeps the state from the OOM killer, which needs root",
    )?;
    // Each step of taking large blocks holds a file.
    let (_, most) =
        getrlimit(Resource::RLIMIT_NOFILE).context("could not read the limit on files")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("could not raise the limit on files")?;
    // It leads a session already if it was started so.
    let _ = setsid();
    for ignored in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGPIPE] {
        // SAFETY: no handler is installed.
        unsafe { signal(ignored, SigHandler::SigIgn) }.context("could not ignore signals")?;
    }
    // What it may become needs no lock: each state locks its own memory.
    mlockall(MlockAllFlags::MCL_CURRENT).context("could not lock memory")
}

fn reach(spec: &Spec, changes: &mut Changes) -> Result<(Held, Reached)> {
    let nothing = |reached| (Held::Nothing, reached);
    match spec {
        Spec::Fragmentation(spec) => {
            let (state, reached) = Fragmented::reach(spec, changes)?;
            Ok((Held::Fragmented(Box::new(state)), reached))
        }
        Spec::Hog(spec) => {
            let (hog, reached) = hog::Held::start(spec)?;
            Ok((Held::Hog(hog), reached))
        }
        Spec::CgroupLimit(spec) => cgroup::limit(spec, changes).map(nothing),
        Spec::MemcgIds(spec) => memcg_ids::reach(spec, changes).map(nothing),
        Spec::Namespaces(spec) => namespaces::reach(*spec, changes).map(nothing),
    }
}

/// Until standard input is closed. Returns the group of processes to kill.
fn keep_up(held: &mut [Held]) -> Option<Pid> {
    let stdin = std::io::stdin();
    let mut group = None;
    let mut buffer = [0; 256];
    loop {
        let mut input = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if poll(&mut input, PollTimeout::from(PERIOD)).is_ok_and(|ready| ready != 0) {
            match read(stdin.as_fd(), &mut buffer) {
                Ok(0) => return group,
                Ok(length) => {
                    let text = String::from_utf8_lossy(&buffer[..length]);
                    let last = text.lines().last().and_then(|line| line.parse::<i32>().ok());
                    group = last.filter(|group| *group > 1).map(Pid::from_raw);
                }
                Err(_) => {}
            }
        }
        for one in held.iter_mut() {
            if let Held::Fragmented(state) = one
                && let Err(error) = state.keep_up()
            {
                eprintln!("fragwatch: could not keep the state up: {error:#}");
            }
        }
    }
}

fn write_message(message: &Message) -> Result<()> {
    let mut line = serde_json::to_string(message).context("could not write a message")?;
    line.push('\n');
    let mut stdout = std::io::stdout();
    stdout.write_all(line.as_bytes()).context("could not write to the parent")?;
    stdout.flush().context("could not write to the parent")
}

/// States that can't be had on this machine, and why, before anything is changed.
///
/// # Errors
/// The reason, as a sentence.
pub fn check(specs: &[Spec]) -> Result<()> {
    for spec in specs {
        match spec {
            Spec::Fragmentation(spec) => crate::fragmentation::check(spec, &crate::zones::read()?)?,
            Spec::CgroupLimit(spec) => {
                cgroup::Hierarchy::of(match spec.limit {
                    crate::spec::Limit::Memory(_) => "memory",
                    crate::spec::Limit::Pids(_) => "pids",
                })?;
            }
            Spec::MemcgIds(_) => _ = cgroup::Hierarchy::of("memory")?,
            Spec::Namespaces(spec) => {
                let name = match spec.kind {
                    crate::spec::NamespaceKind::Net => "net",
                    crate::spec::NamespaceKind::Pid => "pid",
                };
                let path = format!("/proc/sys/user/max_{name}_namespaces");
                if !fs::exists(&path).unwrap_or(false) {
                    bail!("this kernel has no limit on {name} namespaces: there is no {path}");
                }
            }
            Spec::Hog(_) => {}
        }
    }
    Ok(())
}
