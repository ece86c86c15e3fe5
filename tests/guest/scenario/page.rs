//! A container fails while `serve` runs, and then the page of `serve` can be looked at from outside.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use harness::scenario::PAGE_READY;

use super::{Node, order6, serve};

/// For the page's trend, which needs a minute.
const BEFORE: Duration = Duration::from_secs(60);
/// For a browser on a busy machine.
const AFTER: Duration = Duration::from_secs(90);

pub(super) fn run(node: &mut Node) -> Result<()> {
    thread::sleep(BEFORE);
    order6::run(node)?;
    serve::wait_until_counted()?;
    node.channel.node(PAGE_READY);
    thread::sleep(AFTER);
    Ok(())
}
