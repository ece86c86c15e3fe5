//! Allocations fail, creations don't: the kernel falls back to single pages.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Node;
use crate::attempt::{self, Side};
use crate::{node, state};

const NAMESPACES: u32 = 5;

pub(super) fn run(node: &mut Node) -> Result<()> {
    if Path::new("/proc/sys/net/ipv4/tcp_child_ehash_entries").exists() {
        // Each child namespace gets a table of 2 MiB of its own: one huge page if there is one.
        node::set("net/ipv4/tcp_child_ehash_entries", "262144")?;
    } else {
        // Before 6.1 no namespace of the kernel's own tries for so much.
        node::load_module("fragwatch_flood", c"order=9 tries=1")?;
    }
    node.states.push(state::fragment(node.channel, 9, 0)?);
    // Huge pages fail outside of creations.
    node::set("vm/nr_hugepages", "64")?;
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
        attempt::report(node.channel, Side::Control, "fallback", "/", None);
    }
    Ok(())
}
