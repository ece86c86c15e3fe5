//! Names an address of the kernel's code. The agent runs it (`BPF_PROG_TEST_RUN`); it is attached nowhere.
use aya_ebpf::{
    helpers::generated::bpf_snprintf, macros::raw_tracepoint, programs::RawTracePointContext,
};
use fragwatch_ebpf::SYMBOL_LEN;

use crate::maps::SYMBOL;

/// Symbol, offset, size and module. The verifier wants it in memory that nothing can change.
#[unsafe(link_section = ".rodata")]
static FORMAT: [u8; 4] = *b"%pS\0";

/// Puts the name of the address that is its argument into [`SYMBOL`]; an empty one if that fails. Since 5.13
/// (`bpf_snprintf`).
#[raw_tracepoint]
fn symbol_name(ctx: RawTracePointContext) -> i32 {
    let Some(name) = SYMBOL.get_ptr_mut(0) else { return 0 };
    let mut address: u64 = ctx.arg(0);
    let (length, size) = (SYMBOL_LEN as u32, size_of::<u64>() as u32);
    // SAFETY: the value is the agent's, which runs one program at a time; the helper writes no more than its
    // length, and reads one word for one conversion.
    unsafe {
        (*name)[0] = 0;
        bpf_snprintf(name.cast(), length, FORMAT.as_ptr().cast(), &raw mut address, size);
    }
    // What a program at a raw tracepoint returns goes nowhere.
    0
}
