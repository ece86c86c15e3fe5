//! A container that can't be created, because no order-6 block is left.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Node;
use crate::attempt::{self, Side};
use crate::{container, node, state};

const DEADLINE: Duration = Duration::from_mins(5);
/// Blocks that are left for containers: some of them shall start.
const LEFT: u64 = 4;

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_pernet_module(node.channel)?;
    container::prepare()?;
    node.states.push(state::fragment(node.channel, 6, LEFT)?);
    let deadline = Instant::now() + DEADLINE;
    let mut number = 0;
    while Instant::now() < deadline {
        if !node.watched()? {
            return Ok(());
        }
        number += 1;
        let start = container::start(node.channel, number)?;
        if start.running {
            attempt::report(node.channel, Side::Control, "order6", &start.cgroup, None);
            continue;
        }
        // A node this short of blocks has other failures too; this scenario is about one of them.
        if !lacks_memory_for_a_namespace(&start.output) || !order6_failed(node)? {
            node.channel.node("that was another failure: going on");
            continue;
        }
        attempt::report(node.channel, Side::Faulty, "order6", &start.cgroup, Some("ENOMEM"));
        node::send_file(node.channel, "extfrag_index", "/sys/kernel/debug/extfrag/extfrag_index")?;
        node::send_file(node.channel, "buddyinfo", "/proc/buddyinfo")?;
        return Ok(());
    }
    bail!("no container failed for lack of an order-6 block within {} s", DEADLINE.as_secs())
}

fn lacks_memory_for_a_namespace(output: &str) -> bool {
    output.lines().any(|line| {
        line.contains("unshare remaining namespaces") && line.contains("Cannot allocate memory")
    })
}

/// The kernel logs one such failure in ten seconds at most, so any one counts.
fn order6_failed(node: &Node) -> Result<bool> {
    let lines = node.log.lines()?;
    Ok(lines.iter().any(|line| line.contains("page allocation failure: order:6,")))
}
