//! From the kernel's clock to the time of day.
use jiff::Timestamp;

/// The time of day at a moment of `CLOCK_MONOTONIC`, by how far the clocks are apart.
pub fn time_of_day(monotonic_ns: u64, realtime_offset_ns: i64) -> Timestamp {
    let time = i128::from(monotonic_ns) + i128::from(realtime_offset_ns);
    Timestamp::from_nanosecond(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
