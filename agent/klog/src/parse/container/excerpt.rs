//! The part of a message that a report shows.

/// Characters shown of a message.
const LENGTH: usize = 240;
/// Characters of its beginning that are kept where its middle is left out.
const BEGINNING: usize = 72;

/// Shortens a message. Errors are wrapped from the left, so the innermost one, which ends at the
/// byte `error_end`, is kept with what stands before it.
pub(super) fn excerpt(text: &str, error_end: Option<usize>) -> String {
    let end = error_end.filter(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let (text, end) = (text.trim_end(), end.min(text.trim_end().len()));
    let skipped = text.len() - text.trim_start().len();
    let (text, end) = (text.trim_start(), end.saturating_sub(skipped));
    if text.chars().count() <= LENGTH {
        return text.to_owned();
    }
    let before_end = text[..end].chars().count();
    if before_end <= LENGTH {
        let cut = text.char_indices().nth(LENGTH).map_or(text.len(), |(at, _)| at);
        return format!("{}…", &text[..cut]);
    }
    let head = text.char_indices().nth(BEGINNING).map_or(text.len(), |(at, _)| at);
    let tail = LENGTH - BEGINNING;
    let from = text[..end].char_indices().nth_back(tail - 1).map_or(0, |(at, _)| at);
    let rest = if end < text.len() { "…" } else { "" };
    format!("{} … {}{rest}", text[..head].trim_end(), text[from..end].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_error_is_kept() {
        let text = format!("failed to start{}: cannot allocate memory pod=x", " wrap:".repeat(60));
        let end = text.find(" pod=");
        let shown = excerpt(&text, end);
        assert!(shown.starts_with("failed to start wrap:"), "{shown}");
        assert!(shown.ends_with("wrap:: cannot allocate memory…"), "{shown}");
        assert!(shown.chars().count() < LENGTH + 10, "{shown}");
    }

    #[test]
    fn a_short_message_stays_as_it_is() {
        assert_eq!(excerpt(" runc: no ", Some(5)), "runc: no");
        assert_eq!(excerpt("é", Some(1)), "é");
    }

    proptest::proptest! {
        #[test]
        fn any_message_is_bounded(text in "\\PC{0,600}", end in 0usize..2000) {
            let shown = excerpt(&text, Some(end));
            proptest::prop_assert!(shown.chars().count() <= LENGTH + 5);
        }
    }
}
