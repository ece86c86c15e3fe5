//! The kernel side of fragwatch: one file per hook under `probe`.
#![no_std]
#![no_main]
// Programs are entry points of the kernel, not an API.
#![allow(missing_docs)]

mod cgroup;
mod emit;
mod kernel;
mod maps;
mod probe;
mod thread;
mod zones;

/// The licence that the kernel checks before it lets a program read kernel memory.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // The verifier refuses a program that could get here.
    loop {}
}
