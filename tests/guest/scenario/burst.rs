//! Twenty network namespaces are made at once, by twenty threads of one process on two CPUs; twenty
//! others unshare something else at the same moment, which is no creation.

use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use super::Node;
use crate::node;

const THREADS: usize = 20;

pub(super) fn run(node: &mut Node) -> Result<()> {
    // Each takes so long that all of them are under way at once, on a busy host too.
    node::load_module("fragwatch_pernet", c"order=0 hold_ms=2000")?;
    let barrier = Barrier::new(2 * THREADS);
    let unshare_at_once = &|flags| {
        barrier.wait();
        unshare(flags)
    };
    thread::scope(|scope| -> Result<()> {
        let threads: Vec<ScopedJoinHandle<Result<(), Errno>>> = (0..THREADS)
            .flat_map(|_| [CloneFlags::CLONE_NEWNET, CloneFlags::CLONE_NEWUTS])
            .map(|flags| scope.spawn(move || unshare_at_once(flags)))
            .collect();
        for thread in threads {
            let made = thread.join().map_err(|_| anyhow!("a thread of the burst panicked"))?;
            made.context("a thread of the burst could not unshare")?;
        }
        Ok(())
    })?;
    node.channel.node(format!("{THREADS} network namespaces created at once"));
    Ok(())
}
