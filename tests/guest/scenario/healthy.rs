//! Nothing is wrong: twenty containers start on a node with plenty of memory in one piece.

use anyhow::{Result, bail};

use super::Node;
use crate::{container, node};

const CONTAINERS: u64 = 20;

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_pernet_module(node.channel)?;
    container::prepare()?;
    for number in 1..=CONTAINERS {
        if !node.watched()? {
            return Ok(());
        }
        if !container::start(node.channel, number)?.running {
            bail!("container {number} must start on a healthy node, and didn't");
        }
    }
    node.channel.node(format!("all {CONTAINERS} containers run"));
    Ok(())
}
