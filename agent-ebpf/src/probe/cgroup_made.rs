//! The tracepoints `cgroup:cgroup_mkdir`, `cgroup:cgroup_rename` (v1 only) and `cgroup:cgroup_rmdir`
//! (5.10–7.2; include/trace/events/cgroup.h, all of the class `cgroup`, called with
//! `struct cgroup *cgrp, const char *path`): a cgroup was created, renamed or removed. Those of
//! other hierarchies than tasks are identified by go no further: on v1 there are some ten, and a container has a
//! cgroup in each.
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use fragwatch_ebpf::{CGROUP_PATH_LEN, CgroupMade, CgroupRemoved, CgroupRenamed, Record};

use crate::{
    emit::emit_cgroup,
    kernel::{self, CGROUP_KN, CGROUP_ROOT, KN_ID, ROOT_HIERARCHY, TASKS_HIERARCHY, read_str},
};

/// `PATH_MAX` in parts of a record's size: the kernel's own buffer for the path.
const PARTS: u32 = 9;

/// A cgroup's id, and the id of its hierarchy; `None` if that is another than tasks are identified by.
#[inline(always)]
fn ids(cgroup: u64) -> Option<(u64, u32)> {
    let node = kernel::read::<u64>(cgroup, CGROUP_KN.load())?;
    let root = kernel::read::<u64>(cgroup, CGROUP_ROOT.load())?;
    let hierarchy = kernel::read(root, ROOT_HIERARCHY.load())?;
    if hierarchy != TASKS_HIERARCHY.load() {
        return None;
    }
    Some((kernel::read(node, KN_ID.load())?, hierarchy))
}

/// Copies a path. Of a long one the end: that is where the container stands. Returns its length, the NUL
/// counted; `u32::MAX`, with nothing copied, if it can't be read.
#[inline(always)]
fn copy(into: &mut [u8; CGROUP_PATH_LEN], path: u64) -> u32 {
    let (full, mut before) = (CGROUP_PATH_LEN.cast_signed() as i64, 0);
    for _ in 0..PARTS {
        let read = read_str(into, path.wrapping_add(before));
        if read < 0 {
            break;
        }
        if read < full {
            let length = before + read.cast_unsigned();
            if before == 0 || read_str(into, path.wrapping_add(length - full as u64)) > 0 {
                return length as u32;
            }
            break;
        }
        // The NUL that ends this part is not the path's.
        before += full as u64 - 1;
    }
    into[0] = 0;
    u32::MAX
}

/// Reports the path of a cgroup from now on.
#[inline(always)]
fn report<R: Record>(ctx: &RawTracePointContext) {
    let Some((id, hierarchy)) = ids(ctx.arg(0)) else { return };
    let path: u64 = ctx.arg(1);
    emit_cgroup::<R>(|record, head| {
        // SAFETY: `record` is the ring's memory, reserved for a `CgroupMade` or a struct that is
        // transparent around one, and every field is written below before anything reads it; the
        // path's rest is never read.
        let record = unsafe { &mut *record.cast::<CgroupMade>() };
        record.head = head;
        record.id = id;
        record.hierarchy = hierarchy;
        record.len = copy(&mut record.path, path);
    });
}

#[raw_tracepoint]
fn cgroup_mkdir_raw_tracepoint(ctx: RawTracePointContext) -> i32 {
    report::<CgroupMade>(&ctx);
    0
}

#[raw_tracepoint]
fn cgroup_rename_raw_tracepoint(ctx: RawTracePointContext) -> i32 {
    report::<CgroupRenamed>(&ctx);
    0
}

#[raw_tracepoint]
fn cgroup_rmdir_raw_tracepoint(ctx: RawTracePointContext) -> i32 {
    let Some((id, hierarchy)) = ids(ctx.arg(0)) else { return 0 };
    emit_cgroup::<CgroupRemoved>(|record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written here.
        unsafe {
            record.write(CgroupRemoved { head, id, hierarchy, reserved: 0 });
        }
    });
    0
}
