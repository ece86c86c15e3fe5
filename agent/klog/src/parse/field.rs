//! Taking fields out of a line that the kernel printed.

/// What follows the first occurrence of `key`.
pub(super) fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_once(key).map(|(_, rest)| rest)
}

/// The decimal number that `text` begins with, and the rest.
pub(super) fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// The decimal number right after `key`.
pub(super) fn number(text: &str, key: &str) -> Option<u64> {
    leading_number(after(text, key)?).map(|(number, _)| number)
}

/// The decimal number right after `key`, which may be negative.
pub(super) fn signed(text: &str, key: &str) -> Option<i64> {
    let rest = after(text, key)?;
    let (sign, digits) = rest.strip_prefix('-').map_or((1, rest), |digits| (-1, digits));
    let (number, _) = leading_number(digits)?;
    Some(sign * i64::try_from(number).ok()?)
}

/// The text right after `key` up to a comma, white space or the end; `None` if there is none.
pub(super) fn word<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = after(text, key)?;
    let word = rest.split(|c: char| c == ',' || c.is_whitespace()).next()?;
    (!word.is_empty()).then_some(word)
}

/// A gfp mask as it was printed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mask {
    /// The bits.
    pub raw: u32,
    /// Their names, which kernels print from 4.6 on; `None` also if the line is cut within them.
    pub names: Option<String>,
    /// The line has no place for names: the kernel is older than 4.6.
    pub before_names: bool,
}

/// The mask right after `key`: `0xd0`, `0x40dc0(GFP_KERNEL|__GFP_COMP)`, `0x0()`.
pub(super) fn mask(text: &str, key: &str) -> Option<Mask> {
    let rest = after(text, key)?;
    let hex = rest.strip_prefix("0x").unwrap_or(rest);
    let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
    let raw = u32::from_str_radix(&hex[..end], 16).ok()?;
    let before_names = !hex[end..].starts_with('(');
    let names = hex[end..].strip_prefix('(').and_then(|names| names.split_once(')'));
    let names = names.map(|(names, _)| names.trim()).filter(|names| is_names(names));
    Some(Mask { raw, names: names.map(str::to_owned), before_names })
}

/// Whether this can be what the kernel calls bits. Spaces are left where a line was broken.
fn is_names(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '|' | ' '))
}

/// Bytes that a task's name has at most (`TASK_COMM_LEN` without its NUL).
const COMM_MAX: usize = 15;

/// A task's name, without what another program left in front of it: longer than a name can be, it
/// holds a prefix that was not recognised.
pub(super) fn comm(text: &str) -> &str {
    let text = text.trim_start();
    if text.len() <= COMM_MAX {
        return text;
    }
    let after = |mark: &str| text.rfind(mark).map(|at| at + mark.len());
    let start = after("] ").max(after(": ")).unwrap_or(0);
    text[start..].trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_with_and_without_names() {
        let check = |text: &str, raw, names: Option<&str>| {
            let before_names = !text.contains('(');
            let names = names.map(str::to_owned);
            let expected = Mask { raw, names, before_names };
            assert_eq!(mask(text, "mode:"), Some(expected), "{text}");
        };
        check("mode:0x10c0d0", 0x10c0d0, None);
        check("mode:0x40dc0(GFP_KERNEL|__GFP_COMP), x", 0x40dc0, Some("GFP_KERNEL|__GFP_COMP"));
        check("mode:0x0(), order=0", 0, None);
        check("mode:0xcc0(GFP_KER", 0xcc0, None);
        check("mode:0xcc0(GFP_KER\u{1b}[2JNEL)", 0xcc0, None);
        check("mode:0x2000cc0(GFP_KERNEL|0x2000000)", 0x2000cc0, Some("GFP_KERNEL|0x2000000"));
        assert_eq!(mask("mode:", "mode:"), None);
        assert_eq!(mask("mode:0x123456789", "mode:"), None);
    }

    #[test]
    fn a_name_ends_what_stands_before_it() {
        assert_eq!(comm("runc:[1:CHILD]"), "runc:[1:CHILD]");
        assert_eq!(comm("a: b] c"), "a: b] c");
        assert_eq!(comm("[69229257.683658] xenwatch"), "xenwatch");
        assert_eq!(comm("Aug  4 server kernel: xenwatch"), "xenwatch");
    }
}
