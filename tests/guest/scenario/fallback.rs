//! Allocations fail, creations don't: the kernel falls back to single pages.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Node;
use crate::{fragmenter, node};

const NAMESPACES: u32 = 5;

pub(super) fn run(node: &mut Node) -> Result<()> {
    // Each child namespace gets a table of 2 MiB of its own: one huge page if there is one.
    node::set("net/ipv4/tcp_child_ehash_entries", "262144")?;
    fragmenter::fragment(node.channel)?;
    for number in 1..=NAMESPACES {
        if !node.watched()? {
            return Ok(());
        }
        let status = Command::new("/bin/busybox")
            .args(["unshare", "-n", "/bin/busybox", "true"])
            .status()
            .context("can't run busybox")?;
        if !status.success() {
            bail!("network namespace {number} must be created, and wasn't: unshare, {status}");
        }
        node.channel.node(format!("network namespace {number} created"));
    }
    Ok(())
}
