//! vmalloc that failed (mm/vmalloc.c `__vmalloc_node_range`, `alloc_vmap_area`).
//!
//! ```text
//! vmap allocation for size 15736832 failed: use vmalloc=<size> to increase size.
//! vmalloc: allocation failure: 15729534 bytes                                  up to 5.11
//! insmod: vmalloc: allocation failure: 15729534 bytes, mode:0x14000c0(GFP_KERNEL), nodemask=(null)   4.10
//! insmod: vmalloc: allocation failure, allocated 4096 of 8192 bytes, mode:…
//! insmod: vmalloc error: size 8192, exceeds total pages, mode:…                5.13
//! ```
//! Up to 4.9 the line is followed by one that reads `page allocation failure: order:0`, which here
//! doesn't mean that a page was lacking.
use fragwatch_core::model::vmalloc::Lack;

use crate::parse::field::{self, Mask};

/// A vmalloc that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmalloc {
    /// Who asked, where the line says it.
    pub comm: Option<String>,
    /// How much it asked for, in bytes.
    pub bytes: Option<u64>,
    /// gfp mask, where the line says it.
    pub mask: Option<Mask>,
    /// What was lacking.
    pub lack: Lack,
}

/// Parses such a line.
pub(super) fn parse(text: &str) -> Option<Vmalloc> {
    let found = |before: &str, bytes, lack| {
        let comm = before.trim_end().strip_suffix(':').map(field::comm);
        let comm = comm.filter(|comm| !comm.is_empty()).map(str::to_owned);
        Some(Vmalloc { comm, bytes, mask: field::mask(text, "mode:"), lack })
    };
    for range in ["vmap allocation for size ", "vmalloc_node_range for size "] {
        if let Some((before, rest)) = text.split_once(range) {
            let bytes = field::leading_number(rest).map(|(n, _)| n);
            return rest.contains(" failed").then(|| found(before, bytes, Lack::Addresses))?;
        }
    }
    if let Some((before, rest)) = text.split_once("vmalloc: allocation failure") {
        if let Some(of) = field::after(rest, ", allocated ") {
            return found(before, field::number(of, " of "), Lack::Pages);
        }
        // Without a number it is a sentence about such a line.
        let bytes = field::number(rest, ": ")?;
        return found(before, Some(bytes), Lack::Unsaid);
    }
    // 5.12 says "vmalloc size … allocation failure".
    let (before, rest) =
        text.split_once("vmalloc error: size ").or_else(|| text.split_once("vmalloc size "))?;
    let (bytes, reason) = field::leading_number(rest)?;
    let lack = if reason.contains("exceeds total pages") {
        Lack::Request
    } else if reason.contains("vm_struct allocation failed") {
        Lack::Addresses
    } else if reason.contains("failed to allocate pages")
        || reason.contains("page array")
        || reason.contains("page counter")
    {
        Lack::Pages
    } else {
        Lack::Unsaid
    };
    found(before, Some(bytes), lack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, comm: Option<&str>, bytes: u64, lack: Lack) {
        let parsed = parse(text).unwrap_or_else(|| panic!("not a vmalloc: {text}"));
        assert_eq!(parsed.comm.as_deref(), comm, "{text}");
        assert_eq!((parsed.bytes, parsed.lack), (Some(bytes), lack), "{text}");
    }

    #[test]
    fn lines_of_all_ages() {
        check(
            "vmap allocation for size 20480 failed: use vmalloc=<size> to increase size.",
            None,
            20_480,
            Lack::Addresses,
        );
        check("vmalloc: allocation failure: 8192 bytes", None, 8192, Lack::Unsaid);
        check(
            "insmod: vmalloc: allocation failure: 8192 bytes, mode:0x14000c0(GFP_KERNEL), nodemask=(null)",
            Some("insmod"),
            8192,
            Lack::Unsaid,
        );
        check(
            "a: vmalloc: allocation failure, allocated 4096 of 8192 bytes, mode:0xd2",
            Some("a"),
            8192,
            Lack::Pages,
        );
        check(
            "a: vmalloc error: size 9, exceeds total pages, mode:0xcc0",
            Some("a"),
            9,
            Lack::Request,
        );
        check(
            "a: vmalloc error: size 9, vm_struct allocation failed, mode:0xcc0",
            Some("a"),
            9,
            Lack::Addresses,
        );
        check(
            "a: vmalloc error: size 9, page order 0, failed to allocate pages, mode:0xcc0",
            Some("a"),
            9,
            Lack::Pages,
        );
        check(
            "a: vmalloc size 9 allocation failure: exceeds total pages, mode:0xcc0",
            Some("a"),
            9,
            Lack::Request,
        );
    }

    #[test]
    fn a_line_glued_to_the_next_still_counts() {
        check(
            "syz: vmalloc: allocation failure: 34359738352 bytes[   76.4] BUG: unable",
            Some("syz"),
            34_359_738_352,
            Lack::Unsaid,
        );
    }
}
