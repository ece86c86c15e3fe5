//! The program that reads one zone in reach of a failed allocation, or of a call of the OOM killer.
use aya_ebpf::{macros::kprobe, programs::ProbeContext};

use super::{allocation_failed, oom_kill};
use crate::{
    thread,
    zones::{Step, walk},
};

/// Reads one zone and goes on to the next, or ends with what the walk is for.
#[kprobe]
fn zone_walk_kprobe(ctx: ProbeContext) -> u32 {
    let Some(thread) = thread::creating().or_else(thread::outside) else { return 0 };
    let creation = thread.creation_ns;
    let complete = match thread.walk.step(creation) {
        Step::More => {
            walk(&ctx);
            // More entries than the kernel lets one program follow another.
            false
        }
        Step::Complete => true,
        Step::Stopped => false,
    };
    if thread.walk.oom_control == 0 {
        allocation_failed::report(&ctx, thread, complete);
    } else {
        oom_kill::report(&ctx, thread, complete);
    }
    0
}
