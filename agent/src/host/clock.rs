//! The clock of the eBPF programs, its offset from the time of day, and this process's CPU time.
use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` now, in nanoseconds, as `bpf_ktime_get_ns` counts.
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// The CPU time of this process until now, in nanoseconds.
pub fn cpu_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn nanoseconds(clock: ClockId) -> u64 {
    // The call can't fail, because every Linux has these clocks.
    clock_gettime(clock)
        .map_or(0, |t| t.tv_sec().cast_unsigned() * 1_000_000_000 + t.tv_nsec().cast_unsigned())
}

/// `CLOCK_REALTIME` minus `CLOCK_MONOTONIC` now, in nanoseconds.
pub fn realtime_offset_ns() -> i64 {
    let sample = || {
        let before = monotonic_ns();
        let time_of_day = nanoseconds(ClockId::CLOCK_REALTIME);
        let after = monotonic_ns();
        let ahead = time_of_day.cast_signed().wrapping_sub(before.midpoint(after).cast_signed());
        (after.saturating_sub(before), ahead)
    };
    // Another thread may run between the calls; the sample that took the least time is used.
    let samples = [sample(), sample(), sample()];
    samples.into_iter().min().map_or(0, |(_, ahead)| ahead)
}
