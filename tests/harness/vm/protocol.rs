//! The lines of the guest: `<monotonic ms> <stream> <text>`.

use anyhow::{Context, Result};

/// One line of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the guest booted.
    pub ms: u64,
    /// The source or the meaning of the text: node, outcome, truth, runc, runtime, fragwatch-out,
    /// fragwatch-err, dmesg, `extfrag_index`, buddyinfo, cgroups, zoneinfo, capture, capabilities,
    /// clock (the realtime in ms), measure, measure-later, overhead, storm, exit, error or end.
    pub stream: String,
    /// One line of it.
    pub text: String,
}

/// Parses a line.
pub fn parse(line: &str) -> Result<Line> {
    let mut parts = line.splitn(3, ' ');
    let ms = parts.next().and_then(|ms| ms.parse().ok());
    let stream = parts.next().filter(|stream| !stream.is_empty());
    let (Some(ms), Some(stream)) = (ms, stream) else {
        return None.with_context(|| format!("the guest sent a malformed line: {line}"));
    };
    let text = parts.next().unwrap_or_default();
    Ok(Line { ms, stream: stream.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn line_has_time_stream_and_text() {
        let line = parse("1234 runc level=error msg=\"no  memory\"").expect("it is a line");
        assert_eq!((line.ms, line.stream.as_str()), (1234, "runc"));
        assert_eq!(line.text, "level=error msg=\"no  memory\"");
        assert_eq!(parse("7 end ").expect("it is a line").text, "");
    }

    #[test]
    fn malformed_line_is_in_the_error() {
        let error = parse("Kernel panic").expect_err("it has no time");
        assert!(error.to_string().contains("Kernel panic"));
    }
}
