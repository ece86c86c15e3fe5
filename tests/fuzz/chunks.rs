//! However a log is read, piece by piece, the same is found in it.
#![no_main]
mod holds;

libfuzzer_sys::fuzz_target!(|log: &[u8]| holds::chunks(log));
