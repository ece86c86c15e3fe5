//! The tracepoints `cgroup:cgroup_mkdir`, `cgroup:cgroup_rename` (v1 only) and `cgroup:cgroup_rmdir`
//! (5.10–7.2; include/trace/events/cgroup.h, all of the class `cgroup`): a cgroup was made, renamed or
//! removed, in whichever hierarchy.
use aya_ebpf::{EbpfContext, macros::tracepoint, programs::TracePointContext};
use fragwatch_ebpf::{CGROUP_PATH_LEN, CgroupMade, CgroupRemoved, Kind};

use crate::{
    emit::{emit_cgroup, head},
    kernel::{self, CGROUP_EVENT_ID, CGROUP_EVENT_PATH, CGROUP_EVENT_ROOT, read_str},
};

/// Tells where a cgroup is from now on.
#[inline(always)]
fn tell(ctx: &TracePointContext, kind: Kind) {
    let event = ctx.as_ptr() as u64;
    let Some(id) = kernel::read::<u64>(event, CGROUP_EVENT_ID.load()) else { return };
    // `__data_loc`: the lower half is where the text lies in the event, the upper one its length.
    let Some(place) = kernel::read::<u32>(event, CGROUP_EVENT_PATH.load()) else { return };
    let Some(hierarchy) = kernel::read(event, CGROUP_EVENT_ROOT.load()) else { return };
    emit_cgroup::<CgroupMade>(|record| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the path's rest is never read.
        let record = unsafe { &mut *record };
        record.head = head(kind, 0);
        record.id = id;
        record.hierarchy = hierarchy;
        record.len = place >> 16;
        // Of a long path the end: that is where the container stands.
        let cut = u64::from(record.len.saturating_sub(CGROUP_PATH_LEN as u32));
        if read_str(&mut record.path, event + u64::from(place & 0xffff) + cut) < 0 {
            // As one of which nothing was kept.
            record.path[0] = 0;
            record.len = u32::MAX;
        }
    });
}

#[tracepoint]
fn cgroup_mkdir_tracepoint(ctx: TracePointContext) -> u32 {
    tell(&ctx, Kind::CgroupMade);
    0
}

#[tracepoint]
fn cgroup_rename_tracepoint(ctx: TracePointContext) -> u32 {
    tell(&ctx, Kind::CgroupRenamed);
    0
}

#[tracepoint]
fn cgroup_rmdir_tracepoint(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    let Some(id) = kernel::read::<u64>(event, CGROUP_EVENT_ID.load()) else { return 0 };
    let Some(hierarchy) = kernel::read(event, CGROUP_EVENT_ROOT.load()) else { return 0 };
    emit_cgroup::<CgroupRemoved>(|record| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written here.
        unsafe {
            record.write(CgroupRemoved {
                head: head(Kind::CgroupRemoved, 0),
                id,
                hierarchy,
                reserved: 0,
            });
        }
    });
    0
}
