//! The kernel side of fragwatch: one file per hook under `probe`.
#![no_std]
#![no_main]
#![allow(missing_docs, reason = "programs are entry points of the kernel, not an API")]
#![allow(
    clippy::inline_always,
    reason = "a pointer into the ring loses its type across a call, and is refused then"
)]
#![allow(clippy::needless_pass_by_value, reason = "aya's macros hand the context over by value")]
#![allow(
    clippy::cast_sign_loss,
    reason = "registers and helpers' answers are reinterpreted, their signs are checked before"
)]

mod account;
mod budget;
mod cgroup;
mod counters;
mod emit;
mod kernel;
mod maps;
mod probe;
mod state;
mod thread;
mod user;
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
