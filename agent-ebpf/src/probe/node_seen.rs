//! The program that learns where the kernel keeps its nodes: `/proc/buddyinfo` is shown node by node, by
//! `frag_show(struct seq_file *, pg_data_t *)` (5.10–7.2; mm/vmstat.c). The agent reads that file once, while
//! this is attached.
use aya_ebpf::{macros::kprobe, programs::ProbeContext};

use crate::{
    kernel::{self, PGDAT_NODE_ID},
    maps::NODES,
};

#[kprobe]
fn node_seen_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(pgdat) = ctx.arg::<u64>(1)
        && let Some(node) = kernel::read::<u32>(pgdat, PGDAT_NODE_ID.load())
    {
        // A node beyond the table is not known then: see `node_zonelist`.
        let _ = NODES.set(node, pgdat, 0);
    }
    0
}
