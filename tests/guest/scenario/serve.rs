//! `fragwatch serve` from before memory is fragmented until a container fails for it, asked over HTTP
//! before and after; then it is killed, and another one goes on with its store. Each response is sent to
//! the host line by line as a stream of its own.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use harness::job::FRAGWATCH;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Node, order6};
use crate::{http, node};

/// For the failure to be counted, and for another fragwatch to start or to end.
const DEADLINE: Duration = Duration::from_mins(2);

/// What a service manager would listen on.
const NOTIFY: &str = "/notify";

/// The one that goes on with the store.
const SECOND: [&str; 7] =
    ["serve", "--store", "/store", "--store-min-free", "0", "--listen", "127.0.0.1:9823"];

pub(super) fn run(node: &mut Node) -> Result<()> {
    ask(node, "before-metrics", "/metrics")?;
    ask(node, "before-status", "/status")?;
    http::follow(node.channel, "/events", "http-events")?;
    order6::run(node)?;
    wait_until_counted()?;
    for (stream, path) in [
        ("http-metrics", "/metrics"),
        ("http-health", "/healthz"),
        ("http-ready", "/readyz"),
        ("http-status", "/status"),
        ("http-page", "/"),
    ] {
        ask(node, stream, path)?;
    }
    command(node, "check", &["check", "--order", "6", "--format", "json"])?;
    command(node, "npd", &["check", "--order", "6", "--npd"])?;
    node.watcher.send_usage()?;
    // The samples after the failure.
    thread::sleep(Duration::from_secs(5));
    kill_it(node)?;
    command(node, "killed-replay", &["replay", "/store", "--format", "json"])?;
    follow_notifications(node)?;
    // Loading programs asks for blocks of two pages and more. Where there are none the kernel calls the OOM
    // killer for them, and fragwatch is the largest process here.
    node::set("vm/nr_hugepages", "0")?;
    let mut second = start_second()?;
    wait_until_ready(&mut second)?;
    end(node, second)?;
    command(node, "replay", &["replay", "/store", "--format", "json"])
}

/// Kills the one that ran until now.
fn kill_it(node: &mut Node) -> Result<()> {
    let pid = Pid::from_raw(node.watcher.pid().cast_signed());
    kill(pid, Signal::SIGKILL).context("can't kill fragwatch")?;
    let deadline = Instant::now() + DEADLINE;
    while !node.watcher.ended()? {
        if Instant::now() > deadline {
            bail!("fragwatch survives SIGKILL");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Sends each line of what a service manager would be notified of to the host.
fn follow_notifications(node: &Node) -> Result<()> {
    let socket = UnixDatagram::bind(NOTIFY).context("can't make a socket for notifications")?;
    let channel = node.channel.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            text.lines().for_each(|line| channel.send("notify", line));
        }
    });
    Ok(())
}

fn start_second() -> Result<Child> {
    Command::new(FRAGWATCH)
        .args(SECOND)
        .env("NOTIFY_SOCKET", NOTIFY)
        .env("WATCHDOG_USEC", "1000000")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("can't start fragwatch a second time")
}

fn wait_until_ready(second: &mut Child) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if http::get("/readyz").is_ok_and(|(code, _)| code == "200") {
            return Ok(());
        }
        if let Some(status) = second.try_wait().context("can't wait for fragwatch")? {
            bail!("the second fragwatch ended: {status}");
        }
        if Instant::now() > deadline {
            let _ = second.kill();
            bail!("the second fragwatch does not get ready");
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Ends it by SIGTERM, and sends to the host how long that took.
fn end(node: &Node, mut second: Child) -> Result<()> {
    let began = Instant::now();
    let pid = Pid::from_raw(second.id().cast_signed());
    kill(pid, Signal::SIGTERM).context("can't send SIGTERM to fragwatch")?;
    loop {
        if let Some(status) = second.try_wait().context("can't wait for fragwatch")? {
            let took = began.elapsed().as_millis();
            let code = status.code().unwrap_or(-1);
            node.channel.node(format!("the second serve exited {code} after {took} ms"));
            return Ok(());
        }
        if began.elapsed() > DEADLINE {
            let _ = second.kill();
            bail!("the second fragwatch does not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs fragwatch to its end and sends its output to the host, its exit code as `STREAM exited CODE`.
fn command(node: &Node, stream: &'static str, args: &[&str]) -> Result<()> {
    let output = Command::new(FRAGWATCH).args(args).stdin(Stdio::null()).output();
    let output = output.context("can't start fragwatch")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    stdout.lines().for_each(|line| node.channel.send(stream, line));
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        node.channel.node(format!("{stream} said: {line}"));
    }
    node.channel.node(format!("{stream} exited {}", output.status.code().unwrap_or(-1)));
    Ok(())
}

/// Sends a response to the host, its code as `CODE of PATH`.
fn ask(node: &Node, stream: &'static str, path: &str) -> Result<()> {
    let (code, body) = http::get(path)?;
    node.channel.node(format!("{code} of {path}"));
    body.lines().for_each(|line| node.channel.send(stream, line));
    Ok(())
}

pub(super) fn wait_until_counted() -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (_, metrics) = http::get("/metrics")?;
        let counted = |line: &str| {
            line.starts_with("fragwatch_creation_failures_total{") && !line.ends_with(" 0")
        };
        if metrics.lines().any(counted) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("no failure is counted in the metrics");
        }
        thread::sleep(Duration::from_millis(200));
    }
}
