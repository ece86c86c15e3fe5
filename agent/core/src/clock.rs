//! Conversion of `CLOCK_MONOTONIC` to the time of day.
use jiff::Timestamp;

/// The time of day at `monotonic_ns`. `realtime_offset_ns` is `CLOCK_REALTIME` minus `CLOCK_MONOTONIC`.
/// 1970 if the result is out of range.
pub fn time_of_day(monotonic_ns: u64, realtime_offset_ns: i64) -> Timestamp {
    let time = i128::from(monotonic_ns) + i128::from(realtime_offset_ns);
    Timestamp::from_nanosecond(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
