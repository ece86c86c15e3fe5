//! A slab cache is created. All candidates return NULL on failure, and all take the name and the
//! object's size first.
use aya_ebpf::{
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::SlabCacheCreated;

use crate::{
    emit::emit,
    kernel::{argument, number, read_str},
    state::Thread,
    thread,
};

#[inline(always)]
fn enter(name: u64, size: u32) {
    let Some(thread) = thread::creating() else { return };
    thread.cache_name = name;
    thread.cache_size = u64::from(size);
}

#[inline(always)]
fn leave(cache: u64) {
    let Some(thread) = thread::creating() else { return };
    let (name, size) = (thread.cache_name, thread.cache_size);
    if name == 0 {
        return;
    }
    thread.cache_name = 0;
    report(thread, name, size as u32, cache);
}

#[inline(always)]
fn report(thread: &mut Thread, name: u64, size: u32, cache: u64) {
    emit::<SlabCacheCreated>(thread, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it.
        let record = unsafe { &mut *record };
        record.head = head;
        record.size = size;
        record.failed = u32::from(cache == 0);
        // The caller's name outlives the call; one that can't be read stays empty.
        read_str(&mut record.name, name);
    });
}

#[fexit]
fn slab_cache_fexit(ctx: FExitContext) -> u32 {
    if let Some(thread) = thread::creating() {
        // The return value stands behind the four arguments.
        report(thread, argument(&ctx, 0), number(&ctx, 1) as u32, argument(&ctx, 4));
    }
    0
}

#[kprobe]
fn slab_cache_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(name), Some(size)) = (ctx.arg(0), ctx.arg(1)) {
        enter(name, size);
    }
    0
}

#[kretprobe]
fn slab_cache_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(ctx.ret());
    0
}
