//! A line of a segment: the JSON object of a capture's line, with two fields more at its end: the entry's
//! number, and the CRC-32C of all bytes before that field.
//!
//! ```text
//! {"type":"tick","time_ns":5,"sequence":12,"crc32c":"77073096"}
//! ```
const SEQUENCE: &str = ",\"sequence\":";
const CHECKSUM: &str = ",\"crc32c\":\"";
/// The checksum's eight digits and what closes the line.
const CHECKSUM_LENGTH: usize = CHECKSUM.len() + 8 + 2;

/// Longest line, in bytes: as of captures.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Appends a line to `out`. `json` is an object with at least one field.
pub(super) fn append(out: &mut Vec<u8>, json: &str, sequence: u64) {
    let from = out.len();
    let body = json.strip_suffix('}').unwrap_or(json);
    out.extend_from_slice(format!("{body}{SEQUENCE}{sequence}").as_bytes());
    let checksum = crc32c::crc32c(&out[from..]);
    out.extend_from_slice(format!("{CHECKSUM}{checksum:08x}\"}}\n").as_bytes());
}

/// Checks a line, without its newline, and returns its number; `None` if it is not what was written.
pub(crate) fn check(line: &[u8]) -> Option<u64> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(CHECKSUM_LENGTH)?)?;
    let digits = tail.strip_prefix(CHECKSUM.as_bytes())?.strip_suffix(b"\"}")?;
    let checksum = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    if checksum != crc32c::crc32c(body) {
        return None;
    }
    let at = body.windows(SEQUENCE.len()).rposition(|window| window == SEQUENCE.as_bytes())?;
    std::str::from_utf8(&body[at + SEQUENCE.len()..]).ok()?.parse().ok()
}

/// Whether a line is a segment's header, as serde writes one.
pub(crate) fn is_header(line: &[u8]) -> bool {
    line.starts_with(b"{\"format\":")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(json: &str, sequence: u64) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, json, sequence);
        assert_eq!(out.pop(), Some(b'\n'));
        out
    }

    #[test]
    fn a_line_is_json_with_two_fields_more() {
        let line = line(r#"{"type":"tick","time_ns":5}"#, 12);
        let value: serde_json::Value = serde_json::from_slice(&line).expect("it is JSON");
        assert_eq!(value["time_ns"], 5);
        assert_eq!(value["sequence"], 12);
        assert_eq!(check(&line), Some(12));
    }

    #[test]
    fn a_name_that_looks_like_the_fields_changes_nothing() {
        let line = line(r#"{"comm":",\"sequence\":7,\"crc32c\":\"00000000\"}"}"#, 3);
        assert_eq!(check(&line), Some(3));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in 0usize..60, bit in 0u32..8) {
            let mut line = line(r#"{"type":"tick","time_ns":5}"#, 12);
            let at = at % line.len();
            line[at] ^= 1 << bit;
            // The digits of the checksum may change between upper and lower case.
            let same = std::str::from_utf8(&line).is_ok_and(|l| {
                l.to_lowercase().into_bytes() == self::line(r#"{"type":"tick","time_ns":5}"#, 12)
            });
            prop_assert!(check(&line).is_none() || same);
        }

        #[test]
        fn anything_is_checked_without_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(check(&line), None);
        }
    }
}
