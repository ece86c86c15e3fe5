//! The protocol of node-problem-detector's custom plug-ins: an exit code, and one line of at most 80
//! bytes (pkg/custompluginmonitor, `max_output_length` of its configuration).
use fragwatch_core::{model::status::CheckStatus, units::printable};

use crate::check::Check;

/// Exit code for an unknown state.
pub(super) const UNKNOWN: u8 = 2;

/// Bytes that are not cut off.
const MAX: usize = 80;

/// 0: no problem, 1: the next container would fail. That little is left is no problem yet.
pub(super) fn exit_code(status: CheckStatus) -> u8 {
    match status {
        CheckStatus::Ok | CheckStatus::Tight => 0,
        CheckStatus::WouldFail => 1,
        CheckStatus::Unknown => UNKNOWN,
    }
}

/// What is worst.
pub(super) fn line(check: &Check) -> String {
    let status = check.status();
    let order = check.orders.iter().find(|order| order.status == status);
    let text = match (order, check.ids) {
        (Some(order), _) => format!("order {}: {}", order.need.order, printable(&order.reason)),
        (None, Some(ids)) => format!("{} memory cgroup ids left", ids.left),
        (None, None) => "nothing could be read".to_owned(),
    };
    cut(&text)
}

/// At most [`MAX`] bytes, cut between characters.
fn cut(text: &str) -> String {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= MAX).last().unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_never_too_long() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(200)).len(), MAX);
        assert_eq!(cut(&"µ".repeat(200)).len(), MAX);
        assert_eq!(cut(&format!("x{}", "µ".repeat(200))).len(), MAX - 1);
    }
}
