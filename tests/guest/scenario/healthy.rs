//! Nothing is wrong: twenty containers start on a node with plenty of memory in one piece.

use anyhow::{Result, bail};

use super::Node;
use crate::attempt::{self, Side};
use crate::{container, node};

const CONTAINERS: u64 = 20;

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_pernet_module(node.channel)?;
    container::prepare()?;
    for number in 1..=CONTAINERS {
        if !node.watched()? {
            return Ok(());
        }
        let start = container::start(node.channel, number)?;
        if !start.running {
            bail!("container {number} must start on a healthy node, and didn't");
        }
        attempt::report(node.channel, Side::Control, "healthy", &start.cgroup, None);
    }
    node.channel.node(format!("all {CONTAINERS} containers run"));
    Ok(())
}
