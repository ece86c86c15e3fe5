//! Tasks that hang (kernel/hung_task.c `check_hung_task`).
//!
//! ```text
//! INFO: task containerd:1833 blocked for more than 122 seconds.
//! INFO: task containerd:1833 <writer> blocked on an rw-semaphore …              says more of it
//!       Tainted: G           OE     6.6.63-flatcar #1
//! ```
use crate::parse::field;

/// A task that hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hung {
    /// Its name, from outside.
    pub comm: String,
    /// Its id.
    pub pid: Option<u32>,
    /// For how long at least.
    pub seconds: u64,
}

/// Parses such a line.
pub(super) fn parse(text: &str) -> Option<Hung> {
    let (task, rest) =
        text.trim().strip_prefix("INFO: task ")?.split_once(" blocked for more than ")?;
    let (seconds, rest) = field::leading_number(rest)?;
    let (comm, pid) = task.rsplit_once(':')?;
    let whole = rest.trim_start().starts_with("second");
    whole.then(|| Hung { comm: comm.to_owned(), pid: pid.parse().ok(), seconds })
}

/// The release in the line below it: `      Not tainted 6.6.63-flatcar #1`.
pub(super) fn release(text: &str) -> Option<&str> {
    let text = text.trim();
    if !(text.starts_with("Not tainted ") || text.starts_with("Tainted: ")) {
        return None;
    }
    let (before, _) = text.split_once(" #")?;
    before.split_ascii_whitespace().find(|word| crate::parse::trace::is_release(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_and_its_kernel() {
        let hung = parse("INFO: task runc:[2:INIT]:77 blocked for more than 120 seconds.");
        let expected = Hung { comm: "runc:[2:INIT]".to_owned(), pid: Some(77), seconds: 120 };
        assert_eq!(hung, Some(expected));
        assert_eq!(release("      Tainted: G   OE  6.6.63-flatcar #1"), Some("6.6.63-flatcar"));
        assert_eq!(release("Not tainted 6.6.6"), None);
        assert_eq!(parse("INFO: task a:1 blocked on a mutex"), None);
    }
}
