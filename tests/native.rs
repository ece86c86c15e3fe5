//! fragwatch on this machine's own kernel, whatever hooks that has to offer: root, but no virtual
//! machine.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use harness::build;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

/// For each thing that is waited for.
const DEADLINE: Duration = Duration::from_secs(30);
const TRACEFS: &str = "/sys/kernel/tracing";

/// A running fragwatch. Dropping it kills it.
struct Watch {
    child: Child,
    lines: Receiver<Value>,
    /// Lines of its stderr.
    errors: Receiver<String>,
    seen: Vec<Value>,
}

impl Watch {
    /// Starts `fragwatch trace --all` and waits until it is ready. `None`, with a sentence, where
    /// the kernel has no tracepoints to attach to.
    fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// With this directory in the place of containerd's own under /run, if one is given.
    fn start_with(containerd: Option<&Path>) -> Option<Self> {
        assert!(geteuid().is_root(), "this test watches the kernel: run it as root");
        build::fragwatch(true).expect("fragwatch can be built");
        // A thread has a mount namespace of its own if it wants, which its children inherit: the
        // machine keeps its mounts.
        let containerd = containerd.map(Path::to_owned);
        let started = thread::spawn(move || spawn(containerd.as_deref()));
        let started = started.join().expect("the thread doesn't panic");
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
        let stderr = child.stderr.take().expect("its stderr is a pipe");
        let (sender, errors) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("{line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut watch = Self { child, lines, errors, seen: Vec::new() };
        watch.wait_for("ready", |line| line["type"] == "ready");
        Some(watch)
    }

    /// The first matching line, waited for.
    fn wait_for(&mut self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = self.seen.iter().find(|line| matches(line)) {
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

    /// Ends it as Ctrl-C would: exit code 0, and nothing is lost.
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
fn spawn(containerd: Option<&Path>) -> Result<Child, String> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).expect("root may have a mount namespace");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .expect("root may keep its mounts to itself");
    if let Some(directory) = containerd {
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none)
            .expect("root may mount in a namespace of its own");
        fs::create_dir("/run/containerd").expect("the file system is new");
        mount(Some(directory), "/run/containerd", none, MsFlags::MS_BIND, none)
            .expect("root may mount in a namespace of its own");
    }
    let events = Path::new(TRACEFS).join("events");
    if !events.exists() {
        mount(Some("tracefs"), TRACEFS, Some("tracefs"), MsFlags::empty(), none)
            .map_err(|error| format!("the kernel has no tracefs to mount: {error}"))?;
    }
    let id = events.join("syscalls/sys_enter_unshare/id");
    fs::read_to_string(&id).map_err(|error| {
        format!("the kernel refuses tracepoints: could not read {}: {error}", id.display())
    })?;
    let child = Command::new(build::fragwatch_path())
        .args(["trace", "--all", "--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
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
fn network_namespace_is_a_creation() {
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

/// The child returns from the call too, which must not be a second creation.
#[test]
#[ignore = "watches this machine's kernel, as root; run by cargo xtask test"]
fn clone_with_a_network_namespace_is_one_creation() {
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
fn other_namespace_is_no_creation() {
    let Some(mut watch) = Watch::start() else { return };
    unshare_as("fw-uts", CloneFlags::CLONE_NEWUTS);
    // Lines keep the order of events.
    unshare_as("fw-after", CloneFlags::CLONE_NEWNET);
    watch.creation_by("fw-after");
    let seen = watch.end();
    assert!(seen.iter().all(|line| line["comm"] != "fw-uts"), "{seen:#?}");
}

/// A user namespace may have fewer network namespaces than the machine: here none.
#[test]
#[ignore = "watches this machine's kernel, as root; run by cargo xtask test"]
fn refused_namespace_has_its_errno() {
    let Some(mut watch) = Watch::start() else { return };
    let refused = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c"])
        .arg("echo 0 > /proc/sys/user/max_net_namespaces && exec unshare --net true")
        .stderr(Stdio::piped())
        .output()
        .expect("util-linux has unshare");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("No space left on device"), "it failed otherwise: {stderr}");
    let creation = watch.creation_by("unshare");
    assert_eq!(creation["outcome"], "failed", "{creation:#}");
    assert_eq!(creation["errno"], "ENOSPC", "{creation:#}");
    assert_eq!(creation["netns"], Value::Null, "{creation:#}");
    assert_ne!(creation["verdict"]["cause"], "fragmentation", "{creation:#}");
    watch.end();
}

/// Cgroups of a pod's containers, gone with it.
struct Pod(PathBuf);

impl Pod {
    const UID: &str = "900d900d-6f1d-4c57-9a3e-0f1e2d3c4b5a";

    /// In the hierarchy that reports use. An error is a reason to skip.
    fn make() -> Result<Self, String> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let root = if v1.exists() { v1 } else { Path::new("/sys/fs/cgroup") };
        let pod = root.join(format!("kubepods-fragwatch/pod{}", Self::UID));
        match fs::create_dir_all(&pod) {
            Ok(()) => Ok(Self(pod)),
            Err(error) => Err(format!("could not make {}: {error}", pod.display())),
        }
    }

    /// Has a process in a new container of it make a network namespace. The container's id.
    fn start_container(&self, number: u64) -> String {
        let id = format!("{number:064x}");
        let directory = self.0.join(&id);
        fs::create_dir(&directory).expect("the pod's cgroup was made");
        let status = Command::new("sh")
            .args(["-c", "echo $$ > \"$1/cgroup.procs\" && exec unshare --net true", "sh"])
            .arg(&directory)
            .status()
            .expect("there is a shell");
        assert!(status.success(), "{status}");
        id
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for container in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(container.path());
        }
        let _ = fs::remove_dir(&self.0);
        let _ = self.0.parent().map(fs::remove_dir);
    }
}

/// Its socket accepts connections, as the kernel does for it, and never answers.
#[test]
#[ignore = "watches this machine's kernel, as root; run by cargo xtask test"]
fn hanging_runtime_delays_no_report_and_is_warned_of_once() {
    let pod = match Pod::make() {
        Ok(pod) => pod,
        Err(sentence) => {
            println!("skipped: {sentence}");
            return;
        }
    };
    let directory = std::env::temp_dir().join(format!("fw-containerd-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory of our own");
    let socket = directory.join("containerd.sock");
    let hanging = UnixListener::bind(&socket).expect("a socket of our own");
    let Some(mut watch) = Watch::start_with(Some(&directory)) else { return };
    for number in 1..=3 {
        let id = pod.start_container(number);
        let of_it = |line: &Value| line["type"] == "creation" && line["container"]["id"] == *id;
        let creation = watch.wait_for("creation", of_it);
        assert_eq!(creation["container"]["pod_uid"], Pod::UID, "{creation:#}");
        assert_eq!(creation["container"]["pod"], Value::Null, "{creation:#}");
    }
    let warning = watch.errors.recv_timeout(DEADLINE).expect("a source does not answer");
    assert!(warning.contains("the runtime's CRI"), "{warning}");
    pod.start_container(4);
    watch.wait_for("fourth creation", |line| {
        line["container"]["id"].as_str().is_some_and(|id| id.ends_with("04"))
    });
    let again: Vec<String> = watch.errors.try_iter().collect();
    assert!(again.is_empty(), "{again:#?}");
    let seen = watch.end();
    // Waiting for the runtime would take 2 s; without that a line is late by some 50 ms, on a busy
    // machine by more.
    let slowest = seen.iter().find_map(|line| line["slowest_report_us"].as_u64());
    assert!(slowest.is_some_and(|slowest| slowest < 1_000_000), "{slowest:?} us");
    drop(hanging);
    fs::remove_dir_all(&directory).expect("it was made");
}
