//! Network namespaces, as other containers would have.

use std::fs::File;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use crate::{helper, node};

/// Creates namespaces until only that many blocks of order 6 are left, and keeps them. If none shall be
/// left, until one is refused: the kernel puts blocks together before it does.
pub(crate) fn fill(left: u64) -> Result<()> {
    helper::start(&["namespaces", &left.to_string()])
}

/// What the child does. It looks before each step, for a namespace takes other memory too, some
/// of which breaks large blocks.
pub(crate) fn run_child(left: &str) -> Result<()> {
    let left: u64 = left.parse().context("the number of blocks is malformed")?;
    let mut held = Vec::new();
    while left == 0 || node::room_for(6)? > left {
        match unshare(CloneFlags::CLONE_NEWNET) {
            Err(Errno::ENOMEM) if left == 0 => break,
            made => {
                made.with_context(|| format!("can't create a namespace after {}", held.len()))?;
            }
        }
        // An open file keeps the namespace when the process moves on to the next.
        held.push(File::open("/proc/self/ns/net").context("can't hold a network namespace")?);
    }
    helper::stay()
}
