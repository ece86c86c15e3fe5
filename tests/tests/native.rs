//! fragwatch on this machine's own kernel, whatever hooks that has to offer: root, but no virtual
//! machine.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

/// For each thing that is waited for.
const DEADLINE: Duration = Duration::from_secs(30);
const TRACEFS: &str = "/sys/kernel/tracing";

/// A fragwatch that watches. Dropping it kills it.
struct Watch {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Watch {
    /// Starts `fragwatch trace --all` and waits until it is ready. `None`, with a sentence, where
    /// the kernel has no tracepoints to attach to.
    fn start() -> Option<Self> {
        assert!(geteuid().is_root(), "this test watches the kernel: run it as root");
        xtask::build::fragwatch(true).expect("fragwatch can be built");
        // A thread has a mount namespace of its own if it wants, which its children inherit: the
        // machine keeps its mounts.
        let started = thread::spawn(spawn).join().expect("the thread doesn't panic");
        let mut child = match started {
            Ok(child) => child,
            Err(sentence) => {
                println!("skipped: {sentence}");
                return None;
            }
        };
        let stdout = child.stdout.take().expect("its stdout is a pipe");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).expect("one object a line");
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut watch = Self { child, lines, seen: Vec::new() };
        watch.wait_for("ready", |line| line["type"] == "ready");
        Some(watch)
    }

    /// The first line that is so, waited for.
    fn wait_for(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = self.seen.iter().find(|line| is_it(line)) {
                return found.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let next = self.lines.recv_timeout(left);
            let next = next.unwrap_or_else(|why| panic!("no {what} ({why}) in {:#?}", self.seen));
            self.seen.push(next);
        }
    }

    /// The creation by the thread of this name.
    fn creation_by(&mut self, comm: &str) -> Value {
        let ours = |line: &Value| line["type"] == "creation" && line["comm"] == comm;
        self.wait_for(&format!("creation by {comm}"), ours)
    }

