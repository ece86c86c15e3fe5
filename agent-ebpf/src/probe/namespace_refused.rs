//! `inc_ucount` counts one more namespace of a user. It refuses if that would be more than
//! `user.max_*_namespaces` of the user namespace or one above it allows, or if there is no memory for
//! the count.
//!
//! A user namespace is made before the others, outside a creation.
use aya_ebpf::{
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::{Head, NamespaceRefused};

use super::step;
use crate::{
    emit::{emit, emit_outside},
    kernel::{UCOUNT_NAMESPACES, argument, number},
    maps::COUNTED_NAMESPACES,
    thread,
};

/// What the kernel makes of it.
const ENOSPC: i32 = -28;

/// Up to 5.12 other things are counted here too, behind the namespaces.
#[inline(always)]
fn is_namespace(kind: u32) -> bool {
    kind < UCOUNT_NAMESPACES.load()
}

#[inline(always)]
fn leave(kind: u32, ucounts: u64) {
    if ucounts != 0 || !is_namespace(kind) {
        return;
    }
    let fill = |record: *mut NamespaceRefused, head: Head| {
        let refused = NamespaceRefused { head, kind, reserved: 0 };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(refused) };
    };
    match thread::creating() {
        Some(thread) => emit(thread, fill),
        None => {
            // A clone fails with it as a whole.
            step::note_reported(ENOSPC);
            emit_outside(fill);
        }
    }
}

#[fexit]
fn namespace_refused_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the three arguments.
    leave(number(&ctx, 2) as u32, argument(&ctx, 3));
    0
}

#[kprobe]
fn namespace_refused_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(kind) = ctx.arg::<u32>(2)
        && is_namespace(kind)
    {
        // Without it a refusal is not reported; the table's oldest entry goes if it is full.
        let _ = COUNTED_NAMESPACES.insert(thread::tid(), kind, 0);
    }
    0
}

#[kretprobe]
fn namespace_refused_kretprobe(ctx: RetProbeContext) -> u32 {
    let tid = thread::tid();
    if let Some(kind) = COUNTED_NAMESPACES.get_ptr(tid) {
        // SAFETY: memory of the map. Should the element be evicted and reused meanwhile, another
        // kind of namespace is reported.
        let kind = unsafe { *kind };
        // Not there any more is as good as removed.
        let _ = COUNTED_NAMESPACES.remove(tid);
        leave(kind, ctx.ret());
    }
    0
}
