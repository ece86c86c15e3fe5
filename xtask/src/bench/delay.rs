//! The delay of reports: from the end of a creation to its line on fragwatch's stdout, by the guest's
//! clock.

use anyhow::{Context, Result};
use harness::vm::protocol::Line;
use jiff::Timestamp;
use serde_json::Value;

/// Reads delays from the guest's lines, in their order.
#[derive(Default)]
pub(super) struct Delays {
    /// From the guest's monotonic time to its realtime, in milliseconds.
    offset: Option<i64>,
}

impl Delays {
    /// The delay in milliseconds if the line is the report of a creation.
    pub(super) fn of(&mut self, line: &Line) -> Result<Option<i64>> {
        match line.stream.as_str() {
            "clock" => {
                let realtime: i64 = line.text.parse().context("the guest's clock is no number")?;
                self.offset = Some(realtime - line.ms.cast_signed());
                Ok(None)
            }
            "fragwatch-out" => self.of_report(line),
            _ => Ok(None),
        }
    }

    fn of_report(&self, line: &Line) -> Result<Option<i64>> {
        // bpftrace's lines are on the same stream.
        let Ok(report) = serde_json::from_str::<Value>(&line.text) else { return Ok(None) };
        if report["type"] != "creation" {
            return Ok(None);
        }
        let offset = self.offset.context("the guest sent no clock")?;
        let ended = report["time"].as_str().context("a creation has no time")?;
        let ended: Timestamp = ended.parse().context("the time of a creation is malformed")?;
        Ok(Some(line.ms.cast_signed() + offset - ended.as_millisecond()))
    }
}

/// The smallest value that so many percent of the sorted values don't exceed.
pub(super) fn percentile(sorted: &[i64], percent: usize) -> Result<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    let value = sorted.get(rank.saturating_sub(1));
    value.copied().context("no creation was reported")
}

#[cfg(test)]
mod tests {
    use harness::vm::protocol::Line;

    use super::{Delays, percentile};

    fn line(ms: u64, stream: &str, text: &str) -> Line {
        Line { ms, stream: stream.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn delay_is_from_the_end_of_the_creation_to_its_line() {
        let mut delays = Delays::default();
        let report = r#"{"type":"creation","time":"1970-01-01T00:00:10.500Z"}"#;
        assert!(delays.of(&line(5, "fragwatch-out", report)).is_err());
        assert_eq!(delays.of(&line(100, "clock", "10100")).expect("it is a clock"), None);
        let delay = delays.of(&line(520, "fragwatch-out", report)).expect("it is a report");
        assert_eq!(delay, Some(20));
        let other = delays.of(&line(521, "fragwatch-out", r#"{"type":"summary"}"#));
        assert_eq!(other.expect("it is JSON"), None);
    }

    #[test]
    fn percentiles_are_values_of_the_list() {
        let values: Vec<i64> = (1..=200).collect();
        let of = |percent| percentile(&values, percent).expect("the list is not empty");
        assert_eq!([of(50), of(99), of(100)], [100, 198, 200]);
        assert_eq!(percentile(&[7], 50).ok(), Some(7));
        assert!(percentile(&[], 50).is_err());
    }
}
