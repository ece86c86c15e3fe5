//! The tracepoints `cgroup:cgroup_mkdir`, `cgroup:cgroup_rename` (v1 only) and `cgroup:cgroup_rmdir`
//! (5.10–7.2; include/trace/events/cgroup.h, all of the class `cgroup`): a cgroup was created, renamed
//! or removed, in any hierarchy.
use aya_ebpf::{EbpfContext, macros::tracepoint, programs::TracePointContext};
use fragwatch_ebpf::{CGROUP_PATH_LEN, CgroupMade, CgroupRemoved, CgroupRenamed, Record};

use crate::{
    emit::emit_cgroup,
    kernel::{
        self, CGROUP_EVENT_ID, CGROUP_EVENT_ID_SIZE, CGROUP_EVENT_PATH, CGROUP_EVENT_ROOT, read_str,
    },
};

/// The cgroup's id, with the size that it has in this kernel's record. Where that has 4 bytes they are the lower
/// half, which is all of it until 2^32 cgroups have been made.
#[inline(always)]
fn id(event: u64) -> Option<u64> {
    let offset = CGROUP_EVENT_ID.load();
    match CGROUP_EVENT_ID_SIZE.load() {
        4 => kernel::read::<u32>(event, offset).map(u64::from),
        8 => kernel::read(event, offset),
        _ => None,
    }
}

/// Reports the path of a cgroup from now on.
#[inline(always)]
fn report<R: Record>(ctx: &TracePointContext) {
    let event = ctx.as_ptr() as u64;
    let Some(id) = id(event) else { return };
    // `__data_loc`: the lower half is where the text lies in the event, the upper one its length.
    let Some(place) = kernel::read::<u32>(event, CGROUP_EVENT_PATH.load()) else { return };
    let Some(hierarchy) = kernel::read(event, CGROUP_EVENT_ROOT.load()) else { return };
    emit_cgroup::<R>(|record, head| {
        // SAFETY: `record` is the ring's memory, reserved for a `CgroupMade` or a struct that is
        // transparent around one, and every field is written below before anything reads it; the
        // path's rest is never read.
        let record = unsafe { &mut *record.cast::<CgroupMade>() };
        record.head = head;
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
    report::<CgroupMade>(&ctx);
    0
}

#[tracepoint]
fn cgroup_rename_tracepoint(ctx: TracePointContext) -> u32 {
    report::<CgroupRenamed>(&ctx);
    0
}

#[tracepoint]
fn cgroup_rmdir_tracepoint(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    let Some(id) = id(event) else { return 0 };
    let Some(hierarchy) = kernel::read(event, CGROUP_EVENT_ROOT.load()) else { return 0 };
    emit_cgroup::<CgroupRemoved>(|record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written here.
        unsafe {
            record.write(CgroupRemoved { head, id, hierarchy, reserved: 0 });
        }
    });
    0
}
