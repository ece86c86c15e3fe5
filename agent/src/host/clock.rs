//! From the kernel programs' clock to the time of day.
use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` now, in nanoseconds, as `bpf_ktime_get_ns` counts.
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

fn nanoseconds(clock: ClockId) -> u64 {
    // Both clocks exist on every Linux, so the call can't fail; 0 would only be a wrong time.
    clock_gettime(clock)
        .map_or(0, |t| t.tv_sec().cast_unsigned() * 1_000_000_000 + t.tv_nsec().cast_unsigned())
}

/// How far the time of day is ahead of `CLOCK_MONOTONIC` now, in nanoseconds.
pub fn realtime_offset_ns() -> i64 {
    let reading = || {
        let before = monotonic_ns();
        let time_of_day = nanoseconds(ClockId::CLOCK_REALTIME);
        let after = monotonic_ns();
        let ahead = time_of_day.cast_signed().wrapping_sub(before.midpoint(after).cast_signed());
        (after.saturating_sub(before), ahead)
    };
    // Somebody else may have run in between: the closest reading counts.
    let readings = [reading(), reading(), reading()];
    readings.into_iter().min().map_or(0, |(_, ahead)| ahead)
}
