//! `fragwatch check` on a node with memory in plenty, and on the same node once it is fragmented.
//! Each run is reported to the host as `NAME exited CODE` and `NAME printed: LINE`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Node;
use crate::{node, state};

/// More namespaces than the blocks that are left can be for.
const MOST: usize = 100;
/// For the trace to save what it saw.
const DEADLINE: Duration = Duration::from_mins(1);

pub(super) fn run(node: &mut Node) -> Result<()> {
    check(node, "plenty", &["--order", "6", "--format", "json"])?;
    check(node, "plenty-text", &["--order", "6"])?;
    node::load_pernet_module(node.channel)?;
    node.states.push(state::fragment(node.channel, 6, 0)?);
    // The zone for old devices has some blocks still. The trace beside sees what the last one asks
    // for in vain, and lets check know.
    let mut held = Vec::new();
    while let Some(child) = namespace()? {
        held.push(child);
        if held.len() > MOST {
            bail!("network namespaces are created without end on fragmented memory");
        }
    }
    node.channel.node(format!("no network namespace more after {}", held.len()));
    check(node, "fragmented", &["--order", "6", "--format", "json"])?;
    check(node, "fragmented-text", &["--order", "6"])?;
    for (stream, path) in [("buddyinfo", "/proc/buddyinfo"), ("zoneinfo", "/proc/zoneinfo")] {
        node::send_file(node.channel, stream, path)?;
    }
    wait_until_seen()?;
    check(node, "unasked", &["--format", "json"])
}

/// Waits until the trace has saved that it saw the failure. Without `--order`, check looks at the
/// orders that were seen.
fn wait_until_seen() -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let output = run_check(&["--format", "json"])?;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let orders = report["orders"].as_array().map_or(&[][..], Vec::as_slice);
        if orders.iter().any(|order| order["from"] == "seen") {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("check lists no order that was seen: {report}");
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// A process in a network namespace of its own, which it holds; `None` if there can be none.
fn namespace() -> Result<Option<Child>> {
    let mut child = Command::new("/bin/busybox")
        .args(["unshare", "-n", "/bin/busybox", "sh", "-c", "echo made; exec sleep 1000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("can't run busybox")?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).context("can't read from busybox")?;
    }
    Ok((line.trim() == "made").then_some(child))
}

/// Runs it to its end and sends the outcome to the host.
fn check(node: &mut Node, name: &str, args: &[&str]) -> Result<()> {
    let output = run_check(args)?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        node.channel.node(format!("{name} printed: {line}"));
    }
    let code = output.status.code().map_or_else(|| "by a signal".to_owned(), |c| c.to_string());
    node.channel.node(format!("{name} exited {code}"));
    Ok(())
}

fn run_check(args: &[&str]) -> Result<Output> {
    Command::new("/bin/fragwatch")
        .arg("check")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("can't start /bin/fragwatch")
}
