//! Reading kernel memory at offsets that the agent took from the running kernel's BTF. They and the
//! programs' settings are the globals of the table.
use aya_ebpf::{
    EbpfContext, Global,
    helpers::{bpf_probe_read_kernel, generated},
    programs::ProbeContext,
};
use fragwatch_ebpf::{MAX_FRAMES, ORDERS, table::ABSENT};

macro_rules! declare {
    ($(
        $(#[$doc:meta])*
        $group:ident { $($name:ident: $need:ident, $source:expr;)+ }
    )+) => {
        $($(
            #[unsafe(no_mangle)]
            pub(crate) static $name: Global<u32> =
                Global::new(fragwatch_ebpf::table::global::$name.initial());
        )+)+
    };
}

fragwatch_ebpf::for_each_global!(declare);

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and can't fail.
    unsafe { generated::bpf_ktime_get_ns() }
}

/// Reads a `T` at `base + offset`. `None` if the offset is not in this kernel's BTF, the base is
/// NULL, or the memory can't be read.
#[inline(always)]
pub(crate) fn read<T>(base: u64, offset: u32) -> Option<T> {
    if base == 0 || offset == ABSENT {
        return None;
    }
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    // SAFETY: the helper checks the address and answers an error for memory it can't read.
    unsafe { bpf_probe_read_kernel(address) }.ok()
}

/// Reads a number at `base + offset`, 0 if it can't be read. The verifier has one way to follow where [`read`] has
/// four, in each program that reads a chain of pointers: what can't be read, such as what a NULL leads to, the
/// helper zeroes (`bpf_probe_read_kernel_common` in kernel/trace/bpf_trace.c).
#[inline(always)]
pub(crate) fn read_or_zero<T: Copy + Default>(base: u64, offset: u32) -> T {
    let mut value = T::default();
    // A constant for the verifier.
    if offset != ABSENT {
        read_into(&mut value, base, offset);
    }
    value
}

/// Reads a `T` at `base + offset` into `into`, without a branch: 0, or the helper's negative error
/// with `into` zeroed.
#[inline(always)]
pub(crate) fn read_into<T: Copy>(into: &mut T, base: u64, offset: u32) -> i64 {
    let address = base.wrapping_add(u64::from(offset)) as *const _;
    // SAFETY: `into` is as large as is said; the helper checks the address.
    unsafe {
        generated::bpf_probe_read_kernel(
            core::ptr::from_mut(into).cast(),
            size_of::<T>() as u32,
            address,
        )
    }
}

/// Reads a NUL-terminated string into `into`, cut to its length: the bytes read, or a negative
/// error with `into` empty.
#[inline(always)]
pub(crate) fn read_str<const N: usize>(into: &mut [u8; N], address: u64) -> i64 {
    into[0] = 0;
    // SAFETY: `into` is as large as is said; the helper checks the address and writes the NUL.
    unsafe {
        generated::bpf_probe_read_kernel_str(
            into.as_mut_ptr().cast(),
            N as u32,
            address as *const _,
        )
    }
}

/// Argument `n` of a function that an fentry or fexit program is attached to; behind the last one
/// lies an fexit's return value. Read as memory: a plain load would give the verifier a typed
/// pointer, with which nothing can be calculated.
#[inline(always)]
pub(crate) fn argument(ctx: &impl EbpfContext, n: u32) -> u64 {
    let mut value = 0u64;
    read_into(&mut value, ctx.as_ptr() as u64, n * 8);
    value
}

/// As [`argument`], for what is a number to the kernel's BTF, no pointer: that is loaded plainly.
#[inline(always)]
pub(crate) fn number(ctx: &impl EbpfContext, n: usize) -> u64 {
    // SAFETY: the context is an array with at least as many elements as the function has parameters,
    // and one for the return value; the verifier checks that. Volatile, so that the load keeps the
    // eight bytes that every kernel allows.
    unsafe { ctx.as_ptr().cast::<u64>().add(n).read_volatile() }
}

/// The number behind an `ERR_PTR`, or 0 if `pointer` is not one (`IS_ERR_VALUE`, `MAX_ERRNO` 4095).
#[inline(always)]
pub(crate) fn errno_of(pointer: u64) -> i32 {
    let value = pointer.cast_signed();
    if (-4095..0).contains(&value) { value as i32 } else { 0 }
}

/// Whether it can be an allocation's order: behind a compiler's suffix a function may have other parameters than
/// its prototype says.
#[inline(always)]
pub(crate) fn is_order(order: u32) -> bool {
    order < ORDERS as u32
}

/// Whether an address can be one of the kernel.
#[inline(always)]
pub(crate) fn is_kernels(address: u64) -> bool {
    address.cast_signed() < 0
}

/// Whether an address lies in the frames of the functions around a kprobe, as structures do that a caller has for
/// those that it calls.
#[inline(always)]
pub(crate) fn is_on_stack(ctx: &ProbeContext, address: u64) -> bool {
    /// `THREAD_SIZE` of x86-64, the size of each kernel stack.
    const STACK: u64 = 16 * 1024;
    // SAFETY: the context of a kprobe is the registers, which the verifier lets it read.
    let top = unsafe { (*ctx.regs).rsp };
    address.wrapping_sub(top) < STACK
}

/// Takes the kernel stack; returns how many frames it has, 0 if it can't be had.
#[inline(always)]
pub(crate) fn stack(ctx: &impl EbpfContext, into: &mut [u64; MAX_FRAMES]) -> u32 {
    // SAFETY: the buffer is as large as the size that is passed.
    let bytes = unsafe {
        generated::bpf_get_stack(
            ctx.as_ptr(),
            into.as_mut_ptr().cast(),
            size_of_val(into) as u32,
            0,
        )
    };
    if bytes > 0 { bytes as u32 / 8 } else { 0 }
}
