//! Thousands of high-order allocations with a fallback fail, in creations and beside them; then one
//! without a fallback fails, in a creation.

use std::fs;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail};

use super::Node;
use crate::{node, state};

const NAMESPACES: u32 = 20;
const PARAMETERS: &str = "/sys/module/fragwatch_flood/parameters";

pub(super) fn run(node: &mut Node) -> Result<()> {
    node.states.push(state::fragment(node.channel, 9, 0)?);
    node::load_module("fragwatch_flood", c"order=9 tries=150 storm=1")?;
    for number in 1..=NAMESPACES {
        if !node.watched()? {
            return Ok(());
        }
        let status = unshare_network()?;
        if !status.success() {
            bail!("network namespace {number} must be created, and wasn't: unshare, {status}");
        }
        node.channel.node(format!("network namespace {number} created"));
    }
    for place in ["inside", "outside"] {
        let path = format!("{PARAMETERS}/failed_{place}");
        let count = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
        node.channel.node(format!("allocations failed {place} creations: {}", count.trim()));
    }
    // From now on the same failure has no fallback.
    let path = format!("{PARAMETERS}/must");
    fs::write(&path, "1").with_context(|| format!("can't write to {path}"))?;
    let status = unshare_network()?;
    if status.success() {
        bail!("a network namespace that must have its blocks was created without");
    }
    node.channel.node("a network namespace that must have its blocks was not created");
    Ok(())
}

fn unshare_network() -> Result<ExitStatus> {
    Command::new("/bin/busybox")
        .args(["unshare", "-n", "/bin/busybox", "true"])
        .status()
        .context("can't run busybox")
}
