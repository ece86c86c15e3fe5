//! Limits that the kernel says were hit (kernel/cgroup/pids.c `pids_can_fork`), and
//! /proc/buddyinfo, which people leave beside their logs (mm/vmstat.c `frag_show_print`).
//!
//! ```text
//! cgroup: fork rejected by pids controller in /system.slice/docker-64be.scope
//! Node 0, zone   Normal  2856   1703   1329    243     61      0 …
//! ```
use crate::parse::{field, memory::ZoneKey};

/// The cgroup in which a fork was refused.
pub(super) fn parse_fork(text: &str) -> Option<String> {
    let rest = field::after(text, "fork rejected by pids controller in ")?;
    let path = rest.split_ascii_whitespace().next()?;
    path.starts_with('/').then(|| path.to_owned())
}

/// A zone of /proc/buddyinfo and its free blocks per order, from order 0.
pub(super) fn parse_buddyinfo(text: &str) -> Option<(ZoneKey, Vec<u64>)> {
    let (node, rest) = field::leading_number(text.trim().strip_prefix("Node ")?)?;
    let mut words = rest.strip_prefix(", zone ")?.split_ascii_whitespace();
    let name = words.next()?.to_owned();
    let blocks: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
    let zone = ZoneKey { node: Some(u32::try_from(node).ok()?), name };
    (!blocks.is_empty()).then_some((zone, blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_that_were_refused() {
        let path =
            parse_fork("cgroup: fork rejected by pids controller in /a/docker-7.scope (a remark)");
        assert_eq!(path.as_deref(), Some("/a/docker-7.scope"));
        assert_eq!(parse_fork("fork rejected by pids controller in"), None);
    }

    #[test]
    fn buddyinfo() {
        let (zone, blocks) =
            parse_buddyinfo("Node 0, zone   Normal 127146 68215 0 1").expect("a zone");
        assert_eq!((zone.node, zone.name.as_str()), (Some(0), "Normal"));
        assert_eq!(blocks, [127_146, 68_215, 0, 1]);
        assert_eq!(parse_buddyinfo("Node 0, zone DMA32, type Movable 1 2"), None);
    }
}
