//! Limits that the kernel says were hit (kernel/cgroup/pids.c `pids_can_fork`), and what people
//! leave beside their logs: `systemctl status`, `sysctl`, and /proc/buddyinfo (mm/vmstat.c
//! `frag_show_print`).
//!
//! ```text
//! cgroup: fork rejected by pids controller in /system.slice/docker-64be.scope
//! ● docker.service - Docker Application Container Engine
//!       Tasks: 4915 (limit: 4915)
//! kernel.pid_max = 32768
//! Node 0, zone   Normal  2856   1703   1329    243     61      0 …
//! ```
use crate::parse::{field, memory::ZoneKey};

/// The cgroup in which a fork was refused.
pub(super) fn parse_fork(text: &str) -> Option<String> {
    let rest = field::after(text, "fork rejected by pids controller in ")?;
    let path = rest.split_ascii_whitespace().next()?;
    path.starts_with('/').then(|| path.to_owned())
}

/// The unit whose status begins here.
pub(super) fn parse_unit(text: &str) -> Option<String> {
    let (unit, _) =
        text.trim_start().strip_prefix(['●', '○', '×', '*'])?.trim_start().split_once(" - ")?;
    let kinds = [".service", ".slice", ".scope"];
    (!unit.contains(' ') && kinds.iter().any(|kind| unit.ends_with(kind))).then(|| unit.to_owned())
}

/// How many tasks a unit has, and how many it may have.
pub(super) fn parse_tasks(text: &str) -> Option<(u64, u64)> {
    let rest = text.trim().strip_prefix("Tasks: ")?;
    let (count, rest) = field::leading_number(rest)?;
    Some((count, field::number(rest, "(limit: ")?))
}

/// The value of `kernel.pid_max`.
pub(super) fn parse_pid_max(text: &str) -> Option<u64> {
    let rest = text.trim();
    let rest = rest
        .strip_prefix("kernel.pid_max")
        .or_else(|| rest.strip_prefix("/proc/sys/kernel/pid_max"))?;
    let (number, rest) = field::leading_number(rest.trim_start_matches([' ', '=', ':']))?;
    rest.is_empty().then_some(number)
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
    fn what_people_leave_beside_their_logs() {
        let unit = parse_unit("● docker.service - Docker Application Container Engine");
        assert_eq!(unit.as_deref(), Some("docker.service"));
        assert_eq!(parse_unit("* a list - of things"), None);
        assert_eq!(parse_tasks("      Tasks: 4915 (limit: 4915)"), Some((4915, 4915)));
        assert_eq!(parse_tasks("    Tasks: 16"), None);
        assert_eq!(parse_pid_max("kernel.pid_max = 32768"), Some(32_768));
        assert_eq!(parse_pid_max("kernel.pid_max should be 32768"), None);
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
