//! From the kernel programs' clock to the time of day.
use jiff::Timestamp;
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

/// The time of day at a moment of `CLOCK_MONOTONIC`, by how far the clocks are apart now.
pub fn time_of_day(monotonic: u64) -> Timestamp {
    let ahead = i128::from(nanoseconds(ClockId::CLOCK_REALTIME)) - i128::from(monotonic_ns());
    Timestamp::from_nanosecond(i128::from(monotonic) + ahead).unwrap_or(Timestamp::UNIX_EPOCH)
}
