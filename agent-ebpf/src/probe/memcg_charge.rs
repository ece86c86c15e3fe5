//! A charge of kernel memory to a memory cgroup; 0 on success, a negative errno on failure:
//! - `static int obj_cgroup_charge_pages(struct obj_cgroup *, gfp_t, unsigned int nr_pages)`
//!   (7.2; mm/memcontrol.c), which every charge of kernel memory goes through;
//! - `int obj_cgroup_charge(struct obj_cgroup *, gfp_t, size_t bytes)` (5.10–6.12;
//!   mm/memcontrol.c), where the former is inlined: slab objects and per-cpu memory.
//!
//! They run often, so there is one program on the way out, and it ends at once outside a creation.
use aya_ebpf::{
    EbpfContext,
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::{CGROUP_LEVELS, ChargeFailed, Kind, MemcgLevel};

use crate::{
    cgroup,
    emit::{emit, head},
    kernel::{
        self, COUNTER_MAX, COUNTER_PARENT, COUNTER_USAGE, MEMCG_KMEM, MEMCG_MEMORY, OBJCG_MEMCG,
        argument,
    },
    thread::{self, Charge},
};

/// Bytes of a page on x86-64.
const PAGE_SIZE: u64 = 4096;

#[inline(always)]
fn failed(charge: Charge, errno: i32) {
    let Some(thread) = thread::creating() else { return };
    let creation = thread.creation_ns;
    let memcg = kernel::read::<u64>(charge.objcg, OBJCG_MEMCG.load()).unwrap_or(0);
    emit::<ChargeFailed>(creation, |record| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the arrays' rest is never read.
        let record = unsafe { &mut *record };
        record.head = head(Kind::ChargeFailed, creation);
        record.bytes = charge.bytes;
        record.gfp = charge.gfp as u32;
        record.errno = errno;
        record.depth = levels(memcg, &mut record.levels);
        record.reserved = 0;
        cgroup::record_memcg(memcg, &mut record.cgroup);
    });
}

/// Reads the counters of a memory cgroup and of its ancestors; returns how many there are.
#[inline(always)]
fn levels(memcg: u64, into: &mut [MemcgLevel; CGROUP_LEVELS]) -> u32 {
    if memcg == 0 {
        return 0;
    }
    let at =
        |offset: u32| if offset == fragwatch_ebpf::ABSENT { 0 } else { memcg + u64::from(offset) };
    let (mut memory, mut kmem) = (at(MEMCG_MEMORY.load()), at(MEMCG_KMEM.load()));
    let mut depth = 0;
    for level in into {
        let Some(usage) = kernel::read(memory, COUNTER_USAGE.load()) else { return depth };
        let Some(max) = kernel::read(memory, COUNTER_MAX.load()) else { return depth };
        *level = MemcgLevel {
            usage,
            max,
            kmem_usage: kernel::read(kmem, COUNTER_USAGE.load()).unwrap_or(0),
            kmem_max: kernel::read(kmem, COUNTER_MAX.load()).unwrap_or(0),
        };
        depth += 1;
        memory = kernel::read(memory, COUNTER_PARENT.load()).unwrap_or(0);
        kmem = kernel::read(kmem, COUNTER_PARENT.load()).unwrap_or(0);
    }
    depth
}

/// The three arguments, with the last in units of `unit` bytes.
#[inline(always)]
fn arguments(ctx: &impl EbpfContext, unit: u64) -> Charge {
    Charge { objcg: argument(ctx, 0), gfp: argument(ctx, 1), bytes: argument(ctx, 2) * unit }
}

#[fexit]
fn memcg_charge_pages_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the three arguments.
    let errno = argument(&ctx, 3) as i32;
    if errno < 0 {
        let mut charge = arguments(&ctx, PAGE_SIZE);
        // The upper half of the register is not part of an `unsigned int`.
        charge.bytes &= 0xfff_ffff_ffff;
        failed(charge, errno);
    }
    0
}

#[fexit]
fn memcg_charge_fexit(ctx: FExitContext) -> u32 {
    let errno = argument(&ctx, 3) as i32;
    if errno < 0 {
        failed(arguments(&ctx, 1), errno);
    }
    0
}

#[kprobe]
fn memcg_charge_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(thread) = thread::creating()
        && let (Some(objcg), Some(gfp), Some(bytes)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2))
    {
        thread.charge = Charge { objcg, bytes, gfp };
    }
    0
}

#[kretprobe]
fn memcg_charge_kretprobe(ctx: RetProbeContext) -> u32 {
    let Some(thread) = thread::creating() else { return 0 };
    let charge = thread.charge;
    thread.charge = Charge::NONE;
    let errno = ctx.ret::<i32>();
    if errno < 0 && charge.objcg != 0 {
        failed(charge, errno);
    }
    0
}
