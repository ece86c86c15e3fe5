//! Network namespaces, as other containers would have.

use std::fs::File;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use crate::helper;

/// Creates namespaces until one is refused, and keeps them: the kernel puts blocks together before it
/// refuses one.
pub(crate) fn fill() -> Result<()> {
    helper::start(&["namespaces"])
}

/// What the child does.
pub(crate) fn run_child() -> Result<()> {
    let mut held = Vec::new();
    loop {
        match unshare(CloneFlags::CLONE_NEWNET) {
            Err(Errno::ENOMEM) => return helper::stay(),
            made => {
                made.with_context(|| format!("can't create a namespace after {}", held.len()))?;
            }
        }
        // An open file keeps the namespace when the process moves on to the next.
        held.push(File::open("/proc/self/ns/net").context("can't hold a network namespace")?);
    }
}