    /// Ends it as Ctrl-C would: it must end well, and have lost nothing.
    fn end(mut self) -> Vec<Value> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGINT).expect("it takes a signal");
        let summary = self.wait_for("summary", |line| line["type"] == "summary");
        assert_eq!(summary["lost"], 0, "{summary}");
        assert_eq!(summary["creations"]["unfinished"], 0, "{summary}");
        let status = self.child.wait().expect("it can be waited for");
        assert!(status.success(), "{status}");
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts fragwatch where tracefs can be seen. An error is a reason to skip.
fn spawn() -> Result<Child, String> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).expect("root may have a mount namespace");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .expect("root may keep its mounts to itself");
    let events = Path::new(TRACEFS).join("events");
    if !events.exists() {
        mount(Some("tracefs"), TRACEFS, Some("tracefs"), MsFlags::empty(), none)
            .map_err(|error| format!("the kernel has no tracefs to mount: {error}"))?;
    }
    let id = events.join("syscalls/sys_enter_unshare/id");
    fs::read_to_string(&id).map_err(|error| {
        format!("the kernel refuses tracepoints: could not read {}: {error}", id.display())
    })?;
    let child = Command::new(xtask::paths::target().join("release/fragwatch"))
        .args(["trace", "--all", "--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("fragwatch can be started");
    Ok(child)
}

/// Runs `unshare` in a thread of this name; returns the inode of the thread's network namespace.
fn unshare_as(name: &str, flags: CloneFlags) -> u64 {
    let made = move || {
        unshare(flags).expect("root may have namespaces");
        fs::metadata("/proc/thread-self/ns/net").expect("a thread has a network namespace").ino()
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(made);
    thread.expect("a thread can be started").join().expect("the thread doesn't panic")
}

#[test]
#[ignore = "watches this machine's kernel, as root; run by cargo xtask test"]
fn a_namespace_is_seen_being_made() {
    let Some(mut watch) = Watch::start() else { return };
    let inode = unshare_as("fw-net", CloneFlags::CLONE_NEWNET);
    let creation = watch.creation_by("fw-net");
    assert_eq!(creation["outcome"], "ok", "{creation:#}");
    assert_eq!(creation["errno"], Value::Null, "{creation:#}");
    assert_eq!(creation["netns"].as_u64(), Some(inode), "{creation:#}");
    watch.end();
}

/// A child that ends at once, made in a thread of this name by `clone` or `clone3`.
fn clone_as(name: &str, call: libc::c_long) {
    const FLAGS: u64 = libc::CLONE_NEWNET as u64;
    let made = move || {
        // The first members of `struct clone_args`, as of its first version: flags, pidfd,
        // child_tid, parent_tid, exit_signal, stack, stack_size, tls.
        let args: [u64; 8] = [FLAGS, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
        // SAFETY: without a stack of its own the child is as one that fork made, and all it does is
        // to end.
        let child = unsafe {
            match call {
                libc::SYS_clone3 => libc::syscall(call, args.as_ptr(), size_of_val(&args)),
                _ => libc::syscall(call, FLAGS | libc::SIGCHLD as u64, 0, 0, 0, 0),
            }
        };
        if child == 0 {
            // SAFETY: it ends this process and touches nothing of it.
            unsafe { libc::_exit(0) };
        }
        assert!(child > 0, "root may have namespaces: {}", std::io::Error::last_os_error());
        let child = i32::try_from(child).expect("process ids are small");
        nix::sys::wait::waitpid(Pid::from_raw(child), None).expect("it is our child");
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(made);
    thread.expect("a thread can be started").join().expect("the thread doesn't panic");
}

/// The child returns from the call too, and must not be told as a second creation.
#[test]
#[ignore = "watches this machine's kernel, as root; run by cargo xtask test"]
fn a_childs_namespace_is_seen_once() {
    let Some(mut watch) = Watch::start() else { return };
    for (name, call) in [("fw-clone", libc::SYS_clone), ("fw-clone3", libc::SYS_clone3)] {
        clone_as(name, call);
        let creation = watch.creation_by(name);
        assert_eq!(creation["outcome"], "ok", "{creation:#}");
        assert_eq!(creation["errno"], Value::Null, "{creation:#}");
    }
    let seen = watch.end();
    for name in ["fw-clone", "fw-clone3"] {
        assert_eq!(seen.iter().filter(|line| line["comm"] == name).count(), 1, "{seen:#?}");
    }
}

#[test]
#[ignore = "watches this machine's kernel, as root; run by cargo xtask test"]
fn another_namespace_is_no_creation() {
    let Some(mut watch) = Watch::start() else { return };
    unshare_as("fw-uts", CloneFlags::CLONE_NEWUTS);
    // What comes later is told later.
    unshare_as("fw-after", CloneFlags::CLONE_NEWNET);
    watch.creation_by("fw-after");
    let seen = watch.end();
    assert!(seen.iter().all(|line| line["comm"] != "fw-uts"), "{seen:#?}");
}

/// A user namespace may have fewer network namespaces than the machine: here none.
#[test]
#[ignore = "watches this machine's kernel, as root; run by cargo xtask test"]
fn a_namespace_that_is_refused_has_its_errno() {
    let Some(mut watch) = Watch::start() else { return };
    let refused = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c"])
        .arg("echo 0 > /proc/sys/user/max_net_namespaces && exec unshare --net true")
        .stderr(Stdio::piped())
        .output()
        .expect("util-linux has unshare");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("No space left on device"), "it must fail so: {said}");
    let creation = watch.creation_by("unshare");
    assert_eq!(creation["outcome"], "failed", "{creation:#}");
    assert_eq!(creation["errno"], "ENOSPC", "{creation:#}");
    assert_eq!(creation["netns"], Value::Null, "{creation:#}");
    assert_ne!(creation["verdict"]["cause"], "fragmentation", "{creation:#}");
    watch.end();
}
