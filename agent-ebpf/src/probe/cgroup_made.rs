//! The tracepoint `cgroup:cgroup_mkdir` (5.10–7.2; include/trace/events/cgroup.h): a cgroup was
//! made, in whichever hierarchy.
use aya_ebpf::{EbpfContext, macros::tracepoint, programs::TracePointContext};
use fragwatch_ebpf::{CgroupMade, Kind};

use crate::{
    emit::{emit_cgroup, head},
    kernel::{self, CGROUP_EVENT_ID, CGROUP_EVENT_PATH, CGROUP_EVENT_ROOT, read_str},
};

#[tracepoint]
fn cgroup_mkdir_tracepoint(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    let Some(id) = kernel::read::<u64>(event, CGROUP_EVENT_ID.load()) else { return 0 };
    // `__data_loc`: the lower half is where the text lies in the event, the upper one its length.
    let Some(place) = kernel::read::<u32>(event, CGROUP_EVENT_PATH.load()) else { return 0 };
    let hierarchy = kernel::read(event, CGROUP_EVENT_ROOT.load()).unwrap_or(0);
    emit_cgroup::<CgroupMade>(|record| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the path's rest is never read.
        let record = unsafe { &mut *record };
        record.head = head(Kind::CgroupMade, 0);
        record.id = id;
        record.hierarchy = hierarchy;
        record.len = place >> 16;
        read_str(&mut record.path, event + u64::from(place & 0xffff));
    });
    0
}
