//! The per-CPU allocator (mm/percpu.c `pcpu_alloc`, 2.6.30 and later).
//!
//! ```text
//! percpu: allocation failed, size=256 align=8 atomic=0, failed to populate
//! PERCPU: allocation failed, size=2048 align=32, failed to extend area map     up to 3.15
//! ```
use fragwatch_core::model::notice::PercpuFailed;

use crate::parse::field;

/// Parses such a line.
pub(super) fn parse(text: &str) -> Option<PercpuFailed> {
    let (subsystem, rest) = text.trim().split_once(": allocation failed, ")?;
    if !subsystem.eq_ignore_ascii_case("percpu") {
        return None;
    }
    let (_, reason) = rest.rsplit_once(", ")?;
    Some(PercpuFailed {
        bytes: field::number(rest, "size="),
        atomic: field::number(rest, "atomic=") == Some(1),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_ages() {
        let found =
            parse("percpu: allocation failed, size=256 align=8 atomic=0, failed to populate")
                .expect("a failure");
        assert_eq!((found.bytes, found.atomic), (Some(256), false));
        assert!(found.lacks_pages());
        let old = "PERCPU: allocation failed, size=2048 align=32, failed to extend area map";
        assert!(!parse(old).expect("a failure").lacks_pages());
    }

    #[test]
    fn what_is_no_failure() {
        for text in [
            "percpu: Embedded 64 pages/cpu s225280 r8192 d28672 u524288",
            "percpu: limit reached, disable warning",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
