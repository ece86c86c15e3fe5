//! Names an address of the kernel's code. The agent runs it (`BPF_PROG_TEST_RUN`); it is attached nowhere.
use aya_ebpf::{
    helpers::generated::bpf_snprintf, macros::raw_tracepoint, programs::RawTracePointContext,
};
use fragwatch_ebpf::SYMBOL_LEN;

use crate::maps::SYMBOL;

/// Symbol, offset, size and module. The verifier wants it in memory that nothing can change.
#[unsafe(link_section = ".rodata")]
static FORMAT: [u8; 4] = *b"%pS\0";

/// Puts the name of the address that is its argument into [`SYMBOL`]. Returns the name's length with its
/// NUL, or what the helper failed with. Since 5.13 (`bpf_snprintf`).
#[raw_tracepoint]
fn symbol_name(ctx: RawTracePointContext) -> i32 {
    let Some(name) = SYMBOL.get_ptr_mut(0) else { return -1 };
    let mut address: u64 = ctx.arg(0);
    let size = size_of::<u64>() as u32;
    // SAFETY: the helper writes no more than the value's length, and reads one word for one conversion.
    let length = unsafe {
        bpf_snprintf(name.cast(), SYMBOL_LEN as u32, FORMAT.as_ptr().cast(), &raw mut address, size)
    };
    length as i32
}
