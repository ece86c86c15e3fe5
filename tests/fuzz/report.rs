//! Whatever bytes a log has, the report on it is one.
#![no_main]
mod holds;

libfuzzer_sys::fuzz_target!(|log: &[u8]| holds::report(log));
