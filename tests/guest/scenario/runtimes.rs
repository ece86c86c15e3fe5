//! Real container runtimes, while the node is healthy and when its memory is fragmented. Each start
//! goes to the host with its container's identity, as one JSON object on the stream `truth`.

use anyhow::{Context, Result, bail};
use harness::judge::runtimes::{Phase, Truth};

use super::Node;
use crate::channel::realtime_ms;
use crate::runtime::{self, Runtime, Start};
use crate::{node, state};

/// How often a runtime is given the chance to fail.
const TRIES: u32 = 12;

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_pernet_module(node.channel)?;
    runtime::prepare_node()?;
    let runtimes = runtime::all();
    for runtime in &runtimes {
        node.channel.node(format!("{} gets ready", runtime.name()));
        runtime.prepare().with_context(|| format!("{} isn't ready", runtime.name()))?;
    }
    let mut number = 0;
    for runtime in &runtimes {
        for _ in 0..node.containers {
            if start(node, runtime.as_ref(), &mut number)? != Phase::Success {
                bail!("{} must start containers on a healthy node, and didn't", runtime.name());
            }
        }
    }
    // What a container gives back is taken: it must not do for the next one.
    node.states.push(state::fragment(node.channel, 6, 0)?);
    for runtime in &runtimes {
        for _ in 0..TRIES {
            if !node.watched()? {
                return Ok(());
            }
            if start(node, runtime.as_ref(), &mut number)? == Phase::Failure {
                break;
            }
        }
    }
    Ok(())
}

/// Starts one container and sends the outcome to the host.
fn start(node: &Node, runtime: &dyn Runtime, number: &mut u64) -> Result<Phase> {
    *number += 1;
    let refused = node::pernet_refused()?;
    let began_ms = realtime_ms();
    let Start { running, identity, output } = runtime.start(*number)?;
    let ended_ms = realtime_ms();
    output.lines().for_each(|line| node.channel.send("runtime", line));
    let phase = match (running, node::pernet_refused()? > refused) {
        (true, _) => Phase::Success,
        (false, true) => Phase::Failure,
        (false, false) => Phase::Other,
    };
    let how = match phase {
        Phase::Success => "runs",
        Phase::Failure => "failed: its network namespace was refused",
        Phase::Other => "failed for another reason",
    };
    let name = runtime.name();
    node.channel.node(format!("{name}'s container {number} {how}, {} ms", ended_ms - began_ms));
    let runtime = name.to_owned();
    let truth = Truth { runtime, phase, began_ms, ended_ms, identity };
    node.channel.send_json("truth", &truth);
    Ok(phase)
}
