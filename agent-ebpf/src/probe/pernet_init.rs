//! One subsystem's init for a new network namespace, at `ops_init`. Only failures are recorded.
//!
//! It runs some 85 times for each namespace, so a success that no failed allocation came before returns
//! without a look at the thread.
use aya_ebpf::{
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::PernetInitFailed;

use super::memcg_charge;
use crate::{
    emit::emit,
    kernel::{self, PERNET_INIT, argument, now, number},
    maps::LAST_FAILURE,
    state::Thread,
    thread,
};

/// No creation takes this long.
const RECENT_NS: u64 = 600_000_000_000;

/// Whether an allocation of any creation that may still be under way has failed.
#[inline(always)]
fn failed_recently() -> bool {
    let Some(last) = LAST_FAILURE.get(0) else { return false };
    *last != 0 && now().saturating_sub(*last) < RECENT_NS
}

#[inline(always)]
fn leave(thread: &mut Thread, ops: u64, errno: i32) {
    if errno >= 0 {
        // What has failed so far is not the next one's.
        thread.pernet_since = now();
        thread.fallbacks = 0;
        return;
    }
    memcg_charge::report_refusal(thread);
    let init = kernel::read(ops, PERNET_INIT.load()).unwrap_or(0);
    let began_ns = thread.pernet_since;
    emit::<PernetInitFailed>(thread, |record, head| {
        let failed = PernetInitFailed { head, began_ns, init, errno, reserved: 0 };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(failed) };
    });
}

#[fexit]
fn pernet_init_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the two arguments.
    let errno = number(&ctx, 2) as i32;
    if (errno < 0 || failed_recently())
        && let Some(thread) = thread::creating()
    {
        leave(thread, argument(&ctx, 0), errno);
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
        leave(thread, ops, ctx.ret());
    }
    0
}
