//! One subsystem's init for a new network namespace, at `ops_init`. Only failures are recorded.
use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::PernetInitFailed;

use super::memcg_charge;
use crate::{
    emit::{emit, now},
    kernel::{self, PERNET_INIT, argument},
    thread,
};

#[inline(always)]
fn enter(ops: u64) {
    if let Some(thread) = thread::creating() {
        thread.pernet_ops = ops;
        thread.pernet_since = now();
    }
}

#[inline(always)]
fn leave(errno: i32) {
    let Some(thread) = thread::creating() else { return };
    let ops = thread.pernet_ops;
    thread.pernet_ops = 0;
    if errno >= 0 {
        return;
    }
    memcg_charge::report_refusal(thread);
    let init = kernel::read(ops, PERNET_INIT.load()).unwrap_or(0);
    let (creation, began_ns) = (thread.creation_ns, thread.pernet_since);
    emit::<PernetInitFailed>(creation, |record, head| {
        let failed = PernetInitFailed { head, began_ns, init, errno, reserved: 0 };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(failed) };
    });
}

#[fentry]
fn pernet_init_fentry(ctx: FEntryContext) -> u32 {
    enter(argument(&ctx, 0));
    0
}

#[fexit]
fn pernet_init_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the two arguments.
    leave(argument(&ctx, 2) as i32);
    0
}

#[kprobe]
fn pernet_init_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(ops) = ctx.arg(0) {
        enter(ops);
    }
    0
}

#[kretprobe]
fn pernet_init_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(ctx.ret());
    0
}
