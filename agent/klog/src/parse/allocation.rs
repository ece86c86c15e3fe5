//! `page allocation failure`: the heading of the report that the page allocator prints when it
//! returns NULL (mm/page_alloc.c: 2.6.32 `__alloc_pages_slowpath`, 2.6.39 to 4.9
//! `warn_alloc_failed`, 4.10 and later `warn_alloc`).
//!
//! ```text
//! runc: page allocation failure. order:6, mode:0xd0                             up to 2.6.38
//! runc: page allocation failure: order:6, mode:0xd0                             2.6.39
//! runc: page allocation failure: order:6, mode:0x24000c0(GFP_KERNEL)            4.6
//! runc: page allocation failure: order:6, mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset=/,mems_allowed=0
//! ```
//! From 5.14 on mm/sparse-vmemmap.c says `vmemmap alloc failure: order:9, mode:…` through the same
//! function. 4.10 to 4.14 also say `page allocation stalls for 10000ms, order:0, mode:…`.
use crate::parse::field::{self, Mask};

/// The heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who asked. It comes from outside.
    pub comm: String,
    /// Order; `None` if the line is cut before it.
    pub order: Option<u32>,
    /// gfp mask; `None` if the line is cut before it.
    pub mask: Option<Mask>,
    /// The nodes that the caller wanted, if it named some: `0-1`.
    pub nodemask: Option<String>,
    /// The task's cpuset, by the last part of its cgroup's path.
    pub cpuset: Option<String>,
    /// The nodes that the cpuset allows: `0-1`.
    pub mems_allowed: Option<String>,
    /// It waits, for so many milliseconds so far, and did not fail.
    pub stalled_ms: Option<u64>,
}

/// Orders above this make no sense (`MAX_ORDER` is below it everywhere).
pub(super) const ORDER_MAX: u64 = 40;

/// Parses the heading.
pub(super) fn parse(text: &str) -> Option<Header> {
    let failed = [": page allocation failure", ": vmemmap alloc failure"];
    let (comm, rest, stalled_ms) =
        if let Some((comm, rest)) = failed.iter().find_map(|words| text.rsplit_once(words)) {
            (comm, rest, None)
        } else {
            let (comm, rest) = text.rsplit_once(": page allocation stalls for ")?;
            (comm, rest, Some(field::leading_number(rest)?.0))
        };
    let order = field::number(rest, "order:").filter(|&order| order <= ORDER_MAX);
    let nodemask = field::word(rest, "nodemask=").filter(|mask| *mask != "(null)");
    Some(Header {
        comm: field::comm(comm).to_owned(),
        order: order.map(|order| order as u32),
        mask: field::mask(rest, "mode:"),
        nodemask: nodemask.map(str::to_owned),
        cpuset: field::word(rest, "cpuset=").map(str::to_owned),
        mems_allowed: mems_allowed(rest),
        stalled_ms,
    })
}

/// A list of nodes, `0-1,3`, which itself holds commas.
fn mems_allowed(text: &str) -> Option<String> {
    let list = field::after(text, "mems_allowed=")?;
    let end =
        list.find(|c: char| !(c.is_ascii_digit() || c == '-' || c == ',')).unwrap_or(list.len());
    let list = list[..end].trim_end_matches(',');
    (!list.is_empty()).then(|| list.to_owned())
}

/// The line about the cpuset that 2.6.35 to 4.18 print on its own: `runc cpuset=/ mems_allowed=0`.
/// Returns the cpuset and the nodes.
pub(super) fn parse_cpuset(text: &str) -> Option<(String, String)> {
    let (_, rest) = text.split_once(" cpuset=")?;
    let (cpuset, _) = rest.rsplit_once(" mems_allowed=")?;
    Some((cpuset.to_owned(), mems_allowed(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, comm: &str, order: u32, raw: u32) -> Header {
        let header = parse(text).unwrap_or_else(|| panic!("not a heading: {text}"));
        assert_eq!(header.comm, comm);
        assert_eq!(header.order, Some(order));
        assert_eq!(header.mask.as_ref().map(|mask| mask.raw), Some(raw));
        header
    }

    #[test]
    fn headings_of_all_ages() {
        check("httpd: page allocation failure. order:4, mode:0x20", "httpd", 4, 0x20);
        check(
            "runc:[1:CHILD]: page allocation failure: order:6, mode:0xc0d0",
            "runc:[1:CHILD]",
            6,
            0xc0d0,
        );
        let header = check(
            "kworker/u8:1: page allocation failure: order:5, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null),cpuset=pod7.slice,mems_allowed=0-1,3",
            "kworker/u8:1",
            5,
            0x40dc0,
        );
        assert_eq!(header.nodemask, None);
        assert_eq!(header.cpuset.as_deref(), Some("pod7.slice"));
        assert_eq!(header.mems_allowed.as_deref(), Some("0-1,3"));
        let header = check(
            "a b: c]: page allocation failure: order:0, mode:0xa20(GFP_ATOMIC), nodemask=1",
            "a b: c]",
            0,
            0xa20,
        );
        assert_eq!(header.nodemask.as_deref(), Some("1"));
    }

    #[test]
    fn a_stall_is_no_failure() {
        let header = check(
            "cc1: page allocation stalls for 12040ms, order:0, mode:0x14201ca(GFP_HIGHUSER_MOVABLE|__GFP_COLD), nodemask=(null)",
            "cc1",
            0,
            0x14201ca,
        );
        assert_eq!(header.stalled_ms, Some(12_040));
    }

    #[test]
    fn cut_headings_keep_what_they_have() {
        let header = parse("x: page allocation failure: order:6,").expect("a heading");
        assert_eq!((header.order, header.mask), (Some(6), None));
        let header = parse("x: page allocation failure: order:99, mode:0x20").expect("a heading");
        assert_eq!(header.order, None);
        assert_eq!(parse("page allocation failure"), None);
    }

    #[test]
    fn the_cpuset_has_a_line_of_its_own() {
        let (cpuset, mems) = parse_cpuset("sed cpuset=a b mems_allowed=0-1").expect("a cpuset");
        assert_eq!((cpuset.as_str(), mems.as_str()), ("a b", "0-1"));
    }
}
