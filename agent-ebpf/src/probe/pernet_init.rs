//! One subsystem's init for a new network namespace has failed, seen at either of:
//! - `ops_undo_list`, which undoes those before it and is not called for anything else while a namespace is
//!   created;
//! - `ops_init`, on kernels that have no such function. It runs some 85 times for each namespace, so a success
//!   returns without a look at anything.
use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::PernetInitFailed;

use super::memcg_charge;
use crate::{
    emit::emit,
    kernel::{self, PERNET_INIT, argument, number},
    state::Thread,
    thread,
};

/// `errno` is 0 where it is not known: the creation fails with the same.
#[inline(always)]
fn failed(thread: &mut Thread, ops: u64, errno: i32) {
    memcg_charge::report_refusal(thread);
    let init = kernel::read_or_zero(ops, PERNET_INIT.load());
    emit::<PernetInitFailed>(thread, |record, head| {
        let failed = PernetInitFailed { head, init, errno, reserved: 0 };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(failed) };
    });
}

/// `ops` is NULL where a namespace is destroyed.
#[inline(always)]
fn undone(ops: u64) {
    if ops != 0
        && let Some(thread) = thread::creating()
    {
        failed(thread, ops, 0);
    }
}

#[fentry]
fn pernet_undo_fentry(ctx: FEntryContext) -> u32 {
    undone(argument(&ctx, 1));
    0
}

#[kprobe]
fn pernet_undo_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(ops) = ctx.arg(1) {
        undone(ops);
    }
    0
}

#[fexit]
fn pernet_init_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the two arguments.
    let errno = number(&ctx, 2) as i32;
    if errno < 0
        && let Some(thread) = thread::creating()
    {
        failed(thread, argument(&ctx, 0), errno);
    }
    0
}

#[kprobe]
fn pernet_init_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(ops), Some(thread)) = (ctx.arg(0), thread::creating()) {
        thread.pernet_ops = ops;
    }
    0
}

#[kretprobe]
fn pernet_init_kretprobe(ctx: RetProbeContext) -> u32 {
    if let Some(thread) = thread::creating() {
        let ops = thread.pernet_ops;
        thread.pernet_ops = 0;
        let errno: i32 = ctx.ret();
        if errno < 0 {
            failed(thread, ops, errno);
        }
    }
    0
}
