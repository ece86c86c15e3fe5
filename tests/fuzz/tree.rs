//! Whatever comes as an archive, the report on the logs in it is one.
#![no_main]
mod holds;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holds::tree(bytes));
