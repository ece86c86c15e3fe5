//! A user's namespaces are refused ten thousand times, while a container of another fails for lack of an order-6
//! block. The control starts before.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::heartbeat::Heartbeat;
use crate::hoard::without_blocks;
use crate::refused::Refused;
use crate::{node, state};

/// How often the user is refused.
const REFUSALS: u32 = 10_000;

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_pernet_module(node.channel)?;
    node::load_module("fragwatch_steps", c"")?;
    let mut control = Attempt::prepare(node, Side::Control, "order6")?;
    let mut faulty = Attempt::prepare(node, Side::Faulty, "order6")?;
    control.enter()?;
    let outcome = control.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
    outcome.context("on a node that is well a network namespace must be made")?;
    faulty.enter()?;
    node.states.push(state::fragment(node.channel, 6, 0)?);
    let heartbeat = Heartbeat::start();
    let refused = Refused::start(REFUSALS)?;
    without_blocks(|| faulty.quietly(&Step::Unshare(CloneFlags::CLONE_NEWNET)))?;
    faulty.report(node, Err(Errno::ENOMEM));
    refused.finish()?;
    node.channel.send("standstill", &heartbeat.end()?.as_micros().to_string());
    node.channel.node(format!("{REFUSALS} network namespaces of a user were refused"));
    Ok(())
}
