//! `fragwatch serve` from before memory is fragmented until a container fails for it, asked over HTTP
//! before and after. Each response is sent to the host line by line as a stream of its own.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Node, order6};
use crate::http;

/// For the failure to be counted.
const DEADLINE: Duration = Duration::from_mins(1);

/// Brings the loopback interface up, before fragwatch listens there.
pub(super) fn prepare() -> Result<()> {
    let up = Command::new("/bin/busybox").args(["ifconfig", "lo", "127.0.0.1", "up"]).status();
    if !up.context("can't run busybox")?.success() {
        bail!("busybox can't bring the loopback interface up");
    }
    Ok(())
}

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
    node.watcher.send_usage()
}

/// Sends a response to the host, its code as `CODE of PATH`.
fn ask(node: &Node, stream: &'static str, path: &str) -> Result<()> {
    let (code, body) = http::get(path)?;
    node.channel.node(format!("{code} of {path}"));
    body.lines().for_each(|line| node.channel.send(stream, line));
    Ok(())
}

fn wait_until_counted() -> Result<()> {
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
