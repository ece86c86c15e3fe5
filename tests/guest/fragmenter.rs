//! Fragments the node's free memory, and leaves it so.

use anyhow::Result;
use fragwatch_states::Spec;
use fragwatch_states::memory::meminfo_kib;
use fragwatch_states::spec::{Fragmentation, Kind};

use crate::channel::Channel;
use crate::state;

/// Leaves a third of the memory free, with so many blocks of that order among it.
pub(crate) fn fragment(channel: &Channel, order: u32, left: u64) -> Result<()> {
    channel.node("fragmenting memory: every other page of what is left free gets locked");
    let keep_kib = meminfo_kib("MemAvailable")? / 3;
    let kind = Kind::Pinned;
    let spec = Fragmentation { order, keep_kib, kind, left, like: Vec::new() };
    for sentence in state::reach(&[Spec::Fragmentation(spec)])? {
        channel.node(format!("memory is fragmented: {sentence}"));
    }
    Ok(())
}
