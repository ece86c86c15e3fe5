//! All the ways in which fragwatch ends, each reported to the host as `NAME exited CODE: STDERR`, and
//! whether anything is left attached behind it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2};

use super::Node;
use crate::node;

const DEADLINE: Duration = Duration::from_mins(1);
/// fragwatch's ring takes some 370 creations that went well; it gets them with `--all` alone.
const MORE_THAN_THE_RING_HOLDS: usize = 600;
/// The user that has no privileges.
const NOBODY: u32 = 65_534;

pub(super) fn run(node: &mut Node) -> Result<()> {
    let before = attached()?;

    let full = File::options().write(true).open("/dev/full").context("can't open /dev/full")?;
    ended(node, "stdout-full", trace(&[]).stdout(full))?;
    ended(node, "duration", trace(&["--duration", "1s"]).stdout(Stdio::null()))?;
    ended(node, "unprivileged", trace(&[]).stdout(Stdio::null()).uid(NOBODY).gid(NOBODY))?;
    ended(node, "no-btf", without_btf(&mut trace(&[])).stdout(Stdio::null()))?;

    let mut child = spawn(trace(&[]).stdout(Stdio::piped()))?;
    // Reads what is there and goes.
    drop(first_line(&mut child)?);
    report(node, "reader-gone", child)?;

    let mut child = spawn(trace(&[]).stdout(Stdio::piped()))?;
    let mut rest = first_line(&mut child)?;
    signal(&child, Signal::SIGTERM)?;
    let last = rest.by_ref().map_while(Result::ok).last().unwrap_or_default();
    node.channel.node(format!("sigterm printed last: {last}"));
    report(node, "sigterm", child)?;

    let mut child =
        spawn(trace(&["--duration", "5s"]).env("RUST_LOG", "debug").stdout(Stdio::piped()))?;
    let rest = first_line(&mut child)?;
    let made = Command::new("/bin/busybox").args(["unshare", "-n", "true"]).status();
    if !made.context("can't run busybox")?.success() {
        bail!("busybox could not make a network namespace");
    }
    report(node, "debug-log", child)?;
    drop(rest);

    // More creations than its ring holds while it can't read.
    let mut child = spawn(trace(&["--all"]).stdout(Stdio::piped()))?;
    let rest = first_line(&mut child)?;
    signal(&child, Signal::SIGSTOP)?;
    make_namespaces(MORE_THAN_THE_RING_HOLDS)?;
    signal(&child, Signal::SIGTERM)?;
    signal(&child, Signal::SIGCONT)?;
    for line in rest.map_while(Result::ok) {
        node.channel.node(format!("overrun printed: {line}"));
    }
    report(node, "overrun", child)?;

    let (reader, full) = full_pipe()?;
    let child = spawn(trace(&[]).stdout(full))?;
    wait_until_attached(before)?;
    signal(&child, Signal::SIGTERM)?;
    report(node, "stuck-reader", child)?;
    drop(reader);

    node::set("kernel/kptr_restrict", "2")?;
    let mut child = spawn(trace(&["--duration", "1s"]).stdout(Stdio::piped()))?;
    for line in lines_of(&mut child)?.map_while(Result::ok) {
        node.channel.node(format!("hidden-symbols printed: {line}"));
    }
    report(node, "hidden-symbols", child)?;
    node::set("kernel/kptr_restrict", "0")?;

    let mut child = spawn(trace(&[]).stdout(Stdio::piped()))?;
    let rest = first_line(&mut child)?;
    let during = attached()?;
    signal(&child, Signal::SIGKILL)?;
    report(node, "sigkill", child)?;
    drop(rest);

    node.channel.node(format!("attached before {before}, during {during}, after {}", settled()?));
    Ok(())
}

fn trace(args: &[&str]) -> Command {
    let mut command = Command::new("/bin/fragwatch");
    command.args(["trace", "--format", "json"]).args(args);
    command
}

fn spawn(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't start /bin/fragwatch")
}

fn ended(node: &mut Node, name: &str, command: &mut Command) -> Result<()> {
    let child = spawn(command)?;
    report(node, name, child)
}

/// Waits until it has ended and sends its exit code to the host.
fn report(node: &mut Node, name: &str, mut child: Child) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while child.try_wait().context("can't wait for fragwatch")?.is_none() {
        if Instant::now() > deadline {
            child.kill().context("can't kill fragwatch")?;
            bail!("fragwatch did not end within {} s: {name}", DEADLINE.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().context("can't read fragwatch's stderr")?;
    let code = output.status.code().map_or_else(|| "by a signal".to_owned(), |c| c.to_string());
    let stderr = String::from_utf8_lossy(&output.stderr);
    node.channel.node(format!("{name} exited {code}: {}", stderr.trim().replace('\n', "; ")));
    Ok(())
}

type Lines = std::io::Lines<BufReader<std::process::ChildStdout>>;

fn lines_of(child: &mut Child) -> Result<Lines> {
    let stdout = child.stdout.take().context("fragwatch has no stdout")?;
    Ok(BufReader::new(stdout).lines())
}

/// Waits for the first line, which means that it is ready; returns the lines after it.
fn first_line(child: &mut Child) -> Result<Lines> {
    let mut lines = lines_of(child)?;
    lines.next().context("fragwatch printed nothing")?.context("can't read from fragwatch")?;
    Ok(lines)
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    kill(Pid::from_raw(child.id().cast_signed()), signal).context("can't signal fragwatch")
}

/// Makes so many network namespaces, one after the other.
fn make_namespaces(count: usize) -> Result<()> {
    let unshare_all = move || (0..count).try_for_each(|_| unshare(CloneFlags::CLONE_NEWNET));
    let made = thread::spawn(unshare_all).join();
    made.ok().context("the thread panicked")?.context("can't make a network namespace")
}

/// A pipe that takes nothing more.
fn full_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_NONBLOCK).context("can't make a pipe")?;
    while nix::unistd::write(&writer, &[0; 4096]).is_ok() {}
    // The flag is the pipe end's own; fragwatch shall wait as it would for any reader.
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).context("can't change the pipe")?;
    Ok((reader, writer))
}

fn wait_until_attached(before: usize) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    // Its last hooks come a moment later; a signal while it attaches must end it just the same.
    while attached()? <= before {
        if Instant::now() > deadline {
            bail!("fragwatch attached nothing within {} s", DEADLINE.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The child sees a kernel without type information.
fn without_btf(command: &mut Command) -> &mut Command {
    let hide = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        mount(Some("none"), "/sys/kernel/btf", Some("tmpfs"), MsFlags::empty(), none)?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls and allocates nothing: the paths
    // are short enough for nix to end them with a NUL on the stack.
    unsafe { command.pre_exec(hide) }
}

/// Functions that something is attached to, as ftrace and kprobes list them.
fn attached() -> Result<usize> {
    let lines = |path: &str| -> Result<usize> {
        let text = fs::read_to_string(path).with_context(|| format!("can't read {path}"))?;
        Ok(text.lines().count())
    };
    Ok(lines("/sys/kernel/debug/kprobes/list")? + lines("/sys/kernel/tracing/enabled_functions")?)
}

/// The same when it has stopped changing: a killed process's probes go a moment after it.
fn settled() -> Result<usize> {
    let mut last = attached()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut same_since = Instant::now();
    while same_since.elapsed() < Duration::from_secs(1) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
        let now = attached()?;
        if now != last {
            (last, same_since) = (now, Instant::now());
        }
    }
    Ok(last)
}
